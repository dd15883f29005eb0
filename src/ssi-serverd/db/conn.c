/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <utlist.h>

#include "db/conn.h"
#include "shared/log.h"

/* A connection is CONNECTING (libpq polls its socket), READY (pipeline mode; each statement is followed by
 * its own sync, so each is a transaction) or WAITING for the next attempt. The server answers in order, so
 * the statements under way are a queue: results belong to its head until the head's sync arrives. */

#define RETRY_MIN_USEC   (50 * USEC_PER_MSEC)
#define RETRY_MAX_USEC   (5 * USEC_PER_SEC)
#define SEND_BUFFER_SIZE (2 * 1024 * 1024) /* the kernel cuts it to net.core.wmem_max */
#define DB_PREPARED_MAX  8U

typedef enum DbConnState {
        DB_CONN_WAITING,
        DB_CONN_CONNECTING,
        DB_CONN_SETTING_UP,
        DB_CONN_READY,
} DbConnState;

typedef struct DbQuery {
        db_callback_t callback;
        void *userdata;
        PGresult *res;
        const char *prepares; /* the statement's name, until the database has answered the preparation */
        bool own;             /* ours, not a caller's */
        struct DbQuery *prev, *next;
} DbQuery;

struct DbConn {
        DbHosts *hosts;
        unsigned host;  /* the one that is connected, or being tried */
        unsigned tried; /* hosts of this round */
        const DbConnHandler *handler;
        void *userdata;

        DbConnState state;
        PGconn *pg;
        sd_event *event;
        sd_event_source *io;
        sd_event_source *timer;
        uint64_t retry_usec;
        bool broken;         /* found while sending; closed from the loop */
        const char *refused; /* why this is not the right one: the next host, from the loop */
        DbQuery *queries;
        unsigned n_queries;
        const char *prepared[DB_PREPARED_MAX]; /* names */
        unsigned n_prepared;
};

static void db_conn_connect(DbConn *c);
static int db_conn_on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata);
static int db_conn_push(DbConn *c, const char *name, const char *sql, unsigned n_params, const char *const *params,
                        db_callback_t callback, void *userdata);

static void db_query_free(DbQuery *q)
{
        PQclear(q->res);
        free(q);
}

