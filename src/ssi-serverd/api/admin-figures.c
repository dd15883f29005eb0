/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/admin-figures.sql.h"
#include "api/api.h"
#include "core/figures.h"

/* What the backend holds and does, and a short history of it, for administrators (docs/adr/0060). org.ssi.Server1 has the same as
 * properties, and /metrics for programs. */

static int add_bytes(json_object *o, const char *key, uint64_t value)
{
        return value == FIGURE_UNKNOWN ? json_add_string(o, key, NULL) : json_add_int64(o, key, (int64_t) value);
}

/* NULL while nothing has been read yet. */
static int describe_database(const DatabaseFigures *d, json_object **ret)
{
        _cleanup_json_ json_object *o = NULL;
        const TableFigures *history = figures_table(d, "events");
        uint64_t dead = 0, waiting = 0;

        *ret = NULL;
        if (!d->known)
                return 0;
        for (size_t i = 0; i < d->n_tables; i++) {
                dead += d->tables[i].dead;
                waiting += d->tables[i].waiting;
        }
        o = json_object_new_object();
        if (!o || add_bytes(o, "bytes", d->bytes) < 0 ||
            add_bytes(o, "history_bytes", history ? history->table_bytes + history->index_bytes : 0) < 0 ||
            add_bytes(o, "disk_bytes", d->disk_bytes) < 0 || add_bytes(o, "free_bytes", d->free_bytes) < 0 ||
            add_bytes(o, "dead_rows", dead) < 0 || add_bytes(o, "vacuum_waiting", waiting) < 0 ||
            add_bytes(o, "transaction_age", d->age) < 0 || add_bytes(o, "transaction_age_limit", d->age_limit) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

static void get_figures(ApiCall *c)
{
        const Config *config = c->backend->config;
        _cleanup_json_ json_object *database = NULL;
        char history_days[16], audit_days[16];

        if (describe_database(figures_get(c->backend->figures), &database) < 0) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        snprintf(history_days, sizeof(history_days), "%u", config->history_days);
        snprintf(audit_days, sizeof(audit_days), "%u", config->audit_days);

        api_query(c,
                  SQL(get_figures, .database = database ? json_object_to_json_string(database) : NULL,
                      .history_days = history_days, .audit_days = audit_days),
                  api_done_200);
}

const ApiRoute api_admin_figure_routes[] = {
        { "GET", "/api/v1/admin/figures", API_ADMIN, get_figures },
        {},
};
