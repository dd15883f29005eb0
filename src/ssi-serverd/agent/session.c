/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "agent/session-internal.h"
#include "shared/json-util.h"
#include "shared/log.h"
#include "ingest/ingest.h"

/* The life of a session:
 *
 * 1. NEW: the connection is open, and has 10 s for its first message, `auth`.
 * 2. AUTHENTICATING: reading is paused. If an earlier connection of the same agent is gone but its items are still on
 *    their way to the database, the new one waits for them. Then one statement for all waiting sessions checks the
 *    keys, increments the session epochs (which fences all older sessions, wherever they are) and reads the
 *    cursors.
 * 3. READY: messages become items of the session's ingestion source, which acknowledges them when committed.
 * 4. After the connection: the session stays until its source is drained, ended or fenced.
 *
 * If the WebSocket goes away while the statement of step 2 is under way, its callback frees the session.
 *
 * auth.c implements step 2, rotate.c gives agents new keys, presence.c records in the database which agents are online. */

#define AGENT_PATH        "/api/v1/agent/connect"
#define AUTH_TIMEOUT_USEC (10 * USEC_PER_SEC)

/* ---- Sending ---- */

void agent_session_send(AgentSession *s, const char *type, json_object *payload_taken)
{
        _cleanup_json_ json_object *o = json_object_new_object(), *payload = payload_taken;
        const char *text;

        if (!o || !payload || !s->ws || json_add_string(o, "type", type) < 0 ||
            json_add_take(o, "payload", TAKE_PTR(payload)) < 0)
                return;
        text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        if (text)
                (void) ws_send(s->ws, text, strlen(text));
}

/* Sends the error message, then closes. The session accepts no more messages. */
void agent_session_refuse(AgentSession *s, int code, const char *name, const char *message)
{
        json_object *payload;

        if (s->state == SESSION_ENDED)
                return;
        s->state = SESSION_ENDED;
        agent_session_leave_queue(s);
        s->auth_timer = sd_event_source_disable_unref(s->auth_timer);
        s->inventory_timer = sd_event_source_disable_unref(s->inventory_timer);
        if (!s->ws)
                return;
        payload = json_object_new_object();
        if (payload) {
                (void) json_add_string(payload, "code", name);
                (void) json_add_string(payload, "message", message);
        }
        agent_session_send(s, "error", payload);
        ws_close(s->ws, code, name);
}

/* ---- The tables, and the session's end ---- */

static void session_leave_tables(AgentSession *s)
{
        AgentSession *other, *tmp;

        if (!s->agent_id)
                return;
        HASH_DELETE(hh, s->owner->by_agent, s);
        HASH_DELETE(hh_server, s->owner->by_server, s);
        s->owner->backend->agent_sessions.open--;
        DL_FOREACH_SAFE2(s->owner->auth_waiting, other, tmp, auth_next)
        if (streq(other->auth.agent_id, s->agent_id)) {
                agent_session_leave_queue(other);
                agent_session_authenticate(other);
        }
        free(s->agent_id);
        s->agent_id = NULL;
}

void agent_session_enter(AgentSession *s)
{
        s->agent_id = TAKE_PTR(s->auth.agent_id);
        HASH_ADD_KEYPTR(hh, s->owner->by_agent, s->agent_id, strlen(s->agent_id), s);
        HASH_ADD_KEYPTR(hh_server, s->owner->by_server, s->server, strlen(s->server), s);
        s->owner->backend->agent_sessions.open++;
}

static void session_free(AgentSession *s)
{
        session_leave_tables(s);
        agent_session_leave_queue(s);
        DL_DELETE(s->owner->all, s);
        sd_event_source_disable_unref(s->auth_timer);
        sd_event_source_disable_unref(s->inventory_timer);
        ingest_source_free(s->source);
        agent_message_done(&s->auth);
        free(s->server);
        free(s->user);
        free(s);
}

/* Frees the session if nothing needs it any more. */
void agent_session_collect(AgentSession *s)
{
        if (s->ws || s->querying)
                return;
        if (s->state == SESSION_READY && ingest_source_pending(s->source) > 0)
                return;
        session_free(s);
}

/* Another connection of the same agent took over, here or at another instance. */
void agent_session_supersede(AgentSession *s)
{
        ingest_source_fence(s->source);
        agent_session_refuse(s, CLOSE_SUPERSEDED, "superseded",
                             "Another connection of this agent has replaced this one.");
        session_leave_tables(s);
        agent_session_collect(s);
}

