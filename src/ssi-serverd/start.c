/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>
#include <systemd/sd-id128.h>

#include "agent/session.h"
#include "api/api.h"
#include "api/metrics.h"
#include "api/stream.h"
#include "auth/key-ring.h"
#include "auth/password.h"
#include "auth/throttle.h"
#include "auth/token.h"
#include "core/figures.h"
#include "core/replica.h"
#include "core/schema.h"
#include "http/rate-limit.h"
#include "ingest/ingest.h"
#include "model/audit.h"
#include "model/quota.h"
#include "notify/notifier.h"
#include "shared/log.h"
#include "shared/time-util.h"
#include "start.h"
#include "start.sql.h"

/* How it starts: the schema is brought up to date (core/schema.h); then the pools connect; then the public
 * key of the access tokens is published and today's partitions are created; then the API opens. If the
 * database goes away later, the pools reconnect automatically. */

#define POOL_CONNECTIONS       4
#define PASSWORD_CONCURRENCY   2
#define MAINTENANCE_USEC       (3600 * USEC_PER_SEC)
#define STORAGE_USEC           (600 * USEC_PER_SEC)
#define MAINTENANCE_RETRY_USEC (30 * USEC_PER_SEC)
#define MAINTENANCE_NEXT_USEC  (200 * USEC_PER_MSEC) /* each step has a transaction of its own */

void backend_reloaded(Backend *b)
{
        quota_write_defaults(b);
}

bool backend_is_idle(Backend *b)
{
        return (!b->db || db_in_flight(b->db) == 0) && (!b->ingest_db || db_in_flight(b->ingest_db) == 0) &&
               (!b->replica || replica_in_flight(b->replica) == 0) && notifier_is_idle(b->notifier) &&
               backend_has_published(b);
}

void backend_prepare_stop(Backend *b)
{
        b->stopping = true;
        backend_publish_now(b);
        audit_refusals_flush(b->audit_refusals);
        notifier_stop(b->notifier);
}

/* ---- Ingestion ---- */

static void on_ingested(const Changes *changes, void *userdata)
{
        backend_publish(userdata, changes);
}

static void on_ingest_failed(int error, const char *message, void *userdata)
{
        log_full(error == -EINVAL ? LOG_WARNING : LOG_DEBUG, "A batch of results was not committed: %s", message);
        if (error != -EINVAL)
                backend_wrote(userdata, error, message);
}

static void on_ingest_committed(void *userdata)
{
        backend_wrote(userdata, 0, NULL);
}

static void on_ingest_limited(const char *user, const IngestRate *rate, void *userdata)
{
        quota_note_results(userdata, user);
}

static const IngestHandler ingest_handler = {
        .limited = on_ingest_limited,
        .changed = on_ingested,
        .committed = on_ingest_committed,
        .failed = on_ingest_failed,
};

/* ---- The database ---- */

static void on_key_published(void *userdata)
{
        Backend *b = userdata;

        if (!b->has_key)
                log_info("Database ready.");
        b->has_key = true;
        backend_available(b);
}

static void maintain_history_again(Backend *b, uint64_t usec)
{
        (void) sd_event_source_set_time_relative(b->history_timer, usec);
        (void) sd_event_source_set_enabled(b->history_timer, SD_EVENT_ONESHOT);
}

/* One row: partitions created, dropped, and left over because they are being read, or for the next step. */
static void on_partitions(PGresult *res, int error, void *userdata)
{
        Backend *b = userdata;
        unsigned made, dropped, left_over;

        if (error == -ECANCELED)
                return;
        if (error < 0) {
                log_warning("Cannot maintain the partitions of the history, retrying: %s", db_result_message(res));
                maintain_history_again(b, MAINTENANCE_RETRY_USEC);
                return;
        }
        made = (unsigned) atoi(PQgetvalue(res, 0, 0));
        dropped = (unsigned) atoi(PQgetvalue(res, 0, 1));
        left_over = (unsigned) atoi(PQgetvalue(res, 0, 2));
        b->days_dropped += dropped;
        if (b->days_dropped > 0 && (dropped == 0 || left_over == 0)) {
                log_info("Dropped %u %s of history.", b->days_dropped, b->days_dropped == 1 ? "day" : "days");
                b->days_dropped = 0;
        }
        if (left_over > 0) {
                log_debug("%u partitions of the history are left for later", left_over);
                maintain_history_again(b, made + dropped > 0 ? MAINTENANCE_NEXT_USEC : MAINTENANCE_RETRY_USEC);
        }
        if (b->maintained)
                return;
        b->maintained = true;
        backend_available(b);
        quota_check_storage(b);
}

static void maintain_history(Backend *b)
{
        char days[16];

        snprintf(days, sizeof(days), "%u", b->config->history_days);
        (void) backend_query(b, SQL(maintain_history, .days = days), on_partitions, b);
}

static int on_history_maintenance(sd_event_source *source, uint64_t usec, void *userdata)
{
        maintain_history(userdata);
        return 0;
}

