/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <utlist.h>

#include "ingest-fixture.h"

static void changed(const Changes *changes, void *userdata)
{
        Instance *in = userdata;

        in->n_changed += (unsigned) changes->n;
}

static void failed(int error, const char *message, void *userdata)
{
        Instance *in = userdata;

        in->n_failed++;
}

static void instance_committed(void *userdata)
{
        Instance *in = userdata;

        in->n_committed++;
}

static const IngestHandler instance_handler = {
        .changed = changed,
        .committed = instance_committed,
        .failed = failed,
};

const IngestSettings instance_settings = { .grace_seconds = 120, .refresh_usec = 30 * USEC_PER_SEC };

static void state_changed(bool ready, void *userdata)
{
        Instance *in = userdata;

        in->up = ready;
        if (ready)
                ingest_kick(in->ingest);
}

void instance_start(Instance *in, Postgres *pg)
{
        instance_start_with(in, pg, &instance_settings);
}

void instance_start_with(Instance *in, Postgres *pg, const IngestSettings *settings)
{
        *in = (Instance){ .pg = pg };
        assert_return_code(sd_event_new(&in->event), 0);
        in->db = postgres_pool(in->event, pg->conninfo, 1);
        assert_return_code(ingest_new(in->event, in->db, settings, &instance_handler, in, &in->ingest), 0);
        db_set_state_callback(in->db, state_changed, in);
        loop_until(in->event, &in->up);
}

void instance_stop(Instance *in)
{
        in->db = db_free(in->db);
        in->ingest = ingest_free(in->ingest);
        in->event = sd_event_unref(in->event);
}

static void committed(IngestSource *s, const char *cursor, void *userdata)
{
        Agent *a = userdata;

        a->n_acks++;
        snprintf(a->cursor, sizeof(a->cursor), "%s", cursor);
}

static void ended(IngestSource *s, int error, void *userdata)
{
        Agent *a = userdata;

        a->ended = error;
        a->drained = true;
}

static void throttled(IngestSource *s, bool full, void *userdata)
{
        Agent *a = userdata;

        a->full = full;
}

static void drained(IngestSource *s, void *userdata)
{
        Agent *a = userdata;

        a->drained = true;
}

static const IngestSourceHandler agent_handler = {
        .committed = committed,
        .ended = ended,
        .throttled = throttled,
        .drained = drained,
};

/* An empty server with session epoch 1. */
int64_t make_server(Postgres *pg)
{
        return atoll(postgres_query(
                pg, "WITH u AS (INSERT INTO users (public_id, email, password_hash) SELECT r, r, '' FROM"
                    " (SELECT gen_random_uuid()::text r) x RETURNING id, public_id),"
                    " c AS (INSERT INTO notification_channels (public_id, user_id, type, name)"
                    "  SELECT 'chn-' || public_id, id, 'webhook', 'one' FROM u)"
                    " INSERT INTO servers (public_id, agent_id, user_id, name, session_epoch)"
                    " SELECT 'srv-' || public_id, 'agt-' || public_id, id, 'host', 1 FROM u RETURNING id"));
}

void agent_start(Agent *a, Instance *in, int64_t server, int64_t epoch)
{
        char sql[96];
        const char *cursor;

        snprintf(sql, sizeof(sql), "SELECT resume_cursor FROM servers WHERE id = %lld", (long long) server);
        cursor = postgres_query(in->pg, sql);
        *a = (Agent){};
        assert_return_code(ingest_source_new(in->ingest, server, epoch, "srv-1", "usr-1", *cursor ? cursor : NULL,
                                             &agent_handler, a, &a->source),
                           0);
}

void agent_stop(Agent *a)
{
        a->source = ingest_source_free(a->source);
}

IngestItem *make_result(const char *service, Status status, const char *message, uint64_t t, const char *cursor)
{
        IngestItem *item = ingest_item_new(INGEST_RESULT,
                                           &(IngestText){ .service = service, .message = message, .cursor = cursor });

        item->status = status;
        item->timestamp = t * USEC_PER_SEC;
        return item;
}

IngestItem *make_error(const char *service, const char *kind, uint64_t t, const char *cursor)
{
        IngestItem *item = ingest_item_new(INGEST_ERROR, &(IngestText){ .service = service,
                                                                        .error_kind = kind,
                                                                        .error_detail = "it did \"not\" work\\",
                                                                        .cursor = cursor });

        item->timestamp = t * USEC_PER_SEC;
        return item;
}

void push(Agent *a, IngestItem *item)
{
        IngestItem *list = NULL;

        DL_APPEND(list, item);
        a->drained = false;
        ingest_source_push(a->source, list);
}

void push_numbered(Agent *a, unsigned from, unsigned n)
{
        char cursor[32];

        for (unsigned i = from; i < from + n; i++) {
                snprintf(cursor, sizeof(cursor), "%u", i);
                push(a, make_result("numbered", STATUS_OK, cursor, 1000 + i, cursor));
        }
}

const char *query(Instance *in, int64_t server, const char *format)
{
        char sql[1024];

        snprintf(sql, sizeof(sql), "SELECT %s AND server_id = %lld", format, (long long) server);
        return postgres_query(in->pg, sql);
}

const char *query_server(Instance *in, int64_t server, const char *column)
{
        char sql[1024];

        snprintf(sql, sizeof(sql), "SELECT %s FROM servers WHERE id = %lld", column, (long long) server);
        return postgres_query(in->pg, sql);
}

IngestItem *make_inventory(unsigned n, const char *const *names)
{
        IngestItem *item = ingest_item_new(INGEST_INVENTORY, NULL);

        item->services = calloc(n, sizeof(*item->services));
        item->n_services = n;
        for (unsigned i = 0; i < n; i++)
                item->services[i] = (InventoryService){
                        .name = strdup(names[i]),
                        .title = strdup("Title"),
                        .timeout_ms = 1000,
                        .next_run = USEC_INFINITY,
                        .enabled = true,
                };
        return item;
}
