/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "core/replica-internal.h"
#include "core/replica.sql.h"
#include "shared/time-util.h"

#define READS_MAX     1000
#define CATCH_UP_USEC (200 * USEC_PER_MSEC)

bool replica_parse_lsn(const char *s, uint64_t *ret)
{
        unsigned high, low;
        int n = 0;

        if (sscanf(s, "%8X/%8X%n", &high, &low, &n) != 2 || s[n])
                return false;
        *ret = (uint64_t) high << 32 | low;
        return true;
}

bool replica_parse_position(const char *s, Position *ret)
{
        Position p;
        int n = 0;

        if (sscanf(s, "%10u %n", &p.timeline, &n) != 1 || !replica_parse_lsn(s + n, &p.lsn))
                return false;
        *ret = p;
        return true;
}

static void read_free(Replica *r, Read *q)
{
        DL_DELETE(r->reads, q);
        r->n_reads--;
        for (unsigned i = 0; q->params && i < q->n_params; i++)
                free(q->params[i]);
        free(q->params);
        free(q);
}

void replica_deliver(Replica *r, Read *q, PGresult *res, int error)
{
        db_callback_t callback = q->callback;
        void *userdata = q->userdata;

        if (q->flight)
                q->flight->read = NULL;
        read_free(r, q);
        callback(res, error, userdata);
}

void replica_fall_back(Replica *r, Read *q, ReplicaState why)
{
        int error;

        if (r->freeing) {
                replica_deliver(r, q, NULL, -ECANCELED);
                return;
        }
        r->stats.fallbacks[why]++;
        if (q->flight)
                q->flight->read = NULL;
        q->flight = NULL;
        error = backend_query(r->backend, q->sql, q->n_params, (const char *const *) q->params, q->callback,
                              q->userdata);
        if (error < 0)
                replica_deliver(r, q, NULL, error);
        else
                read_free(r, q);
}

static void land(Flight *f)
{
        if (--f->n_pending == 0)
                free(f);
}

static void on_guarded(PGresult *res, int error, void *userdata)
{
        Flight *f = userdata;

        f->has_all = error == 0 && PQntuples(res) == 1 && streq(PQgetvalue(res, 0, 0), "t");
        if (!f->has_all && f->read)
                replica_fall_back(f->replica, f->read,
                                  error == 0           ? REPLICA_LAGS :
                                  error == -ECONNRESET ? REPLICA_UNREACHABLE :
                                                         REPLICA_FAILED);
        land(f);
}

static void on_read(PGresult *res, int error, void *userdata)
{
        Flight *f = userdata;

        if (f->read && error == 0) {
                f->replica->stats.reads++;
                replica_deliver(f->replica, f->read, res, error);
        } else if (f->read)
                replica_fall_back(f->replica, f->read, error == -ECONNRESET ? REPLICA_UNREACHABLE : REPLICA_FAILED);
        land(f);
}

/* The reader with the fewest statements under way, or NULL. */
static DbConn *pick_reader(Replica *r)
{
        DbConn *best = NULL;

        for (size_t i = 0; i < READERS; i++) {
                DbConn *c = r->readers[i];

                if (db_conn_is_ready(c) && (!best || db_conn_in_flight(c) < db_conn_in_flight(best)))
                        best = c;
        }
        return best;
}

static void start_read(Replica *r, Read *q, uint64_t now)
{
        DbConn *c = pick_reader(r);
        Flight *f = c ? calloc(1, sizeof(*f)) : NULL;

        if (!f) {
                replica_fall_back(r, q, REPLICA_UNREACHABLE);
                return;
        }
        *f = (Flight){ .replica = r, .read = q, .conn = c, .n_pending = 1 };
        q->flight = f;
        q->deadline = now + READ_USEC;
        if (db_conn_query(c, NULL, SQL(replica_guard, .system = r->system, .position = q->position), on_guarded, f) <
            0) {
                free(f);
                q->flight = NULL;
                replica_fall_back(r, q, REPLICA_UNREACHABLE);
                return;
        }
        f->n_pending++;
        if (db_conn_query(c, NULL, q->sql, q->n_params, (const char *const *) q->params, on_read, f) < 0) {
                f->n_pending--;
                replica_fall_back(r, q, REPLICA_UNREACHABLE);
        }
}

void replica_advance(Replica *r, uint64_t now)
{
        Read *q, *tmp;

        DL_FOREACH_SAFE(r->reads, q, tmp) {
                if (q->flight)
                        continue;
                if (r->stats.state != REPLICA_USED)
                        replica_fall_back(r, q, r->stats.state);
                else if (q->lsn <= r->replayed)
                        start_read(r, q, now);
                else if (now >= q->deadline)
                        replica_fall_back(r, q, REPLICA_LAGS);
        }
}

static Read *read_new(const char *position, uint64_t lsn, const char *sql, unsigned n_params, const char *const *params,
                      db_callback_t callback, void *userdata)
{
        Read *q = calloc(1, sizeof(*q));

        if (!q)
                return NULL;
        *q = (Read){ .lsn = lsn, .sql = sql, .n_params = n_params, .callback = callback, .userdata = userdata };
        snprintf(q->position, sizeof(q->position), "%s", position);
        q->params = calloc(MAX(n_params, 1U), sizeof(*q->params));
        for (unsigned i = 0; q->params && i < n_params; i++)
                if (params[i] && !(q->params[i] = strdup(params[i]))) {
                        for (unsigned k = 0; k < i; k++)
                                free(q->params[k]);
                        free(q->params);
                        q->params = NULL;
                }
        if (!q->params) {
                free(q);
                return NULL;
        }
        return q;
}

int replica_query(Replica *r, const char *position, const char *sql, unsigned n_params, const char *const *params,
                  db_callback_t callback, void *userdata)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        Position p;
        Read *q;

        if (r->stats.state != REPLICA_USED || r->n_reads >= READS_MAX || !replica_parse_position(position, &p)) {
                r->stats.fallbacks[r->stats.state != REPLICA_USED ? r->stats.state : REPLICA_FAILED]++;
                return backend_query(r->backend, sql, n_params, params, callback, userdata);
        }
        q = read_new(position, p.lsn, sql, n_params, params, callback, userdata);
        if (!q)
                return -ENOMEM;
        DL_APPEND(r->reads, q);
        r->n_reads++;
        q->deadline = now + CATCH_UP_USEC;
        if (q->lsn <= r->replayed)
                start_read(r, q, now);
        else
                replica_look(r, now);
        replica_arm(r, now);
        return 0;
}
