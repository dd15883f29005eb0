/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "core/replica-internal.h"
#include "core/replica.sql.h"
#include "shared/log.h"
#include "shared/time-util.h"

/* One connection looks at the replica every second, and every 10 ms while reads wait for it to catch up; others read. A read is
 * sent behind a guard, which tells whether the replica at the end of this very connection has what the reader may have seen. Reads that
 * the replica does not answer in time are sent to the primary; what it answers then is ignored. */

#define LOOK_USEC       USEC_PER_SEC
#define LOOK_FAST_USEC  (10 * USEC_PER_MSEC)
#define WATCH_USEC      (100 * USEC_PER_MSEC) /* for what takes too long */
#define SILENT_USEC     (2 * USEC_PER_SEC)
#define LAG_MAX_USEC    (2 * USEC_PER_SEC)
#define LOOKS_TO_RETURN 3 /* good ones, after trouble */

static const struct {
        const char *name, *reason;
} states[_REPLICA_STATES] = {
        [REPLICA_STARTING] = { "starting", "the read replica is being connected" },
        [REPLICA_USED] = { "used", NULL },
        [REPLICA_UNREACHABLE] = { "unreachable", "the read replica cannot be reached" },
        [REPLICA_SILENT] = { "silent", "the read replica does not answer" },
        [REPLICA_NO_STANDBY] = { "no-standby", "the server of SSI_DATABASE_READ_URL is not a standby" },
        [REPLICA_FOREIGN] = { "foreign", "the server of SSI_DATABASE_READ_URL is a standby of another database" },
        [REPLICA_TIMELINE] = { "timeline", "the read replica does not follow the present primary yet" },
        [REPLICA_LAGS] = { "lags", "the read replica lags" },
        [REPLICA_FAILED] = { "failed", "the read replica reported an error" },
};

const char *replica_state_name(ReplicaState state)
{
        return states[state].name;
}

const char *replica_state_reason(ReplicaState state)
{
        return states[state].reason;
}

unsigned replica_in_flight(const Replica *r)
{
        return r->n_reads;
}

/* ---- Whether it can be used ---- */

static void set_state(Replica *r, ReplicaState state)
{
        const char *trouble = state == REPLICA_UNREACHABLE ? db_hosts_trouble(r->hosts) : NULL;

        if (state != REPLICA_USED)
                r->good_looks = 0;
        if (state == r->stats.state)
                return;
        r->stats.state = state;
        if (state == REPLICA_USED)
                log_info("The history is read from the read replica.");
        else
                log_warning("The history is read from the primary: %s%s%.*s%s.", states[state].reason,
                            trouble ? " (" : "", trouble ? (int) strcspn(trouble, "\n") : 0, strempty(trouble),
                            trouble ? ")" : "");
}

static uint64_t lag(const Replica *r, uint64_t now)
{
        return r->n_samples > 0 ? now - r->samples[0].at : 0;
}

static void forget_reached_samples(Replica *r)
{
        unsigned n = 0;

        while (n < r->n_samples && r->samples[n].lsn <= r->replayed)
                n++;
        r->n_samples -= n;
        memmove(r->samples, r->samples + n, r->n_samples * sizeof(*r->samples));
}

/* What happened long ago is kept less precisely. */
static void add_sample(Replica *r, uint64_t lsn, uint64_t now)
{
        if (lsn <= r->replayed)
                return;
        if (r->n_samples == SAMPLES) {
                r->n_samples = SAMPLES / 2;
                for (unsigned i = 0; i < r->n_samples; i++)
                        r->samples[i] = r->samples[i * 2];
        }
        r->samples[r->n_samples++] = (Sample){ .lsn = lsn, .at = now };
}

/* The row: position, system identifier. */
static void on_primary(PGresult *res, int error, void *userdata)
{
        Replica *r = userdata;
        Position p;

        r->asking = false;
        if (error < 0 || PQntuples(res) != 1 || !replica_parse_position(PQgetvalue(res, 0, 0), &p))
                return;
        /* After a failover, positions of before mean nothing. */
        if (p.timeline != r->primary.timeline)
                r->n_samples = 0;
        r->primary = p;
        snprintf(r->system, sizeof(r->system), "%s", PQgetvalue(res, 0, 1));
        add_sample(r, p.lsn, now_usec(CLOCK_MONOTONIC));
}

static ReplicaState judge(const Replica *r, PGresult *res, uint64_t now)
{
        if (!streq(PQgetvalue(res, 0, 0), "t"))
                return REPLICA_NO_STANDBY;
        if (!streq(PQgetvalue(res, 0, 1), r->system))
                return REPLICA_FOREIGN;
        if (strtoul(PQgetvalue(res, 0, 2), NULL, 10) != r->primary.timeline)
                return REPLICA_TIMELINE;
        return lag(r, now) > LAG_MAX_USEC ? REPLICA_LAGS : REPLICA_USED;
}

/* The row: whether it is a standby, system identifier, timeline, what it has replayed. */
static void on_looked(PGresult *res, int error, void *userdata)
{
        Replica *r = userdata;
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        ReplicaState state;

        r->looking = false;
        if (r->freeing || error == -ECONNRESET)
                return;
        if (error < 0 || PQntuples(res) != 1) {
                set_state(r, REPLICA_FAILED);
                return;
        }
        /* Nothing to compare it with yet. */
        if (isempty(r->system))
                return;
        r->stats.has_lag = replica_parse_lsn(PQgetvalue(res, 0, 3), &r->replayed);
        forget_reached_samples(r);
        state = judge(r, res, now);
        if (state != REPLICA_USED || ++r->good_looks >= LOOKS_TO_RETURN || r->stats.state == REPLICA_STARTING)
                set_state(r, state);
        replica_advance(r, now);
}

