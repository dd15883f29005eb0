/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/schema.h"
#include "db/migrate.h"
#include "loop/worker.h"
#include "shared/log.h"
#include "shared/time-util.h"

#define RETRY_MIN_USEC (100 * USEC_PER_MSEC)
#define RETRY_MAX_USEC (10 * USEC_PER_SEC)
#define LOG_AGAIN_USEC (60 * USEC_PER_SEC)

typedef struct MigrateJob {
        Backend *backend;
        char *conninfo, *dir, *message;
        int r;
} MigrateJob;

static void migrate_job_free(MigrateJob *j)
{
        free(j->conninfo);
        free(j->dir);
        free(j->message);
        free(j);
}

/* Runs in a worker thread. */
static void migrate_work(void *userdata)
{
        MigrateJob *j = userdata;

        j->r = db_migrate(j->conninfo, j->dir, &j->message);
}

static void start_again_later(Backend *b)
{
        (void) sd_event_source_set_time_relative(b->start_timer, b->start_retry_usec);
        (void) sd_event_source_set_enabled(b->start_timer, SD_EVENT_ONESHOT);
        b->start_retry_usec = MIN(b->start_retry_usec * 2, RETRY_MAX_USEC);
}

static void resume(Backend *b)
{
        b->restoring = false;
        db_resume(b->db);
        db_resume(b->ingest_db);
        b->events->resume(b);
}

static void migrated(Backend *b, int n)
{
        int r;

        if (n > 0)
                log_info("Applied %d %s to the database.", n, n == 1 ? "migration" : "migrations");
        b->database_lost = false;
        b->start_logged = 0;
        r = b->db ? 0 : b->events->connect(b);
        if (r < 0) {
                /* Half connected, nothing would try again. */
                log_error_errno(r, "Cannot start work on the database");
                (void) sd_event_exit(b->event, r);
                return;
        }
        if (b->restoring)
                resume(b);
}

static void not_migrated(Backend *b, int error, const char *message)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        if (b->start_logged == 0 || now - b->start_logged >= LOG_AGAIN_USEC) {
                if (error == -ENOTCONN || error == -EBUSY)
                        log_warning("%s; trying again.", strempty(message));
                else
                        log_error("Cannot bring the database's schema up to date: %s", strempty(message));
                b->start_logged = now;
        }
        b->database_lost = true;
        start_again_later(b);
}

static void migrate_done(void *userdata)
{
        MigrateJob *j = userdata;

        if (j->backend->stopping)
                ;
        else if (j->r < 0)
                not_migrated(j->backend, j->r, j->message);
        else
                migrated(j->backend, j->r);
        migrate_job_free(j);
}

static void migrate(Backend *b)
{
        MigrateJob *j = calloc(1, sizeof(*j));

        if (j) {
                *j = (MigrateJob){
                        .backend = b,
                        .conninfo = strdup(b->config->database_url),
                        .dir = strdup(b->config->migrations_dir),
                };
                if (j->conninfo && j->dir && worker_run(http_server_uv(b->http), migrate_work, migrate_done, j) >= 0)
                        return;
                migrate_job_free(j);
        }
        start_again_later(b);
}

static int on_start_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        migrate(userdata);
        return 0;
}

int schema_start(Backend *b)
{
        b->start_retry_usec = RETRY_MIN_USEC;
        return sd_event_add_time_relative(b->event, &b->start_timer, CLOCK_MONOTONIC, 0, 1, on_start_timer, b);
}

void schema_stop(Backend *b)
{
        b->start_timer = sd_event_source_disable_unref(b->start_timer);
}

int schema_range(const Backend *b, int *ret_oldest, int *ret_newest)
{
        return db_migration_range(b->config->migrations_dir, ret_oldest, ret_newest);
}

/* A query in the middle would wait for the restore's locks, and then go on with data that is gone. */
void schema_begin_restore(Backend *b)
{
        b->restoring = true;
        backend_update_availability(b);
        b->events->suspend(b);
        db_suspend(b->db);
        db_suspend(b->ingest_db);
}

void schema_end_restore(Backend *b, bool restored)
{
        if (!restored) {
                resume(b);
                return;
        }
        b->maintained = false;
        migrate(b);
}
