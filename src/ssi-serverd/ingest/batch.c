/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>
#include <utlist.h>

#include "db/array.h"
#include "ingest/internal.h"
#include "ingest/batch.sql.h"

static void add_optional_int(DbArray *a, int64_t value)
{
        if (value < 0)
                db_array_null(a);
        else
                db_array_int(a, value);
}

static void add_service(DbArray a[static SQL_items_params], const ServiceState *s)
{
        const IngestItem *result = s->result, *last = s->last;
        bool error = last->kind == INGEST_ERROR;

        db_array_int(&a[SQL_items_part], (int64_t) s->key.part + 1);
        db_array_text(&a[SQL_items_name], s->key.name);
        db_array_text(&a[SQL_items_status], result ? status_to_string(result->status) : NULL);
        db_array_text(&a[SQL_items_message], result ? result->text.message : NULL);
        db_array_time(&a[SQL_items_status_at], result ? result->timestamp : USEC_INFINITY);
        db_array_time(&a[SQL_items_changed_at], result ? s->changed_at : USEC_INFINITY);
        db_array_bool(&a[SQL_items_fresh], !s->known);
        db_array_bool(&a[SQL_items_flipped], s->flipped);
        db_array_bool(&a[SQL_items_live], !last->replay);
        add_optional_int(&a[SQL_items_duration], last->duration_ms);
        db_array_text(&a[SQL_items_invocation], last->text.invocation_id);
        db_array_text(&a[SQL_items_error_kind], error ? last->text.error_kind : NULL);
        db_array_text(&a[SQL_items_error_detail], error ? last->text.error_detail : NULL);
        db_array_time(&a[SQL_items_error_at], error ? last->timestamp : USEC_INFINITY);
}

static void add_event(DbArray a[static SQL_items_params], size_t part, const IngestItem *item)
{
        static const char *const kinds[] = {
                [INGEST_RESULT] = "result",
                [INGEST_ERROR] = "error",
                [INGEST_GAP] = "gap",
        };

        db_array_int(&a[SQL_items_event_part], (int64_t) part + 1);
        db_array_text(&a[SQL_items_event_service], item->text.service);
        db_array_text(&a[SQL_items_event_kind], kinds[item->kind]);
        db_array_time(&a[SQL_items_event_at], item->timestamp);
        db_array_text(&a[SQL_items_event_status], status_to_string(item->status));
        db_array_text(&a[SQL_items_event_message], item->text.message);
        db_array_text(&a[SQL_items_event_error_kind], item->text.error_kind);
        db_array_text(&a[SQL_items_event_error_detail], item->text.error_detail);
        add_optional_int(&a[SQL_items_event_duration], item->duration_ms);
        db_array_text(&a[SQL_items_event_invocation], item->text.invocation_id);
        db_array_time(&a[SQL_items_event_gap_from], item->gap_from);
}

static void add_inventory(DbArray a[static SQL_inventory_params], const Batch *b, size_t part)
{
        const IngestItem *item = b->parts[part].items;

        for (size_t k = 0; k < item->n_services; k++) {
                const InventoryService *s = &item->services[k];
                const KnownService *known;

                if (!s->write)
                        continue;
                known = known_find(&b->parts[part].source->known, s->name);
                db_array_int(&a[SQL_inventory_part], (int64_t) part + 1);
                db_array_text(&a[SQL_inventory_name], s->name);
                db_array_bool(&a[SQL_inventory_fresh], !known);
                db_array_text(&a[SQL_inventory_title], s->title);
                db_array_text(&a[SQL_inventory_metadata], s->metadata);
                db_array_text(&a[SQL_inventory_schedule], s->schedule);
                add_optional_int(&a[SQL_inventory_timeout], s->timeout_ms);
                db_array_bool(&a[SQL_inventory_enabled], s->enabled);
                db_array_time(&a[SQL_inventory_next_run], s->next_run);
                db_array_text(&a[SQL_inventory_watches], s->watches);
                db_array_text(&a[SQL_inventory_depends_on], s->depends_on);
                db_array_time(&a[SQL_inventory_heard_at], known && known->heard > 0 ? known->heard : USEC_INFINITY);
        }
}

/* Adds the services whose state is written, and the servers of those whose state changed. The changes of a
 * replay are published when it ends. */