static void db_conn_arm(DbConn *c, uint64_t usec)
{
        (void) sd_event_source_set_time_relative(c->timer, usec);
        (void) sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

static void ignore_notice(void *arg, const char *message)
{
        log_debug("PostgreSQL: %.*s", (int) strcspn(message, "\n"), message);
}

/* A random time between half and all of the wait, so that instances do not reconnect in step. */
static uint64_t db_conn_next_retry(DbConn *c)
{
        uint64_t usec = c->retry_usec;
        uint32_t random = 0;

        c->retry_usec = MIN(usec * 2, RETRY_MAX_USEC);
        (void) !getrandom(&random, sizeof(random), GRND_NONBLOCK);
        return usec / 2 + random % (usec / 2);
}

static void db_conn_close(DbConn *c)
{
        c->io = sd_event_source_disable_unref(c->io);
        if (c->pg) {
                PQfinish(c->pg);
                c->pg = NULL;
        }
        c->broken = false;
        c->refused = NULL;
        c->n_prepared = 0;
}

static void db_conn_fail_queries(DbConn *c, int error)
{
        DbQuery *queries = TAKE_PTR(c->queries), *q, *tmp;

        c->n_queries = 0;
        DL_FOREACH_SAFE(queries, q, tmp) {
                DL_DELETE(queries, q);
                if (q->callback)
                        q->callback(NULL, error, q->userdata);
                db_query_free(q);
        }
}

void db_conn_suspend(DbConn *c)
{
        bool was_ready = c->state == DB_CONN_READY;

        db_conn_close(c);
        c->state = DB_CONN_WAITING;
        (void) sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
        if (was_ready)
                c->handler->state_changed(c, false, c->userdata);
        db_conn_fail_queries(c, -ECONNRESET);
}

/* The next host is tried at once; after the last one there is a wait. */
static void db_conn_host_failed(DbConn *c, const char *reason)
{
        unsigned n = db_hosts_count(c->hosts);

        /* Whoever has told its version has answered. */
        db_hosts_failed(c->hosts, c->host, reason, c->pg && PQserverVersion(c->pg) > 0);
        db_conn_suspend(c);
        c->host = (c->host + 1) % n;
        c->tried = (c->tried + 1) % n;
        db_conn_arm(c, c->tried > 0 ? 0 : db_conn_next_retry(c));
}

static void db_conn_fail(DbConn *c)
{
        const char *reason = c->pg ? PQerrorMessage(c->pg) : "out of memory";

        /* A pooler takes connections also while its PostgreSQL is down. */
        if (c->state == DB_CONN_SETTING_UP) {
                db_conn_host_failed(c, reason);
                return;
        }
        log_debug("Database connection: %s", reason);
        db_conn_suspend(c);
        c->tried = 0;
        c->host = db_hosts_first(c->hosts);
        db_conn_arm(c, db_conn_next_retry(c));
}

void db_conn_resume(DbConn *c)
{
        if (c->state != DB_CONN_WAITING)
                return;
        c->retry_usec = RETRY_MIN_USEC;
        db_conn_arm(c, 0);
}

static int db_conn_watch(DbConn *c, uint32_t events)
{
        if (c->io)
                return sd_event_source_set_io_events(c->io, events);
        return sd_event_add_io(c->event, &c->io, PQsocket(c->pg), events, db_conn_on_io, c);
}

static int db_conn_flush(DbConn *c)
{
        int r;

        r = PQflush(c->pg);
        if (r < 0)
                return -ECONNRESET;
        return db_conn_watch(c, EPOLLIN | (r > 0 ? EPOLLOUT : 0));
}

static void db_conn_is_set_up(PGresult *res, int error, void *userdata)
{
        DbConn *c = userdata;

        if (c->state != DB_CONN_SETTING_UP)
                return;
        if (error < 0) {
                log_debug("Database connection: %s", db_result_message(res));
                c->refused = "it refuses a first statement";
        } else if (db_hosts_refuse(c->hosts, *PQgetvalue(res, 0, 0) == 't', *PQgetvalue(res, 0, 1) == 't'))
                c->refused = "session is read-only";
        if (c->refused)
                return;
        c->state = DB_CONN_READY;
        c->retry_usec = RETRY_MIN_USEC;
        c->tried = 0;
        db_hosts_answered(c->hosts, c->host);
        (void) sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
        c->handler->state_changed(c, true, c->userdata);
}

/* Our statements are many and short: parallel workers and JIT would cost each more than they save. Not set
 * by the connection's "options", which poolers refuse. A pooler also tells everybody what PostgreSQL told it when it
 * connected first, so libpq takes a primary that has become a standby for one that writes. */
static void db_conn_set_up(DbConn *c)
{
        static const char sql[] =
                "SELECT current_setting('transaction_read_only')::bool, pg_is_in_recovery(),"
                " set_config('max_parallel_workers_per_gather', '0', false), set_config('jit', 'off', false),"
                " CASE WHEN $1 <> '0' THEN set_config('statement_timeout', $1, false) END";
        char timeout[16];

        snprintf(timeout, sizeof(timeout), "%u", db_hosts_statement_timeout(c->hosts));
        if (db_conn_push(c, NULL, sql, 1, (const char *const[]){ timeout }, db_conn_is_set_up, c) < 0) {
                c->broken = true;
                db_conn_arm(c, 0);
                return;
        }
        /* It does not take a caller's place in the pipeline. */
        c->queries->own = true;
        c->n_queries = 0;
}

static void db_conn_established(DbConn *c)
{
        if (PQsetnonblocking(c->pg, 1) < 0 || PQenterPipelineMode(c->pg) != 1 || db_conn_watch(c, EPOLLIN) < 0) {
                db_conn_fail(c);
                return;
        }
        PQsetNoticeProcessor(c->pg, ignore_notice, NULL);
        /* The kernel buffers a whole batch, so the database can read it while this process is busy. */
        (void) setsockopt(PQsocket(c->pg), SOL_SOCKET, SO_SNDBUF, &(int){ SEND_BUFFER_SIZE }, sizeof(int));
        c->state = DB_CONN_SETTING_UP;
        db_conn_set_up(c);
}

static void db_conn_poll(DbConn *c)
{
        PostgresPollingStatusType status;
        int r = 0;

        /* libpq may close its socket and open another one with the same number, so the watch is removed
         * first. */
        c->io = sd_event_source_disable_unref(c->io);
        status = PQconnectPoll(c->pg);
        if (status == PGRES_POLLING_OK) {
                db_conn_established(c);
                return;
        }
        if (status == PGRES_POLLING_READING)
                r = db_conn_watch(c, EPOLLIN);
        else if (status == PGRES_POLLING_WRITING)
                r = db_conn_watch(c, EPOLLOUT);
        if (r < 0 || status == PGRES_POLLING_FAILED)
                db_conn_host_failed(c, r < 0 ? strerror(-r) : PQerrorMessage(c->pg));
}

static void db_conn_connect(DbConn *c)
{
        c->pg = db_hosts_connect(c->hosts, c->host);
        if (!c->pg || PQstatus(c->pg) == CONNECTION_BAD || db_conn_watch(c, EPOLLOUT) < 0) {
                db_conn_host_failed(c, c->pg ? PQerrorMessage(c->pg) : "out of memory");
                return;
        }
        c->state = DB_CONN_CONNECTING;
        db_conn_arm(c, db_hosts_timeout_usec(c->hosts));
}

static void db_conn_finish_head(DbConn *c)
{
        DbQuery *q = c->queries;
        int error;

        if (!q)
                return;
        DL_DELETE(c->queries, q);
        c->n_queries -= !q->own;
        error = db_result_to_errno(q->res);
        if (q->callback)
                q->callback(q->res, error, q->userdata);
        db_query_free(q);
}

static bool db_conn_is_prepared(const DbConn *c, const char *name)
{
        for (unsigned i = 0; i < c->n_prepared; i++)
                if (streq(c->prepared[i], name))
                        return true;
        return false;
}

/* A preparation is answered before its statement. After an error, the next use prepares again. */
static bool db_conn_took_preparation(DbConn *c, PGresult *res)
{
        const char *name = TAKE_PTR(c->queries->prepares);

        if (!name || PQresultStatus(res) == PGRES_COMMAND_OK)
                return name;
        for (unsigned i = 0; i < c->n_prepared; i++)
                if (c->prepared[i] == name)
                        c->prepared[i] = c->prepared[--c->n_prepared];
        return false;
}

static void db_conn_read(DbConn *c)
{
        bool ended = false;
        PGnotify *n;

        while (c->queries && !PQisBusy(c->pg)) {
                PGresult *res = PQgetResult(c->pg);

                if (!res) {
                        /* NULL ends a statement's results; twice in a row, the connection is gone. */
                        if (ended)
                                break;
                        ended = true;
                        continue;
                }
                ended = false;
                if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
                        PQclear(res);
                        db_conn_finish_head(c);
                } else if (!db_conn_took_preparation(c, res) &&
                           (!c->queries->res ||
                            (db_result_to_errno(res) < 0 && PQresultStatus(res) != PGRES_PIPELINE_ABORTED))) {
                        /* The commit comes with the sync, after the statement's own result, and may fail. A
                         * statement that was skipped because its preparation failed has no error of its own
                         * to report. */
                        PQclear(c->queries->res);
                        c->queries->res = res;
                } else
                        PQclear(res);
        }
        while ((n = PQnotifies(c->pg))) {
                c->handler->notified(c, n->relname, n->extra, c->userdata);
                PQfreemem(n);
        }
}

