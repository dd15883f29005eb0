#include <utlist.h>

#include "agent-session-internal.h"
#include "db-array.h"

/* An agent is online while its connection is; that an instance died shows by the time when the agent was last seen,
 * which each instance brings up to date for the agents that it holds. */

#define HEARTBEAT_USEC (20 * USEC_PER_SEC)

static void swept(PGresult *res, int error, void *userdata)
{
        AgentSessions *a = userdata;

        for (int row = 0; error == 0 && row < PQntuples(res); row++)
                server_publish_one(a->server, CHANGE_SERVER, PQgetvalue(res, row, 0), PQgetvalue(res, row, 1), NULL);
}

/* The agents of an instance that died without a word. */
static void sweep(AgentSessions *a)
{
        (void) server_query(a->server,
                            "UPDATE servers s SET connected = false FROM users u WHERE s.connected"
                            " AND s.last_seen < now() - interval '60 s' AND u.id = s.user_id"
                            " RETURNING u.public_id, s.public_id",
                            0, NULL, swept, a);
}

/* The sessions that the database does not know as current any more were taken over without our hearing of it. */
static void beat_done(PGresult *res, int error, void *userdata)
{
        AgentSessions *a = userdata;
        AgentSession *s, *tmp;

        a->beating = false;
        if (error < 0) {
                DL_FOREACH(a->all, s)
                        s->beat = false;
                return;
        }
        for (int row = 0; row < PQntuples(res); row++) {
                HASH_FIND(hh_server, a->by_server, PQgetvalue(res, row, 0), (size_t) PQgetlength(res, row, 0), s);
                if (s)
                        s->beat = false;
        }
        HASH_ITER(hh, a->by_agent, s, tmp) {
                if (!s->beat)
                        continue;
                s->beat = false;
                agent_session_supersede(s);
        }
        sweep(a);
}

void agent_sessions_beat(AgentSessions *a)
{
        _cleanup_(db_array_free) DbArray ids = {}, epochs = {};
        AgentSession *s, *tmp;

        if (a->beating || !server_is_ready(a->server))
                return;
        HASH_ITER(hh, a->by_agent, s, tmp) {
                if (!s->ws || s->state != SESSION_READY)
                        continue;
                s->beat = true;
                db_array_int(&ids, s->id);
                db_array_int(&epochs, s->epoch);
        }

        const char *params[] = { db_array_done(&ids), db_array_done(&epochs) };

        if (params[0] && params[1] &&
            server_query(a->server,
                         "UPDATE servers s SET last_seen = now(), connected = true"
                         " FROM unnest($1::bigint[], $2::bigint[]) b(id, epoch)"
                         " WHERE s.id = b.id AND s.session_epoch = b.epoch RETURNING s.public_id",
                         2, params, beat_done, a) >= 0)
                a->beating = true;
        else
                beat_done(NULL, -ENOTCONN, a);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        AgentSessions *a = userdata;

        agent_sessions_beat(a);
        (void) sd_event_source_set_time_relative(source, HEARTBEAT_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int agent_sessions_start_heartbeat(AgentSessions *a)
{
        return sd_event_add_time_relative(a->server->event, &a->timer, CLOCK_MONOTONIC, HEARTBEAT_USEC, USEC_PER_SEC,
                                          on_timer, a);
}
