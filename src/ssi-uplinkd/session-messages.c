/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/json-util.h"
#include "messages.h"
#include "session-internal.h"
#include "shared/log.h"
#include "shared/slug.h"
#include "shared/status-line.h"
#include "shared/time-util.h"

#define KEY_LENGTH_MAX 128

/* How much history to send to a backend that has nothing from this agent. */
#define FIRST_HISTORY_USEC (7 * 24 * 3600 * USEC_PER_SEC)

/* --- from the backend --- */

/* The backend receives missed items between two of these marks. */
int session_push_mark(Session *s, const char *type)
{
        _cleanup_free_ char *json = NULL;
        int r;

        r = message_mark(type, &json);
        if (r >= 0)
                r = outbox_push_message(s->outbox, json);
        if (r >= 0)
                net_conn_want_write(s->conn);
        return r;
}

static bool has_feature(json_object *payload, const char *name)
{
        json_object *features = json_get_array(payload, "features");

        for (size_t i = 0; features && i < json_object_array_length(features); i++) {
                const char *s = json_object_get_string(json_object_array_get_idx(features, i));

                if (s && streq(s, name))
                        return true;
        }
        return false;
}

static int on_auth_ok(Session *s, json_object *payload)
{
        const char *cursor = json_get_string(payload, "resume_after");
        uint64_t now = now_usec(CLOCK_REALTIME);
        int r;

        if (s->state != SESSION_AUTHENTICATING)
                return -EBADMSG;
        s->can_rotate = has_feature(payload, "rotate_key");
        s->gap_told = false;
        (void) json_get_bool(payload, "gap_told", &s->gap_told);
        r = session_push_mark(s, "resume");
        if (r >= 0)
                r = run_source_pause(s->runs, false);
        if (r >= 0)
                r = run_source_start(s->runs, cursor, now - MIN(now, FIRST_HISTORY_USEC));
        if (r < 0)
                return r;
        s->state = SESSION_STREAMING;
        s->since = now_usec(CLOCK_MONOTONIC);
        s->inventory_due = true;
        s->going_down_due = s->going_down;
        net_conn_want_write(s->conn);
        if (s->was_connected)
                s->stats.reconnects++;
        s->was_connected = true;
        s->ops->connected(!s->next_refused, s->userdata);
        return 0;
}

/* Two hosts may use this agent's identity, or did until now: then the backend removes no services. */
static void on_send_inventory(Session *s)
{
        if (s->state != SESSION_STREAMING)
                return;
        s->inventory_due = true;
        net_conn_want_write(s->conn);
}

/* May end the connection. */
static int on_new_key(Session *s, json_object *payload)
{
        const char *key = json_get_string(payload, "api_key");

        if (s->state != SESSION_STREAMING || isempty(key) || strlen(key) > KEY_LENGTH_MAX)
                return -EBADMSG;
        s->ops->new_key(key, s->userdata);
        return 0;
}

static int on_ack(Session *s, json_object *payload)
{
        const char *cursor = json_get_string(payload, "cursor");
        size_t n;

        if (!cursor)
                return 0;
        n = outbox_ack(s->outbox, cursor);
        if (n == 0)
                return 0;
        s->stats.sent += n;
        s->stats.last_ack = now_usec(CLOCK_REALTIME);
        net_conn_want_write(s->conn);
        s->ops->changed(s->userdata);
        return 0;
}

static void on_error(Session *s, json_object *payload)
{
        const char *message = json_get_string(payload, "message");
        _cleanup_free_ char *clean = NULL;

        if (!message)
                return;
        clean = utf8_sanitize(message, strlen(message), sizeof(s->error) - 1, NULL);
        snprintf(s->error, sizeof(s->error), "%s", strempty(clean));
}

