/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <uthash.h>
#include <utlist.h>

#include "agent/session-internal.h"
#include "agent/auth.sql.h"
#include "shared/json-util.h"
#include "shared/log.h"
#include "auth/token.h"
#include "model/audit.h"
#include "ingest/ingest.h"

#define AUTH_BATCH_MAX 128U

/* ---- One session ---- */

/* The answer's columns after those that session_take_row() and session_accept() read. */
enum {
        AUTH_NAME = 5,
        AUTH_SESSION = 7,
        AUTH_ADMITTED,
        AUTH_TOLD,
        AUTH_RATE,
};

static int session_take_row(AgentSession *s, PGresult *res, int row)
{
        IngestRate rate = agent_rate_read(res, row, AUTH_RATE);
        int r;

        s->id = strtoll(PQgetvalue(res, row, 0), NULL, 10);
        s->epoch = strtoll(PQgetvalue(res, row, 1), NULL, 10);
        s->server = strdup(PQgetvalue(res, row, 2));
        s->user = strdup(PQgetvalue(res, row, 3));
        if (!s->server || !s->user)
                return -ENOMEM;
        r = ingest_source_new(s->owner->backend->ingest, s->id, s->epoch, s->server, s->user,
                              PQgetisnull(res, row, 4) ? NULL : PQgetvalue(res, row, 4), &agent_session_source_handler,
                              s, &s->source);
        return r < 0 ? r : ingest_source_set_rate(s->source, &rate);
}

static void announce(const AgentSession *s, Changes *changes)
{
        char epoch[32];

        snprintf(epoch, sizeof(epoch), "%lld", (long long) s->epoch);
        if (changes_add(changes, CHANGE_SERVER, s->user, s->server, NULL) >= 0)
                (void) changes_add(changes, CHANGE_SESSION, s->user, s->server, epoch);
}

static void session_accept(AgentSession *s, PGresult *res, int row, Changes *changes)
{
        _cleanup_json_ json_object *features = NULL;
        json_object *payload;
        AgentSession *old;

        if (session_take_row(s, res, row) < 0) {
                agent_session_refuse(s, CLOSE_UNAVAILABLE, "unavailable", "Out of memory.");
                return;
        }
        HASH_FIND(hh, s->owner->by_agent, s->auth.agent_id, strlen(s->auth.agent_id), old);
        if (old && old->epoch > s->epoch) {
                /* Two sessions at once, answered in the other order: this one is the older. */
                agent_session_refuse(s, CLOSE_SUPERSEDED, "superseded",
                                     "Another connection of this agent has replaced this one.");
                return;
        }
        if (old)
                agent_session_supersede(old);
        s->owner->backend->agent_sessions.accepted++;
        s->owner->backend->agent_sessions.returned += s->epoch > 1;
        s->state = SESSION_READY;
        agent_session_enter(s);
        agent_session_end_admission(s, s->agent_id, true);
        agent_message_done(&s->auth);

        payload = json_object_new_object();
        if (payload) {
                (void) json_add_string(payload, "server_id", s->server);
                (void) json_add_string(payload, "server_name", PQgetvalue(res, row, AUTH_NAME));
                (void) json_add_string(payload, "resume_after",
                                       PQgetisnull(res, row, 4) ? NULL : PQgetvalue(res, row, 4));
                (void) json_add_bool(payload, "gap_told", *PQgetvalue(res, row, 6) == 't');
        }
        if (payload && (features = json_object_new_array()) &&
            json_object_array_add(features, json_object_new_string("rotate_key")) == 0)
                (void) json_add_take(payload, "features", TAKE_PTR(features));
        agent_session_send(s, "auth_ok", payload);
        if (s->ws) {
                ws_trust(s->ws);
                ws_pause(s->ws, ingest_source_is_paused(s->source));
        } else
                agent_session_mark_offline(s);
        announce(s, changes);
}

static void session_refuse_duplicate(AgentSession *s, PGresult *res, int row, Changes *changes)
{
        if (*PQgetvalue(res, row, AUTH_TOLD) == 't') {
                const char *id = PQgetvalue(res, row, 2), *name = PQgetvalue(res, row, AUTH_NAME);

                log_notice(
                        "Two hosts use the identity of %s (\"%s\"): one is refused until the owner chooses which to keep, on "
                        "the server's page or with \"ssictl server keep-host %s accepted|refused\"",
                        id, text_is_line(name) ? name : id, id);
                (void) changes_add(changes, CHANGE_SERVER, PQgetvalue(res, row, 3), PQgetvalue(res, row, 2), NULL);
        }
        agent_session_refuse(
                s, CLOSE_DUPLICATE, "duplicate",
                "Another host uses this agent's identity. Register this host anew, with a token of its own, or "
                "choose in the dashboard which of the two is the right one.");
}

