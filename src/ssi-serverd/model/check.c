/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdarg.h>

#include "core/figures.h"
#include "core/replica.h"
#include "core/schema.h"
#include "model/check.h"
#include "model/check.sql.h"
#include "shared/log.h"
#include "shared/status-line.h"
#include "shared/time-util.h"
#include "tls/tls.h"

/* The database is asked on a connection of the check's own, one statement after the other, so that nothing else waits behind it. What this
 * process knows by itself comes last, because the proof that notifications arrive takes a moment. */

#define CONNECT_USEC     (10 * USEC_PER_SEC)
#define STATEMENT_MS     30000
#define DEEP_MS          (3600 * 1000)
#define BTREE_MAX_BYTES  "268435456" /* of all together: some seconds */
#define DEEP_MAX_BYTES   "9223372036854775807"
#define HEARING_USEC     (5 * USEC_PER_SEC)
#define HEARING_LOOK     (50 * USEC_PER_MSEC)
#define CLOCK_WARNING    (2 * (int64_t) USEC_PER_SEC)
#define CLOCK_FAILURE    (60 * (int64_t) USEC_PER_SEC)
#define CERT_WARNING_SEC (14 * 86400)
#define CA_WARNING_SEC   (90 * 86400)

struct Check {
        Backend *backend;
        bool deep, first_host_renews;
        char *cert, *ca;
        void (*done)(const CheckReport *report, void *userdata);
        void *userdata;

        Db *db;
        sd_event_source *timer, *finish;
        size_t step;
        uint64_t asked_at; /* CLOCK_REALTIME, for the clock */
        uint64_t proof_at; /* CLOCK_MONOTONIC */
        CheckReport report;
};

static void next_step(Check *c);

const char *check_status_to_string(CheckStatus status)
{
        static const char *const names[] = {
                [CHECK_OK] = "OK",
                [CHECK_WARNING] = "WARNING",
                [CHECK_FAILURE] = "FAILURE",
        };

        return names[status];
}

static CheckStatus parse_status(const char *s)
{
        return streq(s, "OK") ? CHECK_OK : streq(s, "WARNING") ? CHECK_WARNING : CHECK_FAILURE;
}

/* advice may be NULL. A line for which there is no memory is missing. */
static _printf_(5, 6) void add(Check *c, const char *subject, CheckStatus status, const char *advice,
                               const char *format, ...)
{
        CheckReport *r = &c->report;
        CheckLine *lines = reallocarray(r->lines, r->n + 1, sizeof(*lines));
        CheckLine line = { .subject = subject, .status = status };
        va_list ap;
        int n;

        if (!lines)
                return;
        r->lines = lines;
        va_start(ap, format);
        n = vasprintf(&line.message, format, ap);
        va_end(ap);
        if (n < 0)
                return;
        line.advice = advice ? strdup(advice) : NULL;
        r->lines[r->n++] = line;
}

/* ---- What this process knows ---- */

static void check_service(Check *c)
{
        const char *reason = backend_unavailable(c->backend);

        if (reason)
                add(c, "service", CHECK_FAILURE, "See the journal: journalctl -u ssi-serverd -u ssi-postgres.",
                    "The backend serves nothing: %s", reason);
        else if (c->backend->trouble)
                add(c, "service", CHECK_FAILURE, "See the database's log; a full disk is the usual reason.",
                    "The database rejects writes: %s.", c->backend->trouble);
        else
                add(c, "service", CHECK_OK, NULL, "The backend serves, with %zu agents connected to this instance.",
                    c->backend->agent_sessions.open);
}

static void check_replica(Check *c)
{
        const ReplicaStats *s;

        if (!c->backend->replica)
                return;
        s = replica_stats(c->backend->replica);
        if (s->state == REPLICA_USED)
                add(c, "read replica", CHECK_OK, NULL,
                    "The read replica answers what reads the history, %.1f s behind.",
                    (double) s->lag_usec / USEC_PER_SEC);
        else
                add(c, "read replica", CHECK_WARNING,
                    "Meanwhile the primary answers. Look at the standby of SSI_DATABASE_READ_URL.",
                    "The read replica is not used: %s.", replica_state_reason(s->state));
}

static void check_disk(Check *c)
{
        const DatabaseFigures *d = figures_get(c->backend->figures);
        static const char advice[] =
                "Make room, or keep less history: SSI_HISTORY_DAYS, SSI_HISTORY, SSI_QUOTA_STORAGE.";
        unsigned percent;

        if (!d->known) {
                add(c, "disk", CHECK_OK, NULL, "The disk is looked at within a minute of the start.");
                return;
        }
        if (d->free_bytes == FIGURE_UNKNOWN || d->disk_bytes == 0) {
                add(c, "disk", CHECK_OK, NULL,
                    "The disk of the database cannot be seen from here: watch it on its own host.");
                return;
        }
        percent = (unsigned) (d->free_bytes * 100 / d->disk_bytes);
        add(c, "disk",
            percent < 2  ? CHECK_FAILURE :
            percent < 10 ? CHECK_WARNING :
                           CHECK_OK,
            percent < 10 ? advice : NULL, "%u %% of the database's disk are free, %.1f GB.", percent,
            (double) d->free_bytes / 1e9);
}