/* The service goes on here; only the backend does not take it. It says so every few minutes. */
static void on_service_refused(json_object *payload)
{
        const char *name = json_get_string(payload, "service_name"), *message = json_get_string(payload, "message");
        _cleanup_free_ char *clean = NULL;

        if (!name || !slug_is_valid(name) || !message)
                return;
        clean = utf8_sanitize(message, strlen(message), 256, NULL);
        log_warning("The backend does not take the service %s: %s", name, strempty(clean));
}

int session_receive(Session *s, const char *text, size_t length)
{
        _cleanup_json_ json_object *o = NULL;
        json_object *payload;
        const char *type;
        int r;

        r = json_parse(text, length, &o);
        if (r < 0)
                return r;
        type = json_get_string(o, "type");
        payload = json_get_object(o, "payload");
        if (!type || !payload)
                return -EBADMSG;
        if (streq(type, "auth_ok"))
                return on_auth_ok(s, payload);
        if (streq(type, "ack"))
                return on_ack(s, payload);
        if (streq(type, "new_key"))
                return on_new_key(s, payload);
        if (streq(type, "send_inventory"))
                on_send_inventory(s);
        else if (streq(type, "error"))
                on_error(s, payload);
        if (streq(type, "service_refused"))
                on_service_refused(payload);
        /* Anything else comes from a later version. */
        return 0;
}

/* --- to the backend --- */

static int send_auth(Session *s)
{
        const char *next = s->next_refused ? NULL : s->credentials->next_api_key;
        _cleanup_free_ char *text = NULL;
        char hostname[65] = "";
        int r;

        s->auth_due = false;
        (void) gethostname(hostname, sizeof(hostname) - 1);
        r = message_auth(s->credentials, next ?: s->credentials->api_key, hostname, s->boot_id, &text);
        if (r < 0)
                return r;
        r = net_conn_send(s->conn, text, strlen(text));
        explicit_bzero(text, strlen(text));
        return r;
}

static int send_mark(Session *s, const char *type)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = message_mark(type, &text);
        return r < 0 ? r : net_conn_send(s->conn, text, strlen(text));
}

static int send_inventory(Session *s)
{
        _cleanup_free_ char *text = NULL;
        int r;

        s->inventory_due = false;
        r = s->ops->inventory(&text, s->userdata);
        return r <= 0 ? r : net_conn_send(s->conn, text, strlen(text));
}

static int send_going_down(Session *s)
{
        _cleanup_free_ char *text = NULL;
        int r;

        s->going_down_due = false;
        r = message_going_down(!s->going_down, &text);
        if (r >= 0)
                r = net_conn_send(s->conn, text, strlen(text));
        s->going_down_sent = r >= 0;
        return r;
}

static int send_frame(Session *s)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = outbox_next_frame(s->outbox, &text);
        if (r <= 0)
                return r;
        r = net_conn_send(s->conn, text, strlen(text));
        if (r < 0)
                return r;
        net_conn_want_write(s->conn);
        if (s->paused && outbox_waiting(s->outbox) <= WAITING_LOW) {
                s->paused = false;
                return run_source_pause(s->runs, false);
        }
        return 0;
}

int session_send(Session *s)
{
        int r = 0;

        if (s->going_down_sent) {
                s->going_down_sent = false;
                s->ops->going_down_told(s->userdata);
        }
        if (s->auth_due)
                r = send_auth(s);
        else if (s->going_down_due) {
                r = send_going_down(s);
                net_conn_want_write(s->conn);
        } else if (s->ping_due) {
                s->ping_due = false;
                r = net_conn_send_ping(s->conn);
                net_conn_want_write(s->conn);
        } else if (s->rotate_due) {
                s->rotate_due = false;
                r = send_mark(s, "rotate_key");
                net_conn_want_write(s->conn);
        } else if (s->state == SESSION_STREAMING && s->inventory_due) {
                r = send_inventory(s);
                net_conn_want_write(s->conn);
        } else if (s->state == SESSION_STREAMING)
                r = send_frame(s);
        return r;
}
