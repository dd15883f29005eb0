#include <uthash.h>
#include <utlist.h>

#include "db-array.h"
#include "ingest-internal.h"
#include "slug.h"

/* Both statements start with the fence: it locks the server rows, lets through only those whose session is still the
 * current one, and moves the cursor. All else joins it by the number of the batch's part. A session that is taken over
 * later waits for that lock before it reads the cursor, so it never sees a cursor without its data. */
#define SQL_FENCE                                                                                               \
        "WITH fence AS ("                                                                                       \
        " UPDATE servers s SET last_seen = now(), resume_cursor = coalesce(i.cursor, s.resume_cursor)"          \
        " FROM unnest($1::bigint[], $2::bigint[], $3::text[]) WITH ORDINALITY i(id, epoch, cursor, part)"       \
        " WHERE s.id = i.id AND s.session_epoch = i.epoch"                                                      \
        " RETURNING s.id, i.part)"

/* A service comes at most once in v: status is null when all of its items are execution errors; flipped says that its
 * status changed inside the batch, and changed_at is the start of the last run of equal statuses. The notification is
 * a part of the answer, because a CTE that nobody reads is not run. */
static const char sql_items[] =
        SQL_FENCE ","
        " v AS (SELECT f.id AS server_id, v.* FROM unnest($4::int[], $5::text[], $6::service_status[], $7::text[],"
        "  $8::timestamptz[], $9::timestamptz[], $10::bool[], $11::bigint[], $12::text[], $13::text[], $14::text[],"
        "  $15::timestamptz[])"
        "  v(part, name, status, message, status_at, changed_at, flipped, duration_ms, invocation_id,"
        "    error_kind, error_detail, error_at)"
        "  JOIN fence f ON f.part = v.part),"
        " upserted AS ("
        " INSERT INTO services AS s (server_id, name, status, message, status_at, changed_at, received_at,"
        "  duration_ms, invocation_id, error_kind, error_detail, error_at)"
        " SELECT v.server_id, v.name, v.status, v.message, v.status_at, v.changed_at, now(),"
        "  v.duration_ms, v.invocation_id, v.error_kind, v.error_detail, v.error_at FROM v"
        " ON CONFLICT (server_id, name) DO UPDATE SET"
        "  status = coalesce(excluded.status, s.status),"
        "  message = CASE WHEN excluded.status IS NULL THEN s.message ELSE excluded.message END,"
        "  status_at = coalesce(excluded.status_at, s.status_at),"
        "  changed_at = CASE WHEN excluded.status IS NULL THEN s.changed_at"
        "   WHEN s.status IS DISTINCT FROM excluded.status OR (excluded.server_id, excluded.name) IN"
        "    (SELECT v.server_id, v.name FROM v WHERE v.flipped) THEN excluded.changed_at"
        "   ELSE s.changed_at END,"
        "  received_at = excluded.received_at, duration_ms = excluded.duration_ms,"
        "  invocation_id = excluded.invocation_id, error_kind = excluded.error_kind,"
        "  error_detail = excluded.error_detail, error_at = excluded.error_at),"
        " logged AS ("
        " INSERT INTO events (server_id, service, kind, at, status, message, error_kind, error_detail, duration_ms,"
        "  invocation_id, gap_from)"
        " SELECT f.id, e.service, e.kind, e.at, e.status, e.message, e.error_kind, e.error_detail,"
        "  e.duration_ms, e.invocation_id, e.gap_from"
        " FROM unnest($16::int[], $17::text[], $18::text[], $19::timestamptz[], $20::service_status[], $21::text[],"
        "  $22::text[], $23::text[], $24::bigint[], $25::text[], $26::timestamptz[]) WITH ORDINALITY"
        "  e(part, service, kind, at, status, message, error_kind, error_detail, duration_ms, invocation_id,"
        "    gap_from, n)"
        " JOIN fence f ON f.part = e.part"
        /* An agent that reconnects before anything new is committed tells of the same gap again. */
        " WHERE e.kind <> 'gap' OR NOT EXISTS (SELECT FROM events o WHERE o.server_id = f.id"
        "  AND o.service IS NULL AND o.kind = 'gap' AND o.gap_from IS NOT DISTINCT FROM e.gap_from"
        "  AND (o.gap_from IS NOT NULL OR o.at = e.at))"
        " ORDER BY e.n)"
        " SELECT f.part, (SELECT count(pg_notify('" CHANGES_CHANNEL "', p)) FROM unnest($27::text[]) p) FROM fence f";