static int db_conn_on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        DbConn *c = userdata;

        if (c->state == DB_CONN_CONNECTING) {
                db_conn_poll(c);
                return 0;
        }

        /* Deliver what arrived before the connection broke: a result in hand is not an unknown outcome. */
        int ok = PQconsumeInput(c->pg);
        db_conn_read(c);
        if (c->refused)
                db_conn_host_failed(c, c->refused);
        else if (!ok || PQstatus(c->pg) == CONNECTION_BAD || c->broken || db_conn_flush(c) < 0)
                db_conn_fail(c);
        return 0;
}

static int db_conn_on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        DbConn *c = userdata;

        if (c->state == DB_CONN_WAITING)
                db_conn_connect(c);
        else if (c->broken)
                db_conn_fail(c);
        else if (c->state != DB_CONN_READY)
                db_conn_host_failed(c, "it takes too long");
        return 0;
}

int db_conn_new(sd_event *event, DbHosts *hosts, const DbConnHandler *handler, void *userdata, DbConn **ret)
{
        DbConn *c;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        *c = (DbConn){
                .hosts = db_hosts_ref(hosts),
                .host = db_hosts_first(hosts),
                .handler = handler,
                .userdata = userdata,
                .event = sd_event_ref(event),
                .retry_usec = RETRY_MIN_USEC,
        };
        r = sd_event_add_time_relative(event, &c->timer, CLOCK_MONOTONIC, 0, 1, db_conn_on_timer, c);
        if (r < 0) {
                db_conn_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

DbConn *db_conn_free(DbConn *c)
{
        if (!c)
                return NULL;
        db_conn_close(c);
        c->state = DB_CONN_WAITING;
        db_conn_fail_queries(c, -ECANCELED);
        sd_event_source_disable_unref(c->timer);
        sd_event_unref(c->event);
        db_hosts_unref(c->hosts);
        free(c);
        return NULL;
}

bool db_conn_is_ready(DbConn *c)
{
        return c->state == DB_CONN_READY && !c->broken;
}

unsigned db_conn_in_flight(DbConn *c)
{
        return c->n_queries;
}

static bool db_conn_send(DbConn *c, DbQuery *q, const char *name, const char *sql, unsigned n_params,
                         const char *const *params)
{
        if (name && !db_conn_is_prepared(c, name)) {
                if (c->n_prepared == DB_PREPARED_MAX)
                        name = NULL;
                else if (PQsendPrepare(c->pg, name, sql, 0, NULL))
                        c->prepared[c->n_prepared++] = q->prepares = name;
                else
                        return false;
        }
        return name ? PQsendQueryPrepared(c->pg, name, (int) n_params, params, NULL, NULL, 0) :
                      PQsendQueryParams(c->pg, sql, (int) n_params, NULL, params, NULL, NULL, 0);
}

static int db_conn_push(DbConn *c, const char *name, const char *sql, unsigned n_params, const char *const *params,
                        db_callback_t callback, void *userdata)
{
        DbQuery *q;

        if (c->n_queries >= DB_PIPELINE_MAX)
                return -EBUSY;
        q = calloc(1, sizeof(*q));
        if (!q)
                return -ENOMEM;
        q->callback = callback;
        q->userdata = userdata;

        if (!db_conn_send(c, q, name, sql, n_params, params)) {
                free(q);
                c->broken = true;
                db_conn_arm(c, 0);
                return -ENOTCONN;
        }
        DL_APPEND(c->queries, q);
        c->n_queries++;

        /* From here on the statement counts as sent, and its callback reports a failure. */
        if (!PQpipelineSync(c->pg) || db_conn_flush(c) < 0) {
                c->broken = true;
                db_conn_arm(c, 0);
        }
        return 0;
}

int db_conn_query(DbConn *c, const char *name, const char *sql, unsigned n_params, const char *const *params,
                  db_callback_t callback, void *userdata)
{
        return db_conn_is_ready(c) ? db_conn_push(c, name, sql, n_params, params, callback, userdata) : -ENOTCONN;
}

char *db_conn_quote_identifier(DbConn *c, const char *s)
{
        char *quoted, *copy;

        if (!db_conn_is_ready(c))
                return NULL;
        quoted = PQescapeIdentifier(c->pg, s, strlen(s));
        if (!quoted)
                return NULL;
        copy = strdup(quoted);
        PQfreemem(quoted);
        return copy;
}
