/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>
#include <uthash.h>

#include "api/metrics.h"
#include "api/stream.h"
#include "core/figures.h"
#include "core/replica.h"
#include "ingest/ingest.h"
#include "api/metrics.sql.h"

/* Routes times methods times codes; only a broken handler could cause more. */
#define SERIES_MAX 1024

typedef struct Series {
        char *labels;
        uint64_t n;
        UT_hash_handle hh;
} Series;

struct Metrics {
        Backend *backend;
        Series *requests;
        Histogram request_times;
};

/* A request for /metrics, with the figures from the database. */
typedef struct Scrape {
        Metrics *metrics;
        HttpRequest *req;
        char *outbox_items, *outbox_age; /* NULL: no outbox, or unknown */
        char *stray_events;              /* in the default partition; NULL: unknown */
} Scrape;

/* ---- Counting ---- */

static void on_answered(const char *method, const char *route, int status, uint64_t usec, void *userdata)
{
        _cleanup_free_ char *labels = NULL;
        Metrics *m = userdata;
        Series *s;

        histogram_add(&m->request_times, usec);
        if (asprintf(&labels, "method=\"%s\",route=\"%s\",code=\"%d\"", method, route, status) < 0) {
                labels = NULL;
                return;
        }
        HASH_FIND_STR(m->requests, labels, s);
        if (!s) {
                if (HASH_COUNT(m->requests) >= SERIES_MAX || !(s = calloc(1, sizeof(*s))))
                        return;
                s->labels = TAKE_PTR(labels);
                HASH_ADD_KEYPTR(hh, m->requests, s->labels, strlen(s->labels), s);
        }
        s->n++;
}

/* ---- Writing ---- */

static void put_head(FILE *f, const char *name, const char *type, const char *help)
{
        fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put(FILE *f, const char *name, const char *type, const char *help, uint64_t value)
{
        put_head(f, name, type, help);
        fprintf(f, "%s %llu\n", name, (unsigned long long) value);
}

static void put_histogram(FILE *f, const char *name, const char *help, const Histogram *h)
{
        static const uint64_t bounds[HISTOGRAM_BUCKETS] = HISTOGRAM_BOUNDS;
        uint64_t n = 0;

        put_head(f, name, "histogram", help);
        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
                n += h->counts[i];
                fprintf(f, "%s_bucket{le=\"%g\"} %llu\n", name, (double) bounds[i] / USEC_PER_SEC,
                        (unsigned long long) n);
        }
        fprintf(f, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", name, (unsigned long long) h->n, name,
                (double) h->sum / USEC_PER_SEC, name, (unsigned long long) h->n);
}

static void put_ingestion(FILE *f, Ingest *i)
{
        const IngestStats *s = ingest_stats(i);

        put(f, "ssi_ingest_items_total", "counter", "Committed items from agents.", s->items);
        put(f, "ssi_ingest_batches_total", "counter", "Committed transactions.", s->batches);
        put(f, "ssi_ingest_unchanged_total", "counter", "Services in batches whose row needed no update.",
            s->unchanged);
        put(f, "ssi_ingest_failed_batches_total", "counter", "Transactions that the database did not commit.",
            s->failed);
        put(f, "ssi_ingest_refused_total", "counter", "Sessions ended because the database refused an item.",
            s->refused);
        put(f, "ssi_ingest_queue_items", "gauge", "Items queued or under way.", ingest_pending(i));
        put_head(f, "ssi_ingest_lag_seconds", "gauge", "Upper bound of the age of the oldest of them.");
        fprintf(f, "ssi_ingest_lag_seconds %.3f\n", (double) ingest_lag(i) / USEC_PER_SEC);
        put_histogram(f, "ssi_ingest_commit_seconds", "From sending a batch to its commit.", &s->commit);
}

static void put_tables(FILE *f, const DatabaseFigures *d, const char *name, const char *help, size_t member)
{
        put_head(f, name, "gauge", help);
        for (size_t i = 0; i < d->n_tables; i++) {
                uint64_t value;

                memcpy(&value, (const char *) &d->tables[i] + member, sizeof(value));
                fprintf(f, "%s{table=\"%s\"} %llu\n", name, d->tables[i].name, (unsigned long long) value);
        }
}