enum {
        SVC_PART,
        SVC_NAME,
        SVC_STATUS,
        SVC_MESSAGE,
        SVC_STATUS_AT,
        SVC_CHANGED_AT,
        SVC_FLIPPED,
        SVC_DURATION,
        SVC_INVOCATION,
        SVC_ERROR_KIND,
        SVC_ERROR_DETAIL,
        SVC_ERROR_AT,
        _SVC_MAX,
};

enum {
        EV_PART,
        EV_SERVICE,
        EV_KIND,
        EV_AT,
        EV_STATUS,
        EV_MESSAGE,
        EV_ERROR_KIND,
        EV_ERROR_DETAIL,
        EV_DURATION,
        EV_INVOCATION,
        EV_GAP_FROM,
        _EV_MAX,
};

/* What the inventory does not name is removed; what it names keeps its state. */
static const char sql_inventory[] =
        SQL_FENCE ","
        " n AS (SELECT f.id AS server_id, n.name, n.title, n.description, n.version, n.schedule, n.timeout_ms,"
        "  n.enabled, n.next_run"
        "  FROM unnest($4::int[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[],"
        "   $11::bool[], $12::timestamptz[])"
        "   n(part, name, title, description, version, schedule, timeout_ms, enabled, next_run)"
        "  JOIN fence f ON f.part = n.part),"
        " removed AS (DELETE FROM services s USING fence f WHERE s.server_id = f.id"
        "  AND (s.server_id, s.name) NOT IN (SELECT n.server_id, n.name FROM n)"
        "  RETURNING f.part, s.name),"
        " upserted AS ("
        " INSERT INTO services AS s (server_id, name, title, description, version, schedule, timeout_ms, enabled,"
        "  next_run)"
        " SELECT n.* FROM n"
        " ON CONFLICT (server_id, name) DO UPDATE SET title = excluded.title, description = excluded.description,"
        "  version = excluded.version, schedule = excluded.schedule, timeout_ms = excluded.timeout_ms,"
        "  enabled = excluded.enabled, next_run = excluded.next_run"
        " WHERE (s.title, s.description, s.version, s.schedule, s.timeout_ms, s.enabled, s.next_run)"
        "  IS DISTINCT FROM (excluded.title, excluded.description, excluded.version, excluded.schedule,"
        "   excluded.timeout_ms, excluded.enabled, excluded.next_run)"
        " RETURNING s.server_id, s.name)"
        " SELECT part, 's' AS what, NULL::text AS name FROM fence"
        " UNION ALL SELECT part, 'r', name FROM removed"
        " UNION ALL SELECT f.part, 'v', u.name FROM upserted u JOIN fence f ON f.id = u.server_id";

enum {
        INV_PART,
        INV_NAME,
        INV_TITLE,
        INV_DESCRIPTION,
        INV_VERSION,
        INV_SCHEDULE,
        INV_TIMEOUT,
        INV_ENABLED,
        INV_NEXT_RUN,
        _INV_MAX,
};

#define N_HEAD   3 /* ids, epochs, cursors */
#define N_NOTIFY (N_HEAD + _SVC_MAX + _EV_MAX)
#define N_PARAMS (N_NOTIFY + 1)

/* What a batch makes of one service. */
typedef struct ServiceKey {
        size_t part;
        char name[SLUG_MAX + 1];
} ServiceKey;

typedef struct ServiceState {
        ServiceKey key;
        const IngestItem *result; /* the last result, or NULL */
        const IngestItem *last;   /* the last item */
        uint64_t changed_at;
        bool flipped;
        UT_hash_handle hh;
} ServiceState;

static void service_states_freep(ServiceState **states)
{
        ServiceState *s, *tmp;

        HASH_ITER(hh, *states, s, tmp) {
                HASH_DEL(*states, s);
                free(s);
        }
}