/* ---- Batches ---- */

struct AuthBatch {
        AgentSessions *owner;
        size_t n;
        AgentSession *sessions[AUTH_BATCH_MAX];
        char hashes[AUTH_BATCH_MAX][TOKEN_HASH_MAX];
};

void agent_session_enqueue(AgentSession *s, AgentSession **queue)
{
        DL_APPEND2(*queue, s, auth_prev, auth_next);
        s->in_queue = queue;
}

void agent_session_leave_queue(AgentSession *s)
{
        if (!s->in_queue)
                return;
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is on that list */
        DL_DELETE2(*s->in_queue, s, auth_prev, auth_next);
        s->in_queue = NULL;
}

static void batch_take(AuthBatch *b, AgentSession *s)
{
        token_hash(s->auth.api_key, b->hashes[b->n]);
        b->sessions[b->n++] = s;
}

/* A statement updates each agent's row once. A session with another key does not wait, since its key may be
 * wrong. */
static bool batch_has_agent(const AuthBatch *b, const AgentSession *s)
{
        for (size_t k = 0; k < b->n; k++)
                if (streq(b->sessions[k]->auth.agent_id, s->auth.agent_id) &&
                    streq(b->sessions[k]->auth.api_key, s->auth.api_key))
                        return true;
        return false;
}

/* Takes sessions from the head of the queue. Those that cannot be in this batch go to its end. */
static void batch_fill(AuthBatch *b)
{
        AgentSession *s, *before, *later = NULL;
        AgentSessions *a = b->owner;

        for (size_t k = 0; k < AUTH_BATCH_MAX && (s = a->auth_queue) && !(s->alone && b->n > 0); k++) {
                agent_session_leave_queue(s);
                HASH_FIND(hh, a->by_agent, s->auth.agent_id, strlen(s->auth.agent_id), before);
                if (before && !before->ws && ingest_source_pending(before->source) > 0)
                        agent_session_enqueue(s, &a->auth_waiting);
                else if (batch_has_agent(b, s))
                        agent_session_enqueue(s, &later);
                else if (agent_session_hold(s))
                        continue;
                else
                        batch_take(b, s);
                if (s->alone)
                        break;
        }
        while ((s = later)) {
                agent_session_leave_queue(s);
                agent_session_enqueue(s, &a->auth_queue);
        }
}

/* The database may have refused a value from one of them: then each is tried alone. */
static bool is_worth_another_try(const AuthBatch *b, int error)
{
        return error == -EAGAIN ||
               (b->n > 1 && error != -EBUSY && error != -ECONNRESET && error != -ENOTCONN && error != -ECANCELED);
}

static void batch_failed(AuthBatch *b, int error)
{
        for (size_t k = 0; k < b->n; k++) {
                AgentSession *s = b->sessions[k];

                s->querying = false;
                if (s->ws && s->state != SESSION_ENDED && is_worth_another_try(b, error)) {
                        s->alone |= error != -EAGAIN;
                        agent_session_enqueue(s, &b->owner->auth_queue);
                        continue;
                }
                agent_session_refuse(s, CLOSE_UNAVAILABLE, "unavailable",
                                     error == -EBUSY ? "The database is overloaded; try again later." :
                                                       "The database is not available.");
                agent_session_collect(s);
        }
}

/* Of sessions with different keys of one agent, the statement answers one. The others, whose keys may be right, too (the next
 * one and the one before), come into another batch. */
static void find_crowded_out(const AuthBatch *b, PGresult *res, bool ret[static AUTH_BATCH_MAX])
{
        for (int row = 0; row < PQntuples(res); row++) {
                size_t answered = strtoul(PQgetvalue(res, row, AUTH_SESSION), NULL, 10);

                for (size_t k = 0; k < b->n && answered < b->n; k++)
                        ret[k] |= streq(b->sessions[k]->auth.agent_id, b->sessions[answered]->auth.agent_id);
        }
}

