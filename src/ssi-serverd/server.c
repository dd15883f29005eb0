/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>

#include "agent-session.h"
#include "api.h"
#include "auth-throttle.h"
#include "log.h"
#include "notifier.h"
#include "metrics.h"
#include "server-internal.h"
#include "stream.h"
#include "token.h"
#include "worker.h"

/* How it starts: a worker thread runs the migrations, again and again until the database lets it; then the pools
 * connect; when they are up, the key of the access tokens is published and today's partitions are made sure of; then the API
 * opens.
 * When the database goes away later, the pools come back by themselves. */

#define POOL_CONNECTIONS     4
#define PASSWORD_CONCURRENCY 2
#define START_RETRY_MIN_USEC (100 * USEC_PER_MSEC)
#define START_RETRY_MAX_USEC (10 * USEC_PER_SEC)
#define MAINTENANCE_USEC     (3600 * USEC_PER_SEC)
#define MAINTENANCE_RETRY_USEC (30 * USEC_PER_SEC)
#define PARTITION_DAYS       "7"

typedef struct MigrateJob {
        Server *server;
        char *conninfo, *dir, *message;
        int r;
} MigrateJob;

static void server_start(Server *s);

bool server_is_idle(Server *s)
{
        return (!s->db || db_in_flight(s->db) == 0) && (!s->ingest_db || db_in_flight(s->ingest_db) == 0) &&
               notifier_is_idle(s->notifier);
}

bool server_is_ready(Server *s)
{
        return s->db && key_ring_is_ready(s->keys) && s->maintained && !s->restoring &&
               db_is_ready(s->db) && db_is_ready(s->ingest_db);
}

static void update_availability(Server *s)
{
        http_server_set_unavailable(s->http, server_is_ready(s)  ? NULL :
                                             s->restoring        ? "A backup is being restored." :
                                                                   "The database is not available.");
}

void server_prepare_stop(Server *s)
{
        s->stopping = true;
        notifier_stop(s->notifier);
}

/* An outage is logged when it begins and when it ends. */
void server_wrote(Server *s, int error, const char *message)
{
        if (error == -ECANCELED || error == -ENOTCONN || error == -ECONNRESET)
                return;
        if (error == 0 && s->trouble) {
                log_info("The database takes what is written again.");
                free(TAKE_PTR(s->trouble));
        } else if (error < 0 && !s->trouble) {
                s->trouble = strdup(message);
                log_warning("The database takes nothing (%s); trying again, and acknowledging nothing.", message);
        }
}

int server_query(Server *s, const char *sql, unsigned n_params, const char *const *params, db_callback_t callback,
                 void *userdata)
{
        if (!s->db)
                return -ENOTCONN;
        return db_query(s->db, sql, n_params, params, callback, userdata);
}

static void publish_here(Server *s, const Changes *changes)
{
        streams_changed(s->streams, changes);
        agent_sessions_changed(s->sessions, changes);
        notifier_kick(s->notifier);
}

void server_publish(Server *s, const Changes *changes, bool notified)
{
        char **payloads = NULL;
        size_t n = 0;

        publish_here(s, changes);
        if (notified || changes_encode(changes, s->instance, &payloads, &n) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                const char *params[] = { payloads[i] };

                (void) server_query(s, "SELECT pg_notify('" CHANGES_CHANNEL "', $1)", 1, params, NULL, NULL);
        }
        payloads_free(payloads, n);
}

void server_publish_one(Server *s, ChangeKind kind, const char *user, const char *server, const char *arg)
{
        _cleanup_(changes_clear) Changes changes = {};

        if (changes_add(&changes, kind, user, server, arg) >= 0)
                server_publish(s, &changes, false);
}

static void on_notified(const char *payload, void *userdata)
{
        _cleanup_(changes_clear) Changes changes = {};
        char instance[INSTANCE_ID_MAX];
        Server *s = userdata;

        /* What we sent was told when it was committed. */
        if (changes_is_from(payload, s->instance))
                return;
        if (changes_decode(payload, instance, &changes) < 0)
                log_debug("Ignoring a notification that is none of ours");
        else
                publish_here(s, &changes);
}

/* What was said while nobody listened is lost: the streams' clients read their lists again. */
static void on_relisten(void *userdata)
{
        Server *s = userdata;

        streams_close_all(s->streams);
}

static void on_ingested(const Changes *changes, bool notified, void *userdata)
{
        server_publish(userdata, changes, notified);
}

static void on_ingest_failed(int error, const char *message, void *userdata)
{
        log_full(error == -EINVAL ? LOG_WARNING : LOG_DEBUG, "A batch of results was not committed: %s", message);
        if (error != -EINVAL)
                server_wrote(userdata, error, message);
}

static void on_ingest_committed(void *userdata)
{
        server_wrote(userdata, 0, NULL);
}

static const IngestHandler ingest_handler = {
        .changed = on_ingested,
        .committed = on_ingest_committed,
        .failed = on_ingest_failed,
};

