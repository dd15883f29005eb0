/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "agent/session-internal.h"
#include "ingest/ingest.h"
#include "shared/time-util.h"

/* What the database says of an agent's being there.
 *
 * An agent is online while its connection is, and that is written when it begins and ends. Each instance says every few
 * seconds that it lives, with one row for all of its agents; one that has not for a while is declared dead by whichever
 * instance deletes its row, and its agents are offline. With that beat each instance looks for what has become true by
 * the clock alone. Each of these is found by an index and changed by the statement that finds it, so that exactly one
 * instance tells of it.
 *
 * Nobody is judged by a silence of ours: who has just (re)connected to the database first gives the others, and the
 * agents, time to do the same. */

#define BEAT_USEC       (5 * USEC_PER_SEC)
#define DEAD_AFTER      "40 s"
#define CONTINUITY_USEC (45 * USEC_PER_SEC) /* of one's own beats, before others are declared dead */
#define LATE_MAX        10000
#define BREAK_USEC      (20 * USEC_PER_SEC) /* between beats, after which others may have declared us dead */

/* ---- The beat ---- */

/* Rows of what, user, server, argument: 'n' when this instance had been declared dead. */
static const char sql_beat[] =
        "WITH me AS (INSERT INTO instances AS i (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET seen_at = now()"
        "  RETURNING xmax = 0 AS new),"
        " gone AS (DELETE FROM instances WHERE $2::bool AND seen_at < now() - interval '" DEAD_AFTER "' AND id <> $1"
        "  RETURNING id, seen_at),"
        " lost AS (UPDATE servers s SET connected = false, last_seen = greatest(s.last_seen, gone.seen_at) FROM gone"
        "  WHERE s.connected AND s.instance = gone.id RETURNING s.id),"
        " waited AS (UPDATE servers s SET rebooting_until = NULL WHERE rebooting_until < now() RETURNING s.id),"
        " late AS (UPDATE services v SET stale_since = v.due_at FROM"
        "  (SELECT server_id, name FROM services WHERE $3::bool AND due_at < now() AND stale_since IS NULL"
        "   ORDER BY due_at LIMIT $4::int FOR UPDATE SKIP LOCKED) d"
        "  WHERE v.server_id = d.server_id AND v.name = d.name RETURNING v.server_id, v.name)"
        " SELECT 'n' AS what, NULL::text, NULL::text, NULL::text FROM me WHERE new"
        " UNION ALL SELECT 's', u.public_id, s.public_id, NULL"
        "  FROM (TABLE lost UNION TABLE waited UNION SELECT server_id FROM late) c(id)"
        "  JOIN servers s ON s.id = c.id JOIN users u ON u.id = s.user_id"
        " UNION ALL SELECT 'v', u.public_id, s.public_id, l.name FROM late l"
        "  JOIN servers s ON s.id = l.server_id JOIN users u ON u.id = s.user_id";

/* Returns whether this instance had been declared dead. */
static bool publish_rows(Backend *backend, PGresult *res)
{
        _cleanup_(changes_clear) Changes changes = {};
        bool declared_dead = false;
        int r = 0;

        for (int row = 0; row < PQntuples(res) && r >= 0; row++) {
                char what = *PQgetvalue(res, row, 0);

                if (what == 'n')
                        declared_dead = true;
                else
                        r = changes_add(&changes, (ChangeKind) what, PQgetvalue(res, row, 1),
                                        PQgetvalue(res, row, 2),
                                        PQgetisnull(res, row, 3) ? NULL : PQgetvalue(res, row, 3));
        }
        if (changes.n > 0)
                backend_publish(backend, &changes, false);
        return declared_dead;
}

static void beat_done(PGresult *res, int error, void *userdata)
{
        AgentSessions *a = userdata;

        bool broken = a->last_beat + BREAK_USEC < now_usec(CLOCK_MONOTONIC);

        a->beating = false;
        if (error == -EAGAIN)
                return; /* a deadlock with a batch: the next one */
        /* A full disk may have room for this row, and yet for no other. */
        if (error < 0 || !ingest_is_stalled(a->backend->ingest))
                backend_wrote(a->backend, error, db_result_message(res));
        if (error < 0) {
                a->beats_since = 0;
                return;
        }
        if (a->beats_since == 0)
                a->beats_since = now_usec(CLOCK_MONOTONIC);
        a->last_beat = now_usec(CLOCK_MONOTONIC);
        if (publish_rows(a->backend, res) || broken || a->recheck)
                agent_sessions_check(a);
}