static void batch_answered(AuthBatch *b, PGresult *res)
{
        _cleanup_(changes_clear) Changes changes = {};
        bool crowded_out[AUTH_BATCH_MAX] = {}, known[AUTH_BATCH_MAX] = {};

        find_crowded_out(b, res, crowded_out);
        for (int row = 0; row < PQntuples(res); row++) {
                bool admitted = *PQgetvalue(res, row, AUTH_ADMITTED) == 't';
                size_t k = strtoul(PQgetvalue(res, row, AUTH_SESSION), NULL, 10);

                if (k >= b->n)
                        continue;
                known[k] = true;
                if (!admitted)
                        session_refuse_duplicate(b->sessions[k], res, row, &changes);
                else if (b->sessions[k]->state == SESSION_ENDED)
                        b->owner->recheck = true; /* the database believes that it is connected */
                else
                        session_accept(b->sessions[k], res, row, &changes);
        }
        for (size_t k = 0; k < b->n; k++) {
                AgentSession *s = b->sessions[k];

                s->querying = false;
                if (s->state == SESSION_AUTHENTICATING && crowded_out[k] && s->ws) {
                        agent_session_enqueue(s, &b->owner->auth_queue);
                        continue;
                }
                if (!known[k] && !crowded_out[k])
                        agent_session_end_admission(s, s->auth.agent_id, false);
                if (s->state == SESSION_AUTHENTICATING)
                        agent_session_refuse(s, CLOSE_UNAUTHORIZED, "unauthorized",
                                             "The agent is unknown or its key is wrong.");
                agent_session_collect(s);
        }
        if (changes.n > 0)
                backend_publish(b->owner->backend, &changes);
}

static void auth_done(PGresult *res, int error, void *userdata)
{
        _cleanup_free_ AuthBatch *b = userdata;

        b->owner->auth_batch = NULL;
        if (error < 0)
                batch_failed(b, error);
        else {
                audit_journal(res);
                batch_answered(b, res);
        }
        if (error != -ECANCELED)
                agent_sessions_authenticate_next(b->owner);
}

static int batch_send(AuthBatch *b)
{
        Backend *backend = b->owner->backend;
        DbArray columns[SQL_auth_instance] = {};
        const char *params[SQL_auth_params];
        char grace[16];
        int r = 0;

        for (size_t k = 0; k < b->n; k++) {
                const AgentMessage *m = &b->sessions[k]->auth;
                const char *peer = b->sessions[k]->ws ? ws_peer(b->sessions[k]->ws) : NULL;

                db_array_text(&columns[SQL_auth_agent_id], m->agent_id);
                db_array_text(&columns[SQL_auth_hash], b->hashes[k]);
                db_array_text(&columns[SQL_auth_version], m->version);
                db_array_text(&columns[SQL_auth_hostname], m->hostname);
                db_array_text(&columns[SQL_auth_boot_id], m->boot_id);
                db_array_text(&columns[SQL_auth_address], isempty(peer) ? "local" : peer);
        }
        for (size_t k = 0; k < SQL_auth_instance && r >= 0; k++) {
                params[k] = db_array_done(&columns[k]);
                if (!params[k])
                        r = -ENOMEM;
        }
        snprintf(grace, sizeof(grace), "%u", backend->config->stale_grace_seconds);
        params[SQL_auth_instance] = backend->instance;
        params[SQL_auth_grace] = grace;
        if (r >= 0)
                r = backend_query(backend, SQL_auth, SQL_auth_params, params, auth_done, b);
        db_arrays_free(columns, SQL_auth_instance);
        return r;
}

/* One batch at a time, as for ingestion: all sessions that come in the meantime form the next one. */
void agent_sessions_authenticate_next(AgentSessions *a)
{
        while (!a->auth_batch && a->auth_queue) {
                AuthBatch *b = calloc(1, sizeof(*b));
                int r = -ENOMEM;

                if (!b) {
                        AgentSession *s = a->auth_queue;

                        agent_session_refuse(s, CLOSE_UNAVAILABLE, "unavailable", "Out of memory.");
                        agent_session_collect(s);
                        continue;
                }
                b->owner = a;
                batch_fill(b);
                r = b->n > 0 ? batch_send(b) : 0;
                if (b->n > 0 && r >= 0) {
                        for (size_t k = 0; k < b->n; k++)
                                b->sessions[k]->querying = true;
                        a->auth_batch = b;
                        return;
                }
                if (r < 0)
                        batch_failed(b, r == -EBUSY ? r : -ENOTCONN);
                free(b);
        }
}

unsigned agent_sessions_count_under_way(const AgentSessions *a, const char *network)
{
        const AgentSession *s;
        unsigned n = 0;

        DL_FOREACH2(a->auth_queue, s, auth_next)
        n += !s->proven && streq(s->network, network);
        for (size_t k = 0; a->auth_batch && k < a->auth_batch->n; k++)
                n += !a->auth_batch->sessions[k]->proven && streq(a->auth_batch->sessions[k]->network, network);
        return n;
}

void agent_session_authenticate(AgentSession *s)
{
        agent_session_enqueue(s, &s->owner->auth_queue);
        agent_sessions_authenticate_next(s->owner);
}