static int service_state_get(ServiceState **states, size_t part, const char *name, ServiceState **ret)
{
        ServiceKey key;
        ServiceState *s;

        memset(&key, 0, sizeof(key)); /* padding is part of the hash */
        key.part = part;
        strncpy(key.name, name, sizeof(key.name) - 1);
        HASH_FIND(hh, *states, &key, sizeof(key), s);
        if (!s) {
                s = calloc(1, sizeof(*s));
                if (!s)
                        return -ENOMEM;
                memcpy(&s->key, &key, sizeof(key));
                HASH_ADD(hh, *states, key, sizeof(key), s);
        }
        *ret = s;
        return 0;
}

static int fold_items(const Batch *b, ServiceState **states)
{
        for (size_t k = 0; k < b->n_parts; k++) {
                const IngestItem *item;

                DL_FOREACH(b->parts[k].items, item) {
                        ServiceState *s;

                        if (item->kind == INGEST_GAP)
                                continue;
                        if (service_state_get(states, k, item->service, &s) < 0)
                                return -ENOMEM;
                        s->last = item;
                        if (item->kind != INGEST_RESULT)
                                continue;
                        if (!s->result || s->result->status != item->status) {
                                s->flipped = s->result != NULL;
                                s->changed_at = item->timestamp;
                        }
                        s->result = item;
                }
        }
        return 0;
}

static void add_optional_int(DbArray *a, int64_t value)
{
        if (value < 0)
                db_array_null(a);
        else
                db_array_int(a, value);
}

static void add_service(DbArray a[static _SVC_MAX], const ServiceState *s)
{
        const IngestItem *result = s->result, *last = s->last;
        bool error = last->kind == INGEST_ERROR;

        db_array_int(&a[SVC_PART], (int64_t) s->key.part + 1);
        db_array_text(&a[SVC_NAME], s->key.name);
        db_array_text(&a[SVC_STATUS], result ? status_to_string(result->status) : NULL);
        db_array_text(&a[SVC_MESSAGE], result ? result->message : NULL);
        db_array_time(&a[SVC_STATUS_AT], result ? result->timestamp : USEC_INFINITY);
        db_array_time(&a[SVC_CHANGED_AT], result ? s->changed_at : USEC_INFINITY);
        db_array_bool(&a[SVC_FLIPPED], s->flipped);
        add_optional_int(&a[SVC_DURATION], last->duration_ms);
        db_array_text(&a[SVC_INVOCATION], last->invocation_id);
        db_array_text(&a[SVC_ERROR_KIND], error ? last->error_kind : NULL);
        db_array_text(&a[SVC_ERROR_DETAIL], error ? last->error_detail : NULL);
        db_array_time(&a[SVC_ERROR_AT], error ? last->timestamp : USEC_INFINITY);
}

static void add_event(DbArray a[static _EV_MAX], size_t part, const IngestItem *item)
{
        static const char *const kinds[] = {
                [INGEST_RESULT] = "result",
                [INGEST_ERROR] = "error",
                [INGEST_GAP] = "gap",
        };

        db_array_int(&a[EV_PART], (int64_t) part + 1);
        db_array_text(&a[EV_SERVICE], item->service);
        db_array_text(&a[EV_KIND], kinds[item->kind]);
        db_array_time(&a[EV_AT], item->timestamp);
        db_array_text(&a[EV_STATUS], status_to_string(item->status));
        db_array_text(&a[EV_MESSAGE], item->message);
        db_array_text(&a[EV_ERROR_KIND], item->error_kind);
        db_array_text(&a[EV_ERROR_DETAIL], item->error_detail);
        add_optional_int(&a[EV_DURATION], item->duration_ms);
        db_array_text(&a[EV_INVOCATION], item->invocation_id);
        db_array_time(&a[EV_GAP_FROM], item->gap_from);
}

static void add_inventory(DbArray a[static _INV_MAX], size_t part, const IngestItem *item)
{
        for (size_t k = 0; k < item->n_services; k++) {
                const InventoryService *s = &item->services[k];

                db_array_int(&a[INV_PART], (int64_t) part + 1);
                db_array_text(&a[INV_NAME], s->name);
                db_array_text(&a[INV_TITLE], s->title);
                db_array_text(&a[INV_DESCRIPTION], s->description);
                db_array_text(&a[INV_VERSION], s->version);
                db_array_text(&a[INV_SCHEDULE], s->schedule);
                add_optional_int(&a[INV_TIMEOUT], s->timeout_ms);
                db_array_bool(&a[INV_ENABLED], s->enabled);
                db_array_time(&a[INV_NEXT_RUN], s->next_run);
        }
}