static void check_certificate(Check *c, const char *what, const char *file, uint64_t warning, const char *advice)
{
        uint64_t now = now_usec(CLOCK_REALTIME), begin, end;
        char text[RFC3339_MAX];
        int r;

        if (!file)
                return;
        r = tls_certificate_times(file, &begin, &end);
        if (r < 0) {
                add(c, "certificate", CHECK_WARNING, "Make it readable for the user ssi-server.",
                    "Cannot read %s in %s: %s", what, file, strerror(-r));
                return;
        }
        format_rfc3339(end, text);
        if (end <= now)
                add(c, "certificate", CHECK_FAILURE, advice, "%s in %s ended at %s.", what, file, text);
        else
                add(c, "certificate", end - now < warning * USEC_PER_SEC ? CHECK_WARNING : CHECK_OK,
                    end - now < warning * USEC_PER_SEC ? advice : NULL, "%s is valid until %s.", what, text);
}

static void check_certificates(Check *c)
{
        check_certificate(c, "The certificate", c->cert, CERT_WARNING_SEC,
                          c->ca ? "The backend renews it by itself: see its journal, and the rights of the folder." :
                                  "Renew it; the backend takes the new one by itself.");
        if (c->backend->certificate.trouble)
                add(c, "certificate", CHECK_WARNING,
                    c->first_host_renews ?
                            "It is tried again, also by \"systemctl reload ssi-serverd\". If the first host is gone, or "
                            "has another authority, join again: \"ssictl server join-token\" there." :
                            "It is tried again, also by \"systemctl reload ssi-serverd\".",
                    "The certificate could not be renewed: %s", c->backend->certificate.trouble);
        check_certificate(
                c, "The certificate of the private authority", c->ca, CA_WARNING_SEC,
                "Move the folder away and restart: a new authority is made. Every agent must then be registered again.");
}

/* ---- The end ---- */

static int on_finish(sd_event_source *source, uint64_t usec, void *userdata)
{
        Check *c = userdata;

        c->done(&c->report, c->userdata);
        return 0;
}

/* From the loop: done frees the check, and with it the connection that may call right now. */
static void finish(Check *c)
{
        check_service(c);
        check_replica(c);
        check_disk(c);
        check_certificates(c);
        if (sd_event_add_time_relative(c->backend->event, &c->finish, CLOCK_MONOTONIC, 0, 0, on_finish, c) < 0)
                log_oom();
}

static int on_hearing(sd_event_source *source, uint64_t usec, void *userdata)
{
        Check *c = userdata;
        bool heard = c->backend->heard >= c->proof_at;

        if (!heard && now_usec(CLOCK_MONOTONIC) - c->proof_at < HEARING_USEC) {
                (void) sd_event_source_set_time_relative(source, HEARING_LOOK);
                return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        }
        if (heard)
                add(c, "notifications", CHECK_OK, NULL, "The instances hear each other through the database.");
        else
                add(c, "notifications", CHECK_FAILURE,
                    "Connect to PostgreSQL itself, or through a pooler in session mode.",
                    "The database's notifications do not arrive.");
        finish(c);
        return 0;
}

static void prove_hearing(Check *c)
{
        c->proof_at = now_usec(CLOCK_MONOTONIC);
        if (!c->backend->db || !c->backend->hearing_timer) {
                finish(c);
                return;
        }
        backend_prove_hearing(c->backend);
        c->timer = sd_event_source_disable_unref(c->timer);
        if (sd_event_add_time_relative(c->backend->event, &c->timer, CLOCK_MONOTONIC, 0, 1, on_hearing, c) < 0)
                finish(c);
}

/* ---- The database ---- */

static void answered(Check *c, PGresult *res, const char *subject)
{
        for (int i = 0; i < PQntuples(res); i++) {
                CheckStatus status = parse_status(PQgetvalue(res, i, 0));

                if (status == CHECK_OK && i > 0)
                        continue;
                add(c, subject, status, PQgetisnull(res, i, 2) ? NULL : PQgetvalue(res, i, 2), "%s",
                    PQgetvalue(res, i, 1));
        }
}

static int ask_version(Check *c, db_callback_t callback)
{
        int oldest, newest, r;
        char text[16];

        r = schema_range(c->backend, &oldest, &newest);
        if (r < 0)
                return r;
        snprintf(text, sizeof(text), "%d", newest);
        return db_query(c->db, SQL(check_version, .newest = text), callback, c);
}

static int ask_partitions(Check *c, db_callback_t callback)
{
        char days[16];

        snprintf(days, sizeof(days), "%u", c->backend->config->history_days);
        return db_query(c->db, SQL(check_partitions, .keep = days), callback, c);
}

static int ask_indexes(Check *c, db_callback_t callback)
{
        return db_query(c->db, SQL(check_indexes, .max_bytes = c->deep ? DEEP_MAX_BYTES : BTREE_MAX_BYTES), callback,
                        c);
}

static int ask_orphans(Check *c, db_callback_t callback)
{
        return db_query(c->db, SQL(check_orphans), callback, c);
}

