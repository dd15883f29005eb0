/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "agent/session-internal.h"
#include "ingest/ingest.h"
#include "shared/time-util.h"
#include "agent/presence.sql.h"

/* Tracks in the database which agents are online, and which results are overdue (stale).
 *
 * An agent is online while its connection is; the start and the end of a connection are written. Every few
 * seconds, each instance writes one row as a sign of life for all of its agents. If an instance has not done
 * so for a while, another one declares it dead by deleting its row, and its agents are offline. With this
 * beat, each instance also looks for changes that happen by the clock alone. Each is found by an index and
 * changed by the statement that finds it, so that exactly one instance publishes it.
 *
 * Our own silence must not be held against others: an instance that has just (re)connected to the database
 * first gives the other instances, and the agents, time to do the same. */

#define BEAT_USEC       (5 * USEC_PER_SEC)
#define CONTINUITY_USEC (45 * USEC_PER_SEC) /* of our own beats, before we declare others dead */
#define LATE_MAX        10000
#define BREAK_USEC \
        (20 * USEC_PER_SEC) /* between our beats, after which others may have declared us
                                             * dead */

/* ---- The beat ---- */

/* Returns whether this instance had been declared dead. */
static bool publish_rows(Backend *backend, PGresult *res)
{
        _cleanup_(changes_clear) Changes changes = {};
        bool declared_dead = false;
        int r = 0;

        for (int row = 0; row < PQntuples(res) && r >= 0; row++) {
                char what = *PQgetvalue(res, row, 0);

                if (what == 'n') {
                        declared_dead = true;
                        /* Nobody knew whether it has viewers. */
                        backend->events->missed(backend);
                        continue;
                }
                if (what == CHANGE_MISSED)
                        backend->events->missed(backend);
                if (r >= 0)
                        r = changes_add(&changes, (ChangeKind) what, PQgetvalue(res, row, 1), PQgetvalue(res, row, 2),
                                        PQgetisnull(res, row, 3) ? NULL : PQgetvalue(res, row, 3));
        }
        if (changes.n > 0)
                backend_publish(backend, &changes);
        return declared_dead;
}

static void beat_done(PGresult *res, int error, void *userdata)
{
        AgentSessions *a = userdata;

        bool broken = a->last_beat + BREAK_USEC < now_usec(CLOCK_MONOTONIC);

        a->beating = false;
        if (error == -EAGAIN)
                return; /* a deadlock with a batch: the next beat tries again */
        /* A full disk may still have room for this row, but for no other. */
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

        if (backend_query(a->backend,
                          SQL(beat, .instance = a->backend->instance, .host = a->backend->host,
                              .hostname = a->backend->hostname, .version = SSI_VERSION, .started = a->backend->started,
                              .viewed = sql_bool(a->backend->n_viewers > 0),
                              .steady = sql_bool(lasted >= CONTINUITY_USEC),
                              .judge = sql_bool(a->beats_since > 0 && lasted >= grace), .limit = limit),
                          beat_done, a) >= 0)
                a->beating = true;
        else
                a->beats_since = 0;
}

/* ---- The check ---- */

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
                        backend_publish_one(a->backend, CHANGE_SERVER, PQgetvalue(res, row, 1), PQgetvalue(res, row, 2),
                                            NULL);
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
                /* Its cursor may have moved meanwhile. */
                a->recheck = true;
                if (ingest_source_pending(s->source) == 0 && ingest_source_commits(s->source) == s->commits)
                        agent_session_supersede(s);
        }
}

void agent_sessions_check(AgentSessions *a)
{
        _cleanup_(db_array_free) DbArray ids = {}, epochs = {}, quiet = {}, cursors = {};
        const char *held, *held_epochs, *held_quiet, *held_cursors;
        AgentSession *s, *tmp;

        if (a->checking || !backend_is_ready(a->backend))
                return;
        HASH_ITER(hh, a->by_agent, s, tmp) {
                s->checked = s->ws && s->state == SESSION_READY;
                if (!s->checked)
                        continue;
                db_array_int(&ids, s->id);
                db_array_int(&epochs, s->epoch);
                db_array_bool(&quiet, ingest_source_pending(s->source) == 0);
                db_array_text(&cursors, ingest_source_cursor(s->source));
                s->commits = ingest_source_commits(s->source);
        }

        held = db_array_done(&ids);
        held_epochs = db_array_done(&epochs);
        held_quiet = db_array_done(&quiet);
        held_cursors = db_array_done(&cursors);
        a->checking = held && held_epochs && held_quiet && held_cursors &&
                      backend_query(a->backend,
                                    SQL(check_sessions, .instance = a->backend->instance, .ids = held,
                                        .epochs = held_epochs, .quiet = held_quiet, .cursors = held_cursors),
                                    check_done, a) >= 0;
        a->recheck = !a->checking;
}

/* ---- Ended sessions ---- */

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

/* Many may end at once: one statement at a time, for all that have ended since the last. */
static void offline_next(AgentSessions *a)
{
        const char *ids, *epochs;

        if (a->ending || (a->ended_ids.n == 0 && !a->ended_ids.oom))
                return;
        ids = db_array_done(&a->ended_ids);
        epochs = db_array_done(&a->ended_epochs);
        a->ending = ids && epochs &&
                    backend_query(a->backend, SQL(end_sessions, .ids = ids, .epochs = epochs), offline_done, a) >= 0;
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

        if (!c->user || !c->id ||
            backend_query(s->owner->backend,
                          SQL(agent_session_going_down, .id = id, .epoch = epoch, .seconds = seconds), presence_done,
                          c) < 0)
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