static void put_figures(FILE *f, const DatabaseFigures *d)
{
        static const struct {
                const char *name, *help;
                size_t member;
        } tables[] = {
                { "ssi_database_table_bytes", "Size of a table without indexes; events is the history.",
                  offsetof(TableFigures, table_bytes) },
                { "ssi_database_index_bytes", "Size of its indexes.", offsetof(TableFigures, index_bytes) },
                { "ssi_database_live_rows", "Its rows, as PostgreSQL estimates.", offsetof(TableFigures, live) },
                { "ssi_database_dead_rows", "Rows that VACUUM has not removed yet.", offsetof(TableFigures, dead) },
                { "ssi_database_vacuum_waiting", "Its parts with so many of them that autovacuum is due.",
                  offsetof(TableFigures, waiting) },
                { "ssi_database_vacuumed_timestamp_seconds",
                  "When the part with dead rows that has waited longest was vacuumed; 0: none has, or never.",
                  offsetof(TableFigures, vacuumed) },
        };

        put(f, "ssi_database_bytes", "gauge", "Size of the database.", d->bytes);
        put(f, "ssi_database_transaction_age", "gauge", "Age in transactions of the oldest row that is not frozen.",
            d->age);
        put(f, "ssi_database_transaction_age_limit", "gauge", "Age at which autovacuum freezes rows in any case.",
            d->age_limit);
        put(f, "ssi_database_oldest_transaction_seconds", "gauge",
            "Duration of the longest transaction that can be seen.", d->oldest_transaction);
        put(f, "ssi_database_slot_wal_bytes", "gauge", "Write-ahead log that a replication slot keeps.", d->kept_wal);
        if (d->free_bytes != FIGURE_UNKNOWN) {
                put(f, "ssi_database_disk_bytes", "gauge", "Size of the database's file system.", d->disk_bytes);
                put(f, "ssi_database_disk_free_bytes", "gauge", "Free space on it.", d->free_bytes);
        }
        for (size_t i = 0; i < ELEMENTSOF(tables); i++)
                put_tables(f, d, tables[i].name, tables[i].help, tables[i].member);
}

static void put_replica(FILE *f, Replica *r)
{
        const ReplicaStats *s = replica_stats(r);

        put(f, "ssi_read_replica_used", "gauge", "Whether the read replica answers.", s->state == REPLICA_USED);
        put(f, "ssi_read_replica_reads_total", "counter", "Statements that the read replica answered.", s->reads);
        put_head(f, "ssi_read_replica_fallbacks_total", "counter",
                 "Statements that the primary answered instead, and why.");
        for (ReplicaState i = 0; i < _REPLICA_STATES; i++)
                if (i != REPLICA_USED)
                        fprintf(f, "ssi_read_replica_fallbacks_total{reason=\"%s\"} %llu\n", replica_state_name(i),
                                (unsigned long long) s->fallbacks[i]);
        if (!s->has_lag)
                return;
        put_head(f, "ssi_read_replica_lag_seconds", "gauge", "How old the oldest change is that it has not replayed.");
        fprintf(f, "ssi_read_replica_lag_seconds %.3f\n", (double) s->lag_usec / USEC_PER_SEC);
        put(f, "ssi_read_replica_lag_bytes", "gauge", "Write-ahead log that it has not replayed.", s->lag_bytes);
}

static void put_certificate(FILE *f, const Backend *b)
{
        if (b->certificate.end > 0)
                put(f, "ssi_certificate_end_timestamp_seconds", "gauge", "When this host's certificate ends.",
                    b->certificate.end / USEC_PER_SEC);
        put(f, "ssi_certificate_renewals_total", "counter", "Certificates that this process renewed.",
            b->certificate.renewed);
        put(f, "ssi_certificate_renewal_failures_total", "counter", "Attempts to renew it that failed.",
            b->certificate.failed);
        put(f, "ssi_certificate_renewal_failing", "gauge", "Whether the last attempt failed.",
            b->certificate.trouble != NULL);
}