static int ask_vacuum(Check *c, db_callback_t callback)
{
        return db_query(c->db, SQL(check_vacuum), callback, c);
}

static int ask_replication(Check *c, db_callback_t callback)
{
        return db_query(c->db, SQL(check_replication), callback, c);
}

static int ask_deliveries(Check *c, db_callback_t callback)
{
        return db_query(c->db, SQL(check_deliveries), callback, c);
}

static int ask_clock(Check *c, db_callback_t callback)
{
        c->asked_at = now_usec(CLOCK_REALTIME);
        return db_query(c->db, SQL(check_clock), callback, c);
}

/* What the answer's way took is not known to be a difference. */
static void clock_answered(Check *c, PGresult *res, const char *subject)
{
        int64_t now = (int64_t) now_usec(CLOCK_REALTIME), there = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
        int64_t way = (now - (int64_t) c->asked_at) / 2, apart = llabs(there - (now - way)) - llabs(way);

        if (apart < CLOCK_WARNING)
                add(c, subject, CHECK_OK, NULL, "The clocks of backend and database agree.");
        else
                add(c, subject, apart < CLOCK_FAILURE ? CHECK_WARNING : CHECK_FAILURE,
                    "Set both by NTP: timedatectl shows whether they are. Results would be overdue too early or too late.",
                    "The database's clock is %" PRId64 " s %s of this host's.", apart / (int64_t) USEC_PER_SEC,
                    there > now ? "ahead" : "behind");
}

static const struct {
        const char *subject;
        int (*ask)(Check *c, db_callback_t callback);
        void (*answered)(Check *c, PGresult *res, const char *subject);
} steps[] = {
        { "version", ask_version, answered },       { "partitions", ask_partitions, answered },
        { "indexes", ask_indexes, answered },       { "orphans", ask_orphans, answered },
        { "vacuum", ask_vacuum, answered },         { "replication", ask_replication, answered },
        { "deliveries", ask_deliveries, answered }, { "clock", ask_clock, clock_answered },
};

static void on_answer(PGresult *res, int error, void *userdata)
{
        Check *c = userdata;
        const char *subject = steps[c->step].subject;

        if (error == -ECANCELED)
                return;
        if (error < 0)
                add(c, subject, CHECK_WARNING,
                    "See the database's log; if it took too long, check again when there is less to do.",
                    "This cannot be checked: %s.", db_result_message(res));
        else if (PQntuples(res) > 0)
                steps[c->step].answered(c, res, subject);
        c->step++;
        next_step(c);
}

static void unreachable(Check *c)
{
        add(c, "database", CHECK_FAILURE, "See the journal: journalctl -u ssi-serverd -u ssi-postgres.",
            "The database cannot be reached, so most cannot be checked.");
        c->step = ELEMENTSOF(steps);
        finish(c);
}

static void next_step(Check *c)
{
        int r;

        if (c->step == ELEMENTSOF(steps)) {
                prove_hearing(c);
                return;
        }
        r = steps[c->step].ask(c, on_answer);
        if (r < 0)
                unreachable(c);
}

static void on_state(bool ready, void *userdata)
{
        Check *c = userdata;

        if (!ready || !c->timer)
                return;
        c->timer = sd_event_source_disable_unref(c->timer);
        next_step(c);
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        Check *c = userdata;

        c->timer = sd_event_source_disable_unref(c->timer);
        unreachable(c);
        return 0;
}

static int prepare(Check *c)
{
        _cleanup_(db_hosts_unrefp) DbHosts *hosts = NULL;
        int r;

        r = db_hosts_new(c->backend->config->database_url, &hosts);
        if (r < 0)
                return r;
        db_hosts_set_optional(hosts, c->deep ? DEEP_MS : STATEMENT_MS);
        r = db_new(c->backend->event, hosts, 1, &c->db);
        if (r < 0)
                return r;
        db_set_state_callback(c->db, on_state, c);
        return sd_event_add_time_relative(c->backend->event, &c->timer, CLOCK_MONOTONIC, CONNECT_USEC, 1, on_timeout,
                                          c);
}

int check_start(Backend *b, const CheckOptions *options, void (*done)(const CheckReport *report, void *userdata),
                void *userdata, Check **ret)
{
        Check *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        *c = (Check){ .backend = b,
                      .deep = options->deep,
                      .first_host_renews = options->first_host_renews,
                      .done = done,
                      .userdata = userdata };
        r = free_and_strdup(&c->cert, options->cert);
        if (r >= 0)
                r = free_and_strdup(&c->ca, options->ca);
        if (r >= 0)
                r = prepare(c);
        if (r < 0) {
                check_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

Check *check_free(Check *c)
{
        if (!c)
                return NULL;
        db_free(c->db);
        sd_event_source_disable_unref(c->timer);
        sd_event_source_disable_unref(c->finish);
        for (size_t i = 0; i < c->report.n; i++) {
                free(c->report.lines[i].message);
                free(c->report.lines[i].advice);
        }
        free(c->report.lines);
        free(c->cert);
        free(c->ca);
        free(c);
        return NULL;
}