static void beat(AgentSessions *a)
{
        uint64_t lasted = a->beats_since > 0 ? now_usec(CLOCK_MONOTONIC) - a->beats_since : 0;
        uint64_t grace = a->backend->config->stale_grace_seconds * USEC_PER_SEC;
        char limit[16];

        if (a->beating)
                return;
        snprintf(limit, sizeof(limit), "%d", LATE_MAX);

        const char *params[] = { a->backend->instance, lasted >= CONTINUITY_USEC ? "t" : "f",
                                 a->beats_since > 0 && lasted >= grace ? "t" : "f", limit };

        if (backend_query(a->backend, sql_beat, ELEMENTSOF(params), params, beat_done, a) >= 0)
                a->beating = true;
        else
                a->beats_since = 0;
}

/* ---- The check ---- */

/* Which of the sessions held here are still current; and those of this instance's that it does not hold any more, because
 * their end could not be written. One that was heard of just now may be on its way in: that is looked at again. Rows of
 * what, user, server, argument: 'h' names one that is held, 'r' one to look at again. */
static const char sql_check[] =
        "WITH held AS (SELECT s.id, s.public_id FROM unnest($2::bigint[], $3::bigint[]) b(id, epoch)"
        "  JOIN servers s ON s.id = b.id AND s.session_epoch = b.epoch),"
        " back AS (UPDATE servers s SET connected = true, instance = $1 FROM held h"
        "  WHERE s.id = h.id AND (NOT s.connected OR s.instance IS DISTINCT FROM $1) RETURNING s.id),"
        " ended AS (UPDATE servers s SET connected = false, last_seen = now()"
        "  WHERE s.connected AND s.instance = $1 AND s.id <> ALL ($2::bigint[])"
        "  AND s.last_seen < now() - interval '10 s' RETURNING s.id)"
        " SELECT 'h' AS what, NULL::text, public_id, NULL::text FROM held"
        " UNION ALL SELECT 'r', NULL, public_id, NULL FROM servers s WHERE s.connected AND s.instance = $1"
        "  AND s.id <> ALL ($2::bigint[]) AND s.last_seen >= now() - interval '10 s'"
        " UNION ALL SELECT 's', u.public_id, s.public_id, NULL FROM (TABLE back UNION TABLE ended) c(id)"
        "  JOIN servers s ON s.id = c.id JOIN users u ON u.id = s.user_id";

static void check_done(PGresult *res, int error, void *userdata)
{
        AgentSessions *a = userdata;
        AgentSession *s, *tmp;

        a->checking = false;
        if (error < 0) {
                a->recheck = true;
                return;
        }
        for (int row = 0; row < PQntuples(res); row++) {
                if (*PQgetvalue(res, row, 0) == 's') {
                        backend_publish_one(a->backend, CHANGE_SERVER, PQgetvalue(res, row, 1),
                                           PQgetvalue(res, row, 2), NULL);
                        continue;
                }
                if (*PQgetvalue(res, row, 0) == 'r') {
                        a->recheck = true;
                        continue;
                }
                HASH_FIND(hh_server, a->by_server, PQgetvalue(res, row, 2), (size_t) PQgetlength(res, row, 2), s);
                if (s)
                        s->checked = false;
        }
        HASH_ITER(hh, a->by_agent, s, tmp) {
                if (!s->checked)
                        continue;
                s->checked = false;
                agent_session_supersede(s);
        }
}

void agent_sessions_check(AgentSessions *a)
{
        _cleanup_(db_array_free) DbArray ids = {}, epochs = {};
        AgentSession *s, *tmp;

        if (a->checking || !backend_is_ready(a->backend))
                return;
        HASH_ITER(hh, a->by_agent, s, tmp) {
                s->checked = s->ws && s->state == SESSION_READY;
                if (!s->checked)
                        continue;
                db_array_int(&ids, s->id);
                db_array_int(&epochs, s->epoch);
        }

        const char *params[] = { a->backend->instance, db_array_done(&ids), db_array_done(&epochs) };

        a->checking = params[1] && params[2] &&
                      backend_query(a->backend, sql_check, ELEMENTSOF(params), params, check_done, a) >= 0;
        a->recheck = !a->checking;
}