const ReplicaStats *replica_stats(Replica *r)
{
        r->stats.has_lag = r->stats.has_lag && db_conn_is_ready(r->look);
        r->stats.lag_usec = lag(r, now_usec(CLOCK_MONOTONIC));
        r->stats.lag_bytes = r->primary.lsn > r->replayed ? r->primary.lsn - r->replayed : 0;
        return &r->stats;
}

void replica_look(Replica *r, uint64_t now)
{
        if (r->looking || db_conn_query(r->look, NULL, SQL(replica_look), on_looked, r) < 0)
                return;
        r->looking = true;
        r->looked = now;
}

void replica_arm(Replica *r, uint64_t now)
{
        uint64_t usec = r->look_next > now ? r->look_next - now : 0;
        Read *q;

        DL_FOREACH(r->reads, q)
                usec = MIN(usec, q->flight ? WATCH_USEC : LOOK_FAST_USEC);
        if (r->looking)
                usec = MIN(usec, WATCH_USEC);
        (void) sd_event_source_set_time_relative(r->timer, usec);
        (void) sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}

/* ---- Time ---- */

static void reconnect(DbConn *c)
{
        db_conn_suspend(c);
        db_conn_resume(c);
}

/* It takes what is sent and never answers: whoever waits is answered by the primary. */
static void give_up(Replica *r)
{
        Read *q, *tmp;

        set_state(r, REPLICA_SILENT);
        DL_FOREACH_SAFE(r->reads, q, tmp)
                replica_fall_back(r, q, REPLICA_SILENT);
        reconnect(r->look);
        for (size_t i = 0; i < READERS; i++)
                reconnect(r->readers[i]);
}

static Read *find_late(Replica *r, uint64_t now)
{
        Read *q;

        DL_FOREACH(r->reads, q)
                if (q->flight && now >= q->deadline)
                        return q;
        return NULL;
}

/* One connection alone may hang, too. The others on it are then answered by the primary as well. */
static void give_up_late_reads(Replica *r, uint64_t now)
{
        Read *q;

        while ((q = find_late(r, now))) {
                DbConn *c = q->flight->conn;

                replica_fall_back(r, q, REPLICA_SILENT);
                reconnect(c);
        }
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Replica *r = userdata;
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        bool waits = false;
        Read *q;

        if (r->looking && now - r->looked > SILENT_USEC)
                give_up(r);
        give_up_late_reads(r, now);
        /* A connection that ended is usually back at once; the reason comes with the next attempt. */
        if (!db_conn_is_ready(r->look) && r->stats.state != REPLICA_SILENT &&
            (db_hosts_trouble(r->hosts) || now - r->down_since > SILENT_USEC))
                set_state(r, REPLICA_UNREACHABLE);
        replica_advance(r, now);
        DL_FOREACH(r->reads, q)
                waits = waits || !q->flight;
        if (now >= r->look_next) {
                r->look_next = now + LOOK_USEC;
                if (!r->asking && backend_query(r->backend, SQL(primary_position), on_primary, r) >= 0)
                        r->asking = true;
                replica_look(r, now);
        } else if (waits)
                replica_look(r, now);
        replica_arm(r, now);
        return 0;
}

static void on_state(DbConn *c, bool up, void *userdata)
{
        Replica *r = userdata;

        if (r->freeing || c != r->look)
                return;
        if (up)
                r->look_next = 0;
        else
                r->down_since = now_usec(CLOCK_MONOTONIC);
        (void) sd_event_source_set_time_relative(r->timer, 0);
        (void) sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}

static void on_notified(DbConn *c, const char *channel, const char *payload, void *userdata)
{
}

static const DbConnHandler handler = { .state_changed = on_state, .notified = on_notified };

int replica_new(Backend *b, const char *conninfo, Replica **ret)
{
        Replica *r = calloc(1, sizeof(*r));
        int error;

        if (!r)
                return -ENOMEM;
        r->backend = b;
        r->down_since = now_usec(CLOCK_MONOTONIC);
        error = db_hosts_new(conninfo, &r->hosts);
        if (error >= 0) {
                db_hosts_set_optional(r->hosts, READ_USEC / USEC_PER_MSEC);
                error = sd_event_add_time_relative(b->event, &r->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_timer, r);
        }
        if (error >= 0)
                error = db_conn_new(b->event, r->hosts, &handler, r, &r->look);
        for (size_t i = 0; i < READERS && error >= 0; i++)
                error = db_conn_new(b->event, r->hosts, &handler, r, &r->readers[i]);
        if (error < 0) {
                replica_free(r);
                return error;
        }
        *ret = r;
        return 0;
}

Replica *replica_free(Replica *r)
{
        Read *q, *tmp;

        if (!r)
                return NULL;
        r->freeing = true;
        sd_event_source_disable_unref(r->timer);
        DL_FOREACH_SAFE(r->reads, q, tmp)
                replica_deliver(r, q, NULL, -ECANCELED);
        db_conn_free(r->look);
        for (size_t i = 0; i < READERS; i++)
                db_conn_free(r->readers[i]);
        db_hosts_unref(r->hosts);
        free(r);
        return NULL;
}
