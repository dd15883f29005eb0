/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <sys/statvfs.h>

#include "core/figures.h"
#include "core/figures.sql.h"
#include "shared/log.h"
#include "shared/time-util.h"

#define READ_USEC (60 * USEC_PER_SEC)

struct Figures {
        Backend *backend;
        sd_event_source *timer;
        DatabaseFigures now;
        bool reading, complained;
};

const DatabaseFigures *figures_get(const Figures *f)
{
        static const DatabaseFigures none = {};

        return f ? &f->now : &none;
}

const TableFigures *figures_table(const DatabaseFigures *d, const char *name)
{
        for (size_t i = 0; i < d->n_tables; i++)
                if (streq(d->tables[i].name, name))
                        return &d->tables[i];
        return NULL;
}

static uint64_t number(PGresult *res, int row, int column)
{
        return PQgetisnull(res, row, column) ? 0 : strtoull(PQgetvalue(res, row, column), NULL, 10);
}

/* The private database is on this machine; another one's folder is known only where it is local and the role may read it. */
static void read_disk(Backend *b, const char *folder, DatabaseFigures *d)
{
        struct statvfs s;

        d->disk_bytes = d->free_bytes = FIGURE_UNKNOWN;
        if (isempty(folder) && strstr(strempty(b->config->database_url), "/run/ssi-postgres"))
                folder = SSI_POSTGRES_DIR;
        if (isempty(folder) || statvfs(folder, &s) < 0)
                return;
        d->disk_bytes = (uint64_t) s.f_blocks * s.f_frsize;
        d->free_bytes = (uint64_t) s.f_bavail * s.f_frsize;
}

/* A short history of them: for GET /api/v1/admin/figures. */
static void keep_sample(Figures *f)
{
        const TableFigures *history = figures_table(&f->now, "events");
        char bytes[24], history_bytes[24];

        snprintf(bytes, sizeof(bytes), "%" PRIu64, f->now.bytes);
        snprintf(history_bytes, sizeof(history_bytes), "%" PRIu64,
                 history ? history->table_bytes + history->index_bytes : 0);
        (void) backend_query(f->backend, SQL(figures_sample, .database_bytes = bytes, .history_bytes = history_bytes),
                             NULL, NULL);
}

static void on_read(PGresult *res, int error, void *userdata)
{
        Figures *f = userdata;
        DatabaseFigures *d = &f->now;

        f->reading = false;
        if (error == -ECANCELED)
                return;
        if (error < 0 || PQntuples(res) == 0) {
                if (!f->complained)
                        log_notice("Cannot read the database's figures: %s", db_result_message(res));
                f->complained = true;
                return;
        }
        f->complained = false;
        *d = (DatabaseFigures){
                .known = true,
                .bytes = number(res, 0, 0),
                .age = number(res, 0, 1),
                .age_limit = number(res, 0, 2),
                .kept_wal = number(res, 0, 3),
                .oldest_transaction = number(res, 0, 4),
        };
        read_disk(f->backend, PQgetvalue(res, 0, 5), d);
        for (int i = 0; i < PQntuples(res) && d->n_tables < FIGURE_TABLES; i++) {
                TableFigures *t = &d->tables[d->n_tables];

                if (PQgetisnull(res, i, 6))
                        continue;
                *t = (TableFigures){
                        .table_bytes = number(res, i, 7),
                        .index_bytes = number(res, i, 8),
                        .live = number(res, i, 9),
                        .dead = number(res, i, 10),
                        .waiting = number(res, i, 11),
                        .vacuumed = number(res, i, 12),
                };
                snprintf(t->name, sizeof(t->name), "%s", PQgetvalue(res, i, 6));
                d->n_tables++;
        }
        keep_sample(f);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Figures *f = userdata;

        if (!f->reading && backend_is_ready(f->backend) &&
            backend_query(f->backend, SQL(database_figures), on_read, f) >= 0)
                f->reading = true;
        (void) sd_event_source_set_time_relative(source, f->now.known || f->reading ? READ_USEC : USEC_PER_SEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int figures_new(Backend *b, Figures **ret)
{
        Figures *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        f->backend = b;
        r = sd_event_add_time_relative(b->event, &f->timer, CLOCK_MONOTONIC, 0, USEC_PER_SEC, on_timer, f);
        if (r < 0) {
                free(f);
                return r;
        }
        *ret = f;
        return 0;
}

Figures *figures_free(Figures *f)
{
        if (!f)
                return NULL;
        sd_event_source_disable_unref(f->timer);
        free(f);
        return NULL;
}