static void on_carried(PGresult *res, int error, void *userdata)
{
        if (error == 0)
                audit_journal(res);
        else if (error != -ECANCELED)
                log_warning("Cannot bring the audit log through the restore: %s", db_result_message(res));
}

static void maintain(Backend *b)
{
        char audit_days[16];

        snprintf(audit_days, sizeof(audit_days), "%u", b->config->audit_days);

        maintain_history(b);
        (void) backend_query(b, SQL(forget_transitions), NULL, NULL);
        (void) backend_query(b, SQL(forget_sessions), NULL, NULL);
        (void) backend_query(b, SQL(forget_refresh_tokens), NULL, NULL);
        (void) backend_query(b, SQL(forget_networks), NULL, NULL);
        (void) backend_query(b, SQL(forget_unconfirmed), NULL, NULL);
        (void) backend_query(b, SQL(forget_invitations), NULL, NULL);
        (void) backend_query(b, SQL(forget_claim_tokens), NULL, NULL);
        (void) backend_query(b, SQL(forget_join_tokens), NULL, NULL);
        (void) backend_query(b, SQL(forget_quota_counts), NULL, NULL);
        (void) backend_query(b, SQL(forget_quota_reached), NULL, NULL);
        (void) backend_query(b, SQL(carry_audit), on_carried, NULL);
        (void) backend_query(b, SQL(forget_audit, .days = audit_days), NULL, NULL);
}