static void put_all(FILE *f, const Scrape *c)
{
        const Metrics *m = c->metrics;
        Backend *s = m->backend;

        put_head(f, "ssi_http_requests_total", "counter", "Answered requests, by route.");
        for (const Series *r = m->requests; r; r = r->hh.next)
                fprintf(f, "ssi_http_requests_total{%s} %llu\n", r->labels, (unsigned long long) r->n);
        put_histogram(f, "ssi_http_request_duration_seconds", "From a complete request to its answer.",
                      &m->request_times);
        if (s->ingest)
                put_ingestion(f, s->ingest);
        put(f, "ssi_agent_sessions", "gauge", "Agents connected to this instance.", s->agent_sessions.open);
        put(f, "ssi_agent_sessions_total", "counter", "Accepted sessions.", s->agent_sessions.accepted);
        put(f, "ssi_agent_reconnects_total", "counter", "Sessions of agents that had a session before.",
            s->agent_sessions.returned);
        put(f, "ssi_streams", "gauge", "Open event streams.", streams_count(s->streams));
        put(f, "ssi_database_up", "gauge", "Whether the database is connected.", backend_is_ready(s));
        put(f, "ssi_database_writable", "gauge", "Whether the database accepted the last write.",
            backend_is_ready(s) && !s->trouble);
        put_certificate(f, s);
        if (figures_get(s->figures)->known)
                put_figures(f, figures_get(s->figures));
        if (s->replica)
                put_replica(f, s->replica);
        if (c->stray_events) {
                put_head(f, "ssi_history_stray_events", "gauge",
                         "Events outside the daily partitions, up to 1000; they are moved within the hour.");
                fprintf(f, "ssi_history_stray_events %s\n", c->stray_events);
        }
        if (c->outbox_items) {
                put_head(f, "ssi_notification_outbox_items", "gauge", "Waiting notifications.");
                fprintf(f, "ssi_notification_outbox_items %s\n", c->outbox_items);
                put_head(f, "ssi_notification_outbox_age_seconds", "gauge", "Age of the oldest waiting notification.");
                fprintf(f, "ssi_notification_outbox_age_seconds %s\n", c->outbox_age);
        }
}

static void scrape_answer(Scrape *c)
{
        _cleanup_free_ char *text = NULL;
        size_t n = 0;
        FILE *f;
        bool ok;

        f = open_memstream(&text, &n);
        if (f)
                put_all(f, c);
        ok = f && !ferror(f);
        ok = f && fclose(f) == 0 && ok;
        if (ok)
                http_respond_data(c->req, 200, "text/plain; version=0.0.4; charset=utf-8", text, n);
        else
                http_respond_problem(c->req, 500, "out-of-memory", NULL);
        http_request_unref(c->req);
        free(c->outbox_items);
        free(c->outbox_age);
        free(c->stray_events);
        free(c);
}

/* ---- Querying the database ---- */

static void outbox_done(PGresult *res, int error, void *userdata)
{
        Scrape *c = userdata;

        if (error == 0) {
                c->outbox_items = strdup(PQgetvalue(res, 0, 0));
                c->outbox_age = strdup(PQgetvalue(res, 0, 1));
        }
        if (!c->outbox_age)
                free(TAKE_PTR(c->outbox_items));
        scrape_answer(c);
}

static void stray_done(PGresult *res, int error, void *userdata)
{
        Scrape *c = userdata;
        bool outbox = error == 0 && *PQgetvalue(res, 0, 1) == 't';

        if (error == 0)
                c->stray_events = strdup(PQgetvalue(res, 0, 0));
        if (!outbox || backend_query(c->metrics->backend, SQL(stray_done), outbox_done, c) < 0)
                scrape_answer(c);
}

/* ---- The route ---- */

static bool is_allowed(const Backend *s, HttpRequest *req)
{
        const char *header = http_request_authorization(req);
        const char *token = header ? startswith(header, "Bearer ") : NULL;

        /* What a proxy passes on is not from here, even if the proxy is. */
        if (http_request_is_from_here(req))
                return true;
        return s->config->metrics_token && token && strlen(token) == strlen(s->config->metrics_token) &&
               sodium_memcmp(token, s->config->metrics_token, strlen(token)) == 0;
}

static void get_metrics(HttpRequest *req, void *userdata)
{
        Metrics *m = userdata;
        Scrape *c;

        if (!is_allowed(m->backend, req)) {
                http_respond_problem(req, 404, "not-found", "The resource does not exist.");
                return;
        }
        c = calloc(1, sizeof(*c));
        if (!c) {
                http_respond_problem(req, 500, "out-of-memory", NULL);
                return;
        }
        *c = (Scrape){ .metrics = m, .req = http_request_ref(req) };
        if (backend_query(m->backend, SQL(get_metrics), stray_done, c) < 0)
                scrape_answer(c);
}

int metrics_new(Backend *s, Metrics **ret)
{
        Metrics *m;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->backend = s;
        r = http_server_add_route(s->http, "GET", "/metrics", get_metrics, m);
        if (r < 0) {
                free(m);
                return r;
        }
        http_server_set_observer(s->http, on_answered, m);
        *ret = m;
        return 0;
}

Metrics *metrics_free(Metrics *m)
{
        Series *s, *tmp;

        if (!m)
                return NULL;
        HASH_ITER(hh, m->requests, s, tmp) {
                HASH_DEL(m->requests, s);
                free(s->labels);
                free(s);
        }
        free(m);
        return NULL;
}