/* ---- Ingestion ---- */

static void source_committed(IngestSource *source, const char *cursor, void *userdata)
{
        json_object *payload = json_object_new_object();

        if (payload)
                (void) json_add_string(payload, "cursor", cursor);
        agent_session_send(userdata, "ack", payload);
}

static void source_ended(IngestSource *source, int error, void *userdata)
{
        AgentSession *s = userdata;

        if (error == -ESTALE)
                agent_session_refuse(
                        s, CLOSE_SUPERSEDED, "superseded",
                        "Another connection of this agent has replaced this one, or the database was set back.");
        else if (error == -EINVAL)
                agent_session_refuse(s, CLOSE_BAD_MESSAGE, "bad_message", "The database rejected a value.");
        else
                agent_session_refuse(s, CLOSE_UNAVAILABLE, "unavailable", "The database is not available.");
        session_leave_tables(s);
        agent_session_collect(s);
}

static void source_throttled(IngestSource *source, bool full, void *userdata)
{
        AgentSession *s = userdata;

        if (s->ws && s->state == SESSION_READY)
                ws_pause(s->ws, full);
}

static void source_refused(IngestSource *source, const char *service, void *userdata)
{
        json_object *payload = json_object_new_object();
        AgentSession *s = userdata;

        if (!s->told_refused)
                log_notice(
                        "The account %s has as many services as it may have: new ones of %s are refused. Its quota: ssictl "
                        "server quota %s",
                        s->user, s->server, s->user);
        s->told_refused = true;
        if (payload) {
                (void) json_add_string(payload, "service_name", service);
                (void) json_add_string(payload, "message",
                                       "The account has as many services as its quota allows: remove one, or ask the "
                                       "administrator of the backend for more.");
        }
        agent_session_send(s, "service_refused", payload);
}

static void source_drained(IngestSource *source, void *userdata)
{
        agent_session_collect(userdata);
}

static int ask_for_inventory(sd_event_source *source, uint64_t usec, void *userdata)
{
        AgentSession *s = userdata;

        agent_session_send(s, "send_inventory", json_object_new_object());
        return 0;
}

/* Until it comes, services that are no longer installed remain. */
static void source_withheld(IngestSource *source, unsigned seconds, void *userdata)
{
        AgentSession *s = userdata;

        if (!s->ws || s->state != SESSION_READY)
                return;
        sd_event_source_disable_unref(s->inventory_timer);
        s->inventory_timer = NULL;
        (void) sd_event_add_time_relative(s->owner->backend->event, &s->inventory_timer, CLOCK_MONOTONIC,
                                          seconds * USEC_PER_SEC, 0, ask_for_inventory, s);
}

const IngestSourceHandler agent_session_source_handler = {
        .committed = source_committed,
        .ended = source_ended,
        .withheld = source_withheld,
        .throttled = source_throttled,
        .refused = source_refused,
        .drained = source_drained,
};

/* ---- The WebSocket ---- */

static int auth_timed_out(sd_event_source *source, uint64_t usec, void *userdata)
{
        agent_session_refuse(userdata, CLOSE_AUTH_TIMEOUT, "auth_timeout", "No auth message within 10 seconds.");
        return 0;
}

static int session_open(WsConn *ws, void *userdata)
{
        AgentSessions *a = userdata;
        AgentSession *s;
        int r;

        if (!backend_is_ready(a->backend))
                return -EAGAIN;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->owner = a;
        s->ws = ws;
        r = sd_event_add_time_relative(a->backend->event, &s->auth_timer, CLOCK_MONOTONIC, AUTH_TIMEOUT_USEC,
                                       USEC_PER_MSEC * 100, auth_timed_out, s);
        if (r < 0) {
                free(s);
                return r;
        }
        network_of(ws_peer(ws), s->network);
        DL_APPEND(a->all, s);
        ws_set_data(ws, s);
        return 0;
}