/* The services that the items name, each once, and their servers. */
static int item_changes(const Batch *b, bool accepted_only, Changes *changes)
{
        _cleanup_(service_states_freep) ServiceState *states = NULL;
        ServiceState *s, *tmp;
        int r;

        r = fold_items(b, &states);
        for (size_t k = 0; k < b->n_parts && r >= 0; k++)
                if (!accepted_only || b->parts[k].accepted)
                        r = changes_add(changes, CHANGE_SERVER, b->parts[k].source->user,
                                        b->parts[k].source->server, NULL);
        HASH_ITER(hh, states, s, tmp) {
                const BatchPart *p = &b->parts[s->key.part];

                if (r >= 0 && (p->accepted || !accepted_only))
                        r = changes_add(changes, CHANGE_SERVICE, p->source->user, p->source->server, s->key.name);
        }
        return r;
}

static int add_notifications(const Batch *b, const char *instance, DbArray *a)
{
        _cleanup_(changes_clear) Changes changes = {};
        char **payloads = NULL;
        size_t n = 0;
        int r;

        r = item_changes(b, false, &changes);
        if (r >= 0)
                r = changes_encode(&changes, instance, &payloads, &n);
        if (r < 0)
                return r;
        for (size_t k = 0; k < n; k++)
                db_array_text(a, payloads[k]);
        payloads_free(payloads, n);
        return 0;
}

static int fill_params(const Batch *b, const char *instance, DbArray a[static N_PARAMS])
{
        _cleanup_(service_states_freep) ServiceState *states = NULL;
        ServiceState *s, *tmp;

        for (size_t k = 0; k < b->n_parts; k++) {
                const BatchPart *p = &b->parts[k];
                const IngestItem *item;

                db_array_int(&a[0], p->source->id);
                db_array_int(&a[1], p->source->epoch);
                db_array_text(&a[2], p->cursor);
                DL_FOREACH(p->items, item)
                        if (b->inventory)
                                add_inventory(a + N_HEAD, k, item);
                        else
                                add_event(a + N_HEAD + _SVC_MAX, k, item);
        }
        if (b->inventory)
                return 0;
        if (fold_items(b, &states) < 0)
                return -ENOMEM;
        HASH_ITER(hh, states, s, tmp)
                add_service(a + N_HEAD, s);
        return add_notifications(b, instance, &a[N_NOTIFY]);
}

int batch_send(Batch *b, Db *db, const char *instance, db_callback_t callback, void *userdata)
{
        unsigned n_params = b->inventory ? N_HEAD + _INV_MAX : N_PARAMS;
        const char *params[N_PARAMS];
        DbArray a[N_PARAMS] = {};
        int r;

        r = fill_params(b, instance, a);
        for (unsigned k = 0; k < n_params && r >= 0; k++) {
                params[k] = db_array_done(&a[k]);
                if (!params[k])
                        r = -ENOMEM;
        }
        if (r >= 0)
                r = db_query(db, b->inventory ? sql_inventory : sql_items, n_params, params, callback, userdata);
        db_arrays_free(a, N_PARAMS);
        return r;
}

static BatchPart *batch_part(const Batch *b, PGresult *res, int row)
{
        unsigned long part = strtoul(PQgetvalue(res, row, 0), NULL, 10);

        return part >= 1 && part <= b->n_parts ? &b->parts[part - 1] : NULL;
}

void batch_mark_accepted(Batch *b, PGresult *res)
{
        for (int row = 0; row < PQntuples(res); row++) {
                BatchPart *p = batch_part(b, res, row);

                if (p)
                        p->accepted = true;
        }
}

int batch_changes(const Batch *b, PGresult *res, Changes *changes)
{
        int r = 0;

        if (!b->inventory)
                return item_changes(b, true, changes);
        for (int row = 0; row < PQntuples(res) && r >= 0; row++) {
                const BatchPart *p = batch_part(b, res, row);

                if (p)
                        r = changes_add(changes, (ChangeKind) *PQgetvalue(res, row, 1), p->source->user,
                                        p->source->server,
                                        PQgetisnull(res, row, 2) ? NULL : PQgetvalue(res, row, 2));
        }
        return r;
}