static void on_key_published(void *userdata)
{
        Server *s = userdata;

        if (!s->announced)
                log_info("Database ready.");
        s->announced = true;
        update_availability(s);
        agent_sessions_check(s->sessions);
}

static void maintain_again(Server *s, uint64_t usec)
{
        (void) sd_event_source_set_time_relative(s->maintenance_timer, usec);
        (void) sd_event_source_set_enabled(s->maintenance_timer, SD_EVENT_ONESHOT);
}

/* One row: partitions made, dropped, and left because somebody reads them just now. */
static void on_partitions(PGresult *res, int error, void *userdata)
{
        Server *s = userdata;

        if (error == -ECANCELED)
                return;
        if (error < 0) {
                log_warning("Cannot tend the partitions of the history, trying again: %s", db_result_message(res));
                maintain_again(s, MAINTENANCE_RETRY_USEC);
                return;
        }
        if (!streq(PQgetvalue(res, 0, 1), "0"))
                log_info("Dropped %s days of history.", PQgetvalue(res, 0, 1));
        if (!streq(PQgetvalue(res, 0, 2), "0")) {
                log_debug("%s partitions of the history are in use, trying again", PQgetvalue(res, 0, 2));
                maintain_again(s, MAINTENANCE_RETRY_USEC);
        }
        if (s->maintained)
                return;
        s->maintained = true;
        update_availability(s);
        agent_sessions_check(s->sessions);
}

static void maintain(Server *s)
{
        char days[16];

        snprintf(days, sizeof(days), "%u", s->settings.history_days);

        const char *params[] = { days };

        (void) server_query(s, "SELECT * FROM events_maintain(" PARTITION_DAYS ", $1::int)", 1, params, on_partitions, s);
        (void) server_query(s, "DELETE FROM transitions WHERE recorded_at < now() - interval '1 day'", 0, NULL, NULL,
                            NULL);
        (void) server_query(s, "DELETE FROM login_sessions WHERE expires_at < now()"
                               " OR revoked_at < now() - interval '1 day'",
                            0, NULL, NULL, NULL);
        (void) server_query(s, "DELETE FROM refresh_tokens WHERE expires_at < now()", 0, NULL, NULL, NULL);
        (void) server_query(s, "DELETE FROM claim_tokens WHERE expires_at < now() - interval '1 day'", 0, NULL, NULL,
                            NULL);
}

static int on_maintenance(sd_event_source *source, uint64_t usec, void *userdata)
{
        Server *s = userdata;

        maintain_again(s, MAINTENANCE_USEC);
        maintain(s);
        return 0;
}

static void on_pool_state(bool ready, void *userdata)
{
        Server *s = userdata;

        if (!ready && !s->database_lost && !s->restoring) {
                s->database_lost = true;
                log_warning("Lost the connection to the database, trying again.");
        } else if (ready && s->database_lost) {
                s->database_lost = false;
                log_info("The database is back.");
        }
        update_availability(s);
        if (!ready)
                return;
        key_ring_refresh(s->keys);
        if (!s->maintained)
                maintain(s);
        else
                agent_sessions_check(s->sessions);
}

static void on_ingest_state(bool ready, void *userdata)
{
        Server *s = userdata;

        update_availability(s);
        if (!ready)
                return;
        ingest_kick(s->ingest);
        agent_sessions_check(s->sessions);
}

static int server_connect(Server *s)
{
        int r;

        r = db_new(s->event, s->conninfo, POOL_CONNECTIONS, &s->db);
        if (r < 0)
                return r;
        db_set_state_callback(s->db, on_pool_state, s);
        r = db_new(s->event, s->conninfo, 1, &s->ingest_db);
        if (r < 0)
                return r;
        db_set_state_callback(s->ingest_db, on_ingest_state, s);
        r = ingest_new(s->event, s->ingest_db, s->instance, &s->settings.ingest, &ingest_handler, s, &s->ingest);
        if (r < 0)
                return r;
        r = notifier_start(s->notifier, s->conninfo);
        if (r < 0)
                return r;
        r = db_listen(s->db, CHANGES_CHANNEL, on_notified, on_relisten, s);
        if (r < 0)
                return r;
        return sd_event_add_time_relative(s->event, &s->maintenance_timer, CLOCK_MONOTONIC, MAINTENANCE_USEC,
                                          USEC_PER_SEC, on_maintenance, s);
}

static void migrate_job_free(MigrateJob *j)
{
        free(j->conninfo);
        free(j->dir);
        free(j->message);
        free(j);
}

/* In a worker thread. */
static void migrate_work(void *userdata)
{
        MigrateJob *j = userdata;

        j->r = db_migrate(j->conninfo, j->dir, &j->message);
}

static void start_again_later(Server *s)
{
        (void) sd_event_source_set_time_relative(s->start_timer, s->start_retry_usec);
        (void) sd_event_source_set_enabled(s->start_timer, SD_EVENT_ONESHOT);
        s->start_retry_usec = MIN(s->start_retry_usec * 2, START_RETRY_MAX_USEC);
}