static void session_message(WsConn *ws, const char *text, size_t n, void *userdata)
{
        _cleanup_(agent_message_done) AgentMessage m = {};
        AgentSession *s = ws_data(ws);
        char error[AGENT_ERROR_MAX];
        int r;

        if (s->state == SESSION_ENDED)
                return;
        r = agent_message_parse(text, n, &m, error);
        if (r == -EMSGSIZE)
                agent_session_refuse(s, CLOSE_TOO_LARGE, "too_large", error);
        else if (r == -ENOMEM)
                agent_session_refuse(s, CLOSE_UNAVAILABLE, "unavailable", "Out of memory.");
        else if (r < 0)
                agent_session_refuse(s, CLOSE_BAD_MESSAGE, "bad_message", error);
        else if (s->state == SESSION_NEW && m.type == AGENT_MESSAGE_AUTH) {
                s->auth = m;
                m = (AgentMessage){};
                s->state = SESSION_AUTHENTICATING;
                s->auth_timer = sd_event_source_disable_unref(s->auth_timer);
                ws_pause(ws, true);
                agent_session_begin_admission(s);
                agent_session_authenticate(s);
        } else if (s->state == SESSION_READY && m.type == AGENT_MESSAGE_ITEMS)
                ingest_source_push(s->source, TAKE_PTR(m.items));
        else if (s->state == SESSION_READY && m.type == AGENT_MESSAGE_GOING_DOWN)
                agent_session_going_down(s, m.cancelled);
        else if (s->state == SESSION_READY && m.type == AGENT_MESSAGE_ROTATE_KEY)
                agent_session_rotate_key(s);
        else if (m.type == AGENT_MESSAGE_AUTH)
                agent_session_refuse(s, CLOSE_BAD_MESSAGE, "bad_message", "auth was sent twice.");
        else if (s->state != SESSION_READY)
                agent_session_refuse(s, CLOSE_BAD_MESSAGE, "bad_message", "The first message must be auth.");
}

static void session_closed(WsConn *ws, void *userdata)
{
        AgentSession *s = ws_data(ws);

        s->ws = NULL;
        agent_session_leave_queue(s);
        /* A stopping instance does not report its agents offline: they have a while to connect to another
         * one. */
        if (s->source && !s->owner->backend->stopping)
                agent_session_mark_offline(s);
        if (s->state == SESSION_AUTHENTICATING && !s->querying)
                s->state = SESSION_ENDED;
        agent_session_collect(s);
}

static const WsHandler ws_handler = {
        .open = session_open,
        .message = session_message,
        .closed = session_closed,
};

void agent_sessions_restart(AgentSessions *a)
{
        AgentSession *s, *tmp;

        DL_FOREACH_SAFE(a->all, s, tmp)
                agent_session_refuse(s, WS_CLOSE_RESTART, "restarting", "The backend is restarting.");
}

/* ---- Changes published by others ---- */

void agent_sessions_changed(AgentSessions *a, const Changes *changes)
{
        for (size_t i = 0; i < changes->n; i++) {
                const Change *c = &changes->items[i];
                AgentSession *s;

                if (c->kind == CHANGE_QUOTA)
                        agent_sessions_reread_rates(a);
                if (c->kind != CHANGE_SESSION && c->kind != CHANGE_SERVER_REMOVED)
                        continue;
                HASH_FIND(hh_server, a->by_server, c->server, strlen(c->server), s);
                if (!s)
                        continue;
                if (c->kind == CHANGE_SERVER_REMOVED) {
                        ingest_source_fence(s->source);
                        agent_session_refuse(s, CLOSE_UNAUTHORIZED, "unauthorized", "The server was removed.");
                        session_leave_tables(s);
                        agent_session_collect(s);
                } else if (strtoll(strempty(c->arg), NULL, 10) > s->epoch)
                        agent_session_supersede(s);
        }
}

int agent_sessions_new(Backend *backend, AgentSessions **ret)
{
        AgentSessions *a;
        int r;

        a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;
        a->backend = backend;
        r = proven_new(&a->proven);
        if (r >= 0)
                r = backend->role & BACKEND_ROLE_INGEST ?
                            http_server_set_websocket(backend->http, AGENT_PATH, &ws_handler, a) :
                            0;
        if (r >= 0)
                r = agent_sessions_start_presence(a);
        if (r < 0) {
                agent_sessions_free(a);
                return r;
        }
        *ret = a;
        return 0;
}

AgentSessions *agent_sessions_free(AgentSessions *a)
{
        AgentSession *s, *tmp;

        if (!a)
                return NULL;
        sd_event_source_disable_unref(a->timer);
        sd_event_source_disable_unref(a->held_timer);
        agent_sessions_presence_done(a);
        a->auth_queue = a->auth_waiting = a->auth_held = NULL;
        DL_FOREACH_SAFE(a->all, s, tmp) {
                s->in_queue = NULL;
                session_free(s);
        }
        proven_free(a->proven);
        free(a);
        return NULL;
}