/* ---- The ends of sessions ---- */

/* Unless another session has taken over. */
static const char sql_offline[] =
        "WITH ended AS (UPDATE servers s SET connected = false, last_seen = now()"
        "  FROM unnest($1::bigint[], $2::bigint[]) b(id, epoch)"
        "  WHERE s.id = b.id AND s.session_epoch = b.epoch AND s.connected RETURNING s.public_id, s.user_id)"
        " SELECT 's', u.public_id, e.public_id, NULL FROM ended e JOIN users u ON u.id = e.user_id";

static void offline_next(AgentSessions *a);

static void offline_done(PGresult *res, int error, void *userdata)
{
        AgentSessions *a = userdata;

        a->ending = false;
        if (error < 0)
                a->recheck = true;
        else
                (void) publish_rows(a->backend, res);
        if (error != -ECANCELED)
                offline_next(a);
}

/* Many may end at once: one statement at a time, for all that ended meanwhile. */
static void offline_next(AgentSessions *a)
{
        const char *params[2];

        if (a->ending || (a->ended_ids.n == 0 && !a->ended_ids.oom))
                return;
        params[0] = db_array_done(&a->ended_ids);
        params[1] = db_array_done(&a->ended_epochs);
        a->ending = params[0] && params[1] &&
                    backend_query(a->backend, sql_offline, ELEMENTSOF(params), params, offline_done, a) >= 0;
        a->recheck |= !a->ending;
        agent_sessions_presence_done(a);
}

void agent_sessions_presence_done(AgentSessions *a)
{
        db_array_free(&a->ended_ids);
        db_array_free(&a->ended_epochs);
}

void agent_session_mark_offline(AgentSession *s)
{
        db_array_int(&s->owner->ended_ids, s->id);
        db_array_int(&s->owner->ended_epochs, s->epoch);
        offline_next(s->owner);
}

/* ---- One agent ---- */

typedef struct PresenceCall {
        AgentSessions *owner;
        char *user, *id;
} PresenceCall;

static void presence_done(PGresult *res, int error, void *userdata)
{
        PresenceCall *c = userdata;

        if (error == 0 && PQntuples(res) > 0)
                backend_publish_one(c->owner->backend, CHANGE_SERVER, c->user, c->id, NULL);
        else if (error < 0)
                c->owner->recheck = true;
        free(c->user);
        free(c->id);
        free(c);
}

void agent_session_going_down(AgentSession *s, bool cancelled)
{
        static const char sql[] =
                "UPDATE servers SET rebooting_until = CASE WHEN $3::int > 0 THEN now() + make_interval(secs => $3::int) END"
                " WHERE id = $1::bigint AND session_epoch = $2::bigint RETURNING 1";
        PresenceCall *c = calloc(1, sizeof(*c));
        char id[32], epoch[32], seconds[16];

        if (!c) {
                s->owner->recheck = true;
                return;
        }
        *c = (PresenceCall){ .owner = s->owner, .user = strdup(s->user), .id = strdup(s->server) };
        snprintf(id, sizeof(id), "%lld", (long long) s->id);
        snprintf(epoch, sizeof(epoch), "%lld", (long long) s->epoch);
        snprintf(seconds, sizeof(seconds), "%u", cancelled ? 0 : s->owner->backend->config->reboot_seconds);

        const char *params[] = { id, epoch, seconds };

        if (!c->user || !c->id ||
            backend_query(s->owner->backend, sql, ELEMENTSOF(params), params, presence_done, c) < 0)
                presence_done(NULL, -ENOTCONN, c);
}

/* ---- The timer ---- */

static uint64_t beat_interval(const AgentSessions *a)
{
        return MIN(BEAT_USEC, a->backend->config->stale_grace_seconds * USEC_PER_SEC / 2);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        AgentSessions *a = userdata;

        if (!a->backend->stopping)
                beat(a);
        (void) sd_event_source_set_time_relative(source, beat_interval(a));
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int agent_sessions_start_presence(AgentSessions *a)
{
        return sd_event_add_time_relative(a->backend->event, &a->timer, CLOCK_MONOTONIC, 0, USEC_PER_SEC / 10, on_timer,
                                          a);
}
