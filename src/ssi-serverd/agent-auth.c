#include <uthash.h>
#include <utlist.h>

#include "agent-session-internal.h"
#include "json-util.h"
#include "metrics.h"
#include "token.h"

static int session_take_row(AgentSession *s, PGresult *res)
{
        s->id = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
        s->epoch = strtoll(PQgetvalue(res, 0, 1), NULL, 10);
        s->server = strdup(PQgetvalue(res, 0, 2));
        s->user = strdup(PQgetvalue(res, 0, 3));
        if (!s->server || !s->user)
                return -ENOMEM;
        return ingest_source_new(s->owner->server->ingest, s->id, s->epoch, s->server, s->user, &agent_session_source_handler, s,
                                 &s->source);
}

static void session_announce(AgentSession *s)
{
        _cleanup_(changes_clear) Changes changes = {};
        char epoch[32];

        snprintf(epoch, sizeof(epoch), "%lld", (long long) s->epoch);
        if (changes_add(&changes, CHANGE_SERVER, s->user, s->server, NULL) >= 0 &&
            changes_add(&changes, CHANGE_SESSION, s->user, s->server, epoch) >= 0)
                server_publish(s->owner->server, &changes, false);
}

static void session_accept(AgentSession *s, PGresult *res)
{
        json_object *payload;
        AgentSession *old;

        if (session_take_row(s, res) < 0) {
                agent_session_refuse(s, CLOSE_UNAVAILABLE, "unavailable", "Out of memory.");
                return;
        }
        HASH_FIND(hh, s->owner->by_agent, s->auth.agent_id, strlen(s->auth.agent_id), old);
        if (old && old->epoch > s->epoch) {
                /* Two at once, answered in the other order: this one is the older. */
                agent_session_refuse(s, CLOSE_SUPERSEDED, "superseded", "Another connection of this agent took over.");
                return;
        }
        if (old)
                agent_session_supersede(old);
        metrics_count_session(s->owner->server->metrics, s->epoch > 1);
        s->state = SESSION_READY;
        agent_session_enter(s);
        agent_message_done(&s->auth);

        payload = json_object_new_object();
        if (payload) {
                (void) json_add_string(payload, "server_id", s->server);
                (void) json_add_string(payload, "server_name", PQgetvalue(res, 0, 5));
                (void) json_add_string(payload, "resume_after",
                                       PQgetisnull(res, 0, 4) ? NULL : PQgetvalue(res, 0, 4));
                (void) json_add_bool(payload, "gap_told", *PQgetvalue(res, 0, 6) == 't');
        }
        agent_session_send(s, "auth_ok", payload);
        if (s->ws)
                ws_pause(s->ws, false);
        else
                agent_session_mark_offline(s);
        session_announce(s);
}

static void auth_done(PGresult *res, int error, void *userdata)
{
        AgentSession *s = userdata;

        s->querying = false;
        if (s->state == SESSION_ENDED)
                ;
        else if (error < 0)
                agent_session_refuse(s, CLOSE_UNAVAILABLE, "unavailable", "The database is not available.");
        else if (PQntuples(res) == 0)
                agent_session_refuse(s, CLOSE_UNAUTHORIZED, "unauthorized", "The agent is unknown or its key is wrong.");
        else
                session_accept(s, res);
        agent_session_collect(s);
}

/* What was due while the agent was away gets the grace anew: it may be on its way. */
static const char sql_auth[] =
        "WITH me AS (INSERT INTO instances (id) VALUES ($5) ON CONFLICT DO NOTHING),"
        " session AS (UPDATE servers s SET session_epoch = s.session_epoch + 1, connected = true, instance = $5,"
        "  rebooting_until = NULL, last_seen = now(), agent_version = $3, hostname = $4"
        "  WHERE s.agent_id = $1 AND s.api_key_hash = $2::bytea RETURNING s.*),"
        " due AS (UPDATE services v SET due_at = now() + make_interval(secs => $6::int) FROM session s"
        "  WHERE v.server_id = s.id AND v.due_at < now() + make_interval(secs => $6::int) AND v.stale_since IS NULL)"
        " SELECT s.id, s.session_epoch, s.public_id, u.public_id, s.resume_cursor, s.name, s.gap_told"
        " FROM session s JOIN users u ON u.id = s.user_id";

void agent_session_authenticate(AgentSession *s)
{
        char hash[TOKEN_HASH_MAX], grace[16];
        AgentSession *before;
        int r;

        HASH_FIND(hh, s->owner->by_agent, s->auth.agent_id, strlen(s->auth.agent_id), before);
        if (before && !before->ws && ingest_source_pending(before->source) > 0) {
                s->waiting = true;
                return;
        }
        token_hash(s->auth.api_key, hash);

        snprintf(grace, sizeof(grace), "%u", s->owner->server->settings.ingest.grace_seconds);

        const char *params[] = { s->auth.agent_id, hash, s->auth.version, s->auth.hostname,
                                 s->owner->server->instance, grace };

        r = server_query(s->owner->server, sql_auth, ELEMENTSOF(params), params, auth_done, s);
        if (r < 0)
                agent_session_refuse(s, CLOSE_UNAVAILABLE, "unavailable", "The database is not available.");
        else
                s->querying = true;
}