static int item_changes(const Batch *b, Changes *changes)
{
        size_t told = SIZE_MAX;
        int r = 0;

        for (size_t k = 0; k < b->n_states; k++) {
                const ServiceState *s = &b->states[k];
                const BatchPart *p = &b->parts[s->key.part];

                if (!s->write || s->last->replay || !p->accepted)
                        continue;
                /* States are in the order of the parts. */
                if (s->changed && s->key.part != told) {
                        r = changes_add(changes, CHANGE_SERVER, p->source->user, p->source->server, NULL);
                        told = s->key.part;
                }
                if (r >= 0)
                        r = changes_add(changes, CHANGE_SERVICE, p->source->user, p->source->server, s->key.name);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void fill_items(const Batch *b, DbArray a[static SQL_items_params])
{
        for (size_t k = 0; k < b->n_parts; k++) {
                const IngestItem *item;

                DL_FOREACH(b->parts[k].items, item)
                        if (item->keep)
                                add_event(a, k, item);
        }
        for (size_t k = 0; k < b->n_states; k++)
                if (b->states[k].write)
                        add_service(a, &b->states[k]);
}

static void fill_params(const Batch *b, DbArray a[static SQL_items_params])
{
        for (size_t k = 0; k < b->n_parts; k++) {
                const BatchPart *p = &b->parts[k];

                db_array_int(&a[SQL_live_server], p->source->id);
                db_array_int(&a[SQL_live_epoch], p->source->epoch);
                db_array_text(&a[SQL_live_expected], p->source->cursor);
                db_array_text(&a[SQL_live_cursor], p->cursor);
                db_array_bool(&a[SQL_live_gap], p->gap);
                if (b->kind == BATCH_INVENTORY) {
                        add_inventory(a, b, k);
                        db_array_bool(&a[SQL_inventory_whole], p->items->whole);
                }
        }
        if (b->kind == BATCH_ITEMS)
                fill_items(b, a);
}

int batch_send(Batch *b, Db *db, const IngestSettings *settings, db_callback_t callback, void *userdata)
{
        static const struct {
                const char *name, *sql;
                unsigned n_params;
                unsigned grace; /* index of the grace parameter, or none */
        } statements[] = {
                [BATCH_ITEMS] = { "items", SQL_items, SQL_items_params, SQL_items_grace },
                [BATCH_INVENTORY] = { "inventory", SQL_inventory, SQL_inventory_params, SQL_inventory_grace },
                [BATCH_LIVE] = { "live", SQL_live, SQL_live_params, UINT_MAX },
        };
        unsigned n_params = statements[b->kind].n_params;
        const char *params[SQL_items_params];
        DbArray a[SQL_items_params] = {};
        char grace[16];
        int r = 0;

        snprintf(grace, sizeof(grace), "%u", settings->grace_seconds);
        fill_params(b, a);
        for (unsigned k = 0; k < n_params && r >= 0; k++) {
                params[k] = k == statements[b->kind].grace ? grace : db_array_done(&a[k]);
                if (!params[k])
                        r = -ENOMEM;
        }
        if (r >= 0)
                r = db_query_prepared(db, statements[b->kind].name, statements[b->kind].sql, n_params, params, callback,
                                      userdata);
        db_arrays_free(a, SQL_items_params);
        return r;
}

BatchPart *batch_part(const Batch *b, PGresult *res, int row)
{
        unsigned long part = strtoul(PQgetvalue(res, row, 0), NULL, 10);

        return part >= 1 && part <= b->n_parts ? &b->parts[part - 1] : NULL;
}

void batch_mark_accepted(Batch *b, PGresult *res)
{
        for (int row = 0; row < PQntuples(res); row++) {
                BatchPart *p = batch_part(b, res, row);

                if (!p)
                        continue;
                p->accepted = true;
                if (b->kind == BATCH_INVENTORY && *PQgetvalue(res, row, 1) == 'w')
                        p->withheld = (unsigned) strtoul(PQgetvalue(res, row, 2), NULL, 10);
        }
}

/* The changes made by a replay that is now over. */
static int untold_changes(const Batch *b, Changes *changes)
{
        int r = 0;

        for (size_t k = 0; k < b->n_parts; k++) {
                /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a batch has as many parts as it says */
                const IngestSource *s = b->parts[k].source;

                if (!b->parts[k].accepted)
                        continue;
                for (const KnownService *v = s->known.services; v && r >= 0; v = v->hh.next)
                        if (v->untold)
                                r = changes_add(changes, CHANGE_SERVICE, s->user, s->server, v->name);
        }
        return r;
}

int batch_changes(const Batch *b, PGresult *res, Changes *changes)
{
        int r = 0;

        if (b->kind == BATCH_ITEMS)
                return item_changes(b, changes);
        for (int row = 0; row < PQntuples(res) && r >= 0; row++) {
                const BatchPart *p = batch_part(b, res, row);
                const char *what = PQgetvalue(res, row, 1);

                if (p && *what != 'f' && *what != 'q' && *what != 'w')
                        r = changes_add(changes, (ChangeKind) *what, p->source->user, p->source->server,
                                        PQgetisnull(res, row, 2) ? NULL : PQgetvalue(res, row, 2));
        }
        return r < 0 || b->kind != BATCH_LIVE ? r : untold_changes(b, changes);
}