/* What somebody asks in the middle would wait for the locks of the restore, and go on with what is no longer there. */
static void suspend(Server *s)
{
        db_suspend(s->db);
        db_suspend(s->ingest_db);
        notifier_suspend(s->notifier);
}

static void resume(Server *s)
{
        s->restoring = false;
        db_resume(s->db);
        db_resume(s->ingest_db);
        notifier_resume(s->notifier);
}

static void migrate_done(void *userdata)
{
        MigrateJob *j = userdata;
        Server *s = j->server;
        int r;

        if (s->stopping) {
                migrate_job_free(j);
                return;
        }
        if (j->r < 0) {
                if (j->r == -ENOTCONN && !s->database_lost)
                        log_warning("%s; trying again.", strempty(j->message));
                else if (j->r != -ENOTCONN)
                        log_error("Cannot bring the database's schema up to date: %s", strempty(j->message));
                s->database_lost = true;
                start_again_later(s);
        } else {
                if (j->r > 0)
                        log_info("Applied %d migrations to the database.", j->r);
                s->database_lost = false;
                r = s->db ? 0 : server_connect(s);
                if (r < 0)
                        log_error_errno(r, "Cannot start with the database");
                if (s->restoring)
                        resume(s);
        }
        migrate_job_free(j);
}

static void server_start(Server *s)
{
        MigrateJob *j = calloc(1, sizeof(*j));

        if (j) {
                *j = (MigrateJob){
                        .server = s,
                        .conninfo = strdup(s->conninfo),
                        .dir = strdup(s->migrations_dir),
                };
                if (j->conninfo && j->dir && worker_run(http_server_uv(s->http), migrate_work, migrate_done, j) >= 0)
                        return;
                migrate_job_free(j);
        }
        start_again_later(s);
}

static int on_start_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        server_start(userdata);
        return 0;
}

int server_schema_version(Server *s)
{
        return db_newest_migration(s->migrations_dir);
}

void server_begin_restore(Server *s)
{
        s->restoring = true;
        update_availability(s);
        streams_close_all(s->streams);
        agent_sessions_restart(s->sessions);
        suspend(s);
}

void server_end_restore(Server *s, bool restored)
{
        if (!restored) {
                resume(s);
                return;
        }
        s->maintained = false;
        server_start(s);
}

int server_new(sd_event *event, HttpServer *http, const char *conninfo, ServerRole role,
               const AccessKey *key, Server **ret)
{
        const char *dir = secure_getenv("SSI_MIGRATIONS_DIR") ?: SSI_MIGRATIONS_DIR;
        _cleanup_(server_freep) Server *s = NULL;
        int r;

        if (sodium_init() < 0)
                return -EIO;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        *s = (Server){
                .event = sd_event_ref(event),
                .http = http,
                .role = role,
                .conninfo = strdup(conninfo),
                .migrations_dir = strdup(dir),
                .start_retry_usec = START_RETRY_MIN_USEC,
        };
        if (!s->conninfo || !s->migrations_dir)
                return -ENOMEM;
        id_new("ins", s->instance);
        r = settings_load(&s->settings);
        if (r < 0)
                return r;
        r = notifier_new(event, !s->settings.ingest.history_changes_only, &s->notifier);
        if (r < 0)
                return r;
        r = password_pool_new(http_server_uv(http), PASSWORD_CONCURRENCY, &s->passwords);
        if (r < 0)
                return r;
        r = login_throttle_new(&s->throttle);
        if (r < 0)
                return r;
        if (s->settings.rate_limit > 0) {
                r = rate_limit_new(s->settings.rate_limit, &s->rate_limit);
                if (r < 0)
                        return r;
        }
        r = metrics_new(s, &s->metrics);
        if (r < 0)
                return r;
        r = key_ring_new(s, key, &s->keys);
        if (r < 0)
                return r;
        key_ring_set_callback(s->keys, on_key_published, s);
        r = streams_new(s, &s->streams);
        if (r < 0)
                return r;
        r = agent_sessions_new(s, &s->sessions);
        if (r < 0)
                return r;
        r = api_register(s, &s->routes);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(event, &s->start_timer, CLOCK_MONOTONIC, 0, 1, on_start_timer, s);
        if (r < 0)
                return r;
        update_availability(s);
        *ret = TAKE_PTR(s);
        return 0;
}

Server *server_free(Server *s)
{
        if (!s)
                return NULL;
        sd_event_source_disable_unref(s->start_timer);
        sd_event_source_disable_unref(s->maintenance_timer);

        /* Unfinished statements are answered from here, so what they belong to goes last. */
        s->ingest_db = db_free(s->ingest_db);
        s->db = db_free(s->db);
        key_ring_free(s->keys);
        agent_sessions_free(s->sessions);
        ingest_free(s->ingest);
        streams_free(s->streams);
        metrics_free(s->metrics);
        password_pool_free(s->passwords);
        login_throttle_free(s->throttle);
        rate_limit_free(s->rate_limit);
        notifier_free(s->notifier);
        api_routes_free(s->routes);
        free(s->conninfo);
        free(s->migrations_dir);
        free(s->trouble);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}