static int on_maintenance(sd_event_source *source, uint64_t usec, void *userdata)
{
        Backend *b = userdata;

        maintain(b);
        (void) sd_event_source_set_time_relative(source, MAINTENANCE_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_storage(sd_event_source *source, uint64_t usec, void *userdata)
{
        Backend *b = userdata;

        if (b->maintained)
                quota_check_storage(b);
        (void) sd_event_source_set_time_relative(source, STORAGE_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void on_pool_state(bool ready, void *userdata)
{
        Backend *b = userdata;

        if (!ready && !b->database_lost && !b->restoring) {
                b->database_lost = true;
                log_warning("Lost the connection to the database, trying again.");
        } else if (ready && b->database_lost) {
                b->database_lost = false;
                log_info("The database is back.");
        }
        if (!ready) {
                backend_update_availability(b);
                return;
        }
        key_ring_refresh(b->keys);
        quota_write_defaults(b);
        if (b->maintained)
                backend_available(b);
        else {
                backend_update_availability(b);
                maintain(b);
        }
}

static void on_ingest_state(bool ready, void *userdata)
{
        Backend *b = userdata;

        if (ready) {
                ingest_kick(b->ingest);
                backend_available(b);
        } else
                backend_update_availability(b);
}

static int on_connect(Backend *b)
{
        const IngestSettings settings = {
                .history_changes_only = b->config->history == CONFIG_HISTORY_CHANGES,
                .grace_seconds = b->config->stale_grace_seconds,
                .refresh_usec = b->config->stale_grace_seconds * USEC_PER_SEC / 4,
        };
        _cleanup_(db_hosts_unrefp) DbHosts *hosts = NULL;
        int r;

        r = db_hosts_new(b->config->database_url, &hosts);
        if (r < 0)
                return r;
        r = db_new(b->event, hosts, POOL_CONNECTIONS, &b->db);
        if (r < 0)
                return r;
        db_set_state_callback(b->db, on_pool_state, b);
        r = db_new(b->event, hosts, 1, &b->ingest_db);
        if (r < 0)
                return r;
        db_set_state_callback(b->ingest_db, on_ingest_state, b);
        r = ingest_new(b->event, b->ingest_db, &settings, &ingest_handler, b, &b->ingest);
        if (r < 0)
                return r;
        r = notifier_start(b->notifier, hosts);
        if (r < 0)
                return r;
        r = backend_listen(b);
        if (r < 0)
                return r;
        r = figures_new(b, &b->figures);
        if (r < 0)
                return r;
        if (b->config->database_read_url && (b->role & BACKEND_ROLE_API)) {
                r = replica_new(b, b->config->database_read_url, &b->replica);
                if (r < 0)
                        return r;
        }
        r = sd_event_add_time_relative(b->event, &b->storage_timer, CLOCK_MONOTONIC, STORAGE_USEC, USEC_PER_SEC,
                                       on_storage, b);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(b->event, &b->history_timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC,
                                       on_history_maintenance, b);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(b->history_timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        return sd_event_add_time_relative(b->event, &b->maintenance_timer, CLOCK_MONOTONIC, MAINTENANCE_USEC,
                                          USEC_PER_SEC, on_maintenance, b);
}

/* ---- Publishing ---- */

static void on_changed(Backend *b, const Changes *changes)
{
        streams_changed(b->streams, changes);
        agent_sessions_changed(b->sessions, changes);
        notifier_kick(b->notifier);
}

/* The clients of the streams read their lists again. */
static void on_missed(Backend *b)
{
        streams_close_all(b->streams);
}

static void on_available(Backend *b)
{
        agent_sessions_check(b->sessions);
}

static void on_suspend(Backend *b)
{
        streams_close_all(b->streams);
        agent_sessions_restart(b->sessions);
        notifier_suspend(b->notifier);
}

static void on_resume(Backend *b)
{
        notifier_resume(b->notifier);
}

static const BackendEvents events = {
        .connect = on_connect,
        .changed = on_changed,
        .missed = on_missed,
        .available = on_available,
        .suspend = on_suspend,
        .resume = on_resume,
};

/* ---- Construction ---- */

static int new_rate_limits(Backend *b, unsigned per_second)
{
        int r;

        r = rate_limit_new(per_second * RATE_BURST_SEC, USEC_PER_SEC / per_second, &b->rate_limit);
        if (r < 0)
                return r;
        return rate_limit_new(per_second, USEC_PER_SEC * RATE_BURST_SEC / per_second, &b->refusals);
}

/* Not the machine's own ID, which is confidential (machine-id(5)). */
static void describe_host(Backend *b)
{
        static const sd_id128_t application =
                SD_ID128_MAKE(3f, 62, 0a, 5d, 2c, 1e, 4b, 8b, 9a, 60, 7d, 1f, 94, 0e, 55, d2);
        sd_id128_t id;

        if (gethostname(b->hostname, sizeof(b->hostname) - 1) < 0 || isempty(b->hostname))
                snprintf(b->hostname, sizeof(b->hostname), "localhost");
        if (sd_id128_get_machine_app_specific(application, &id) >= 0)
                snprintf(b->host, sizeof(b->host), SD_ID128_FORMAT_STR, SD_ID128_FORMAT_VAL(id));
        else
                snprintf(b->host, sizeof(b->host), "%s", b->hostname);
        format_rfc3339(now_usec(CLOCK_REALTIME), b->started);
}

int backend_new(sd_event *event, HttpServer *http, const Config *config, BackendRole role, const AccessKey *key,
                bool has_left, Backend **ret)
{
        _cleanup_(backend_freep) Backend *b = NULL;
        int r;

        if (sodium_init() < 0)
                return -EIO;
        b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;
        *b = (Backend){
                .event = sd_event_ref(event),
                .http = http,
                .role = role,
                .config = config,
                .events = &events,
        };
        b->has_left = has_left;
        id_new("ins", b->instance);
        describe_host(b);
        r = notifier_new(event, config, &b->notifier);
        if (r < 0)
                return r;
        r = password_pool_new(http_server_uv(http), PASSWORD_CONCURRENCY, &b->passwords);
        if (r < 0)
                return r;
        r = login_throttle_new(&b->throttle);
        if (r < 0)
                return r;
        r = audit_refusals_new(b, &b->audit_refusals);
        if (r < 0)
                return r;
        if (config->rate_limit > 0) {
                r = new_rate_limits(b, config->rate_limit);
                if (r < 0)
                        return r;
        }
        r = metrics_new(b, &b->metrics);
        if (r < 0)
                return r;
        r = key_ring_new(b, key, &b->keys);
        if (r < 0)
                return r;
        key_ring_set_callback(b->keys, on_key_published, b);
        r = streams_new(b, &b->streams);
        if (r < 0)
                return r;
        r = agent_sessions_new(b, &b->sessions);
        if (r < 0)
                return r;
        r = api_register(b, &b->routes);
        if (r < 0)
                return r;
        r = backend_publish_start(b);
        if (r < 0)
                return r;
        r = has_left ? 0 : schema_start(b);
        if (r < 0)
                return r;
        backend_update_availability(b);
        *ret = TAKE_PTR(b);
        return 0;
}

Backend *backend_free(Backend *b)
{
        if (!b)
                return NULL;
        schema_stop(b);
        sd_event_source_disable_unref(b->maintenance_timer);
        sd_event_source_disable_unref(b->history_timer);
        backend_listen_stop(b);
        backend_publish_stop(b);
        sd_event_source_disable_unref(b->storage_timer);

        /* This calls back for unfinished statements, so their owners are freed later. */
        b->ingest_db = db_free(b->ingest_db);
        b->db = db_free(b->db);
        b->replica = replica_free(b->replica);
        b->figures = figures_free(b->figures);
        key_ring_free(b->keys);
        agent_sessions_free(b->sessions);
        ingest_free(b->ingest);
        streams_free(b->streams);
        metrics_free(b->metrics);
        password_pool_free(b->passwords);
        login_throttle_free(b->throttle);
        audit_refusals_free(b->audit_refusals);
        rate_limit_free(b->rate_limit);
        rate_limit_free(b->refusals);
        notifier_free(b->notifier);
        api_routes_free(b->routes);
        free(b->trouble);
        free(b->certificate.trouble);
        sd_event_unref(b->event);
        free(b);
        return NULL;
}
