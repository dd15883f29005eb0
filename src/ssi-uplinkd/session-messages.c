/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/json-util.h"
#include "messages.h"
#include "session-internal.h"
#include "shared/log.h"
#include "shared/slug.h"
#include "shared/status-line.h"
#include "shared/time-util.h"

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

static int on_auth_ok(Session *s, json_object *payload)
{
        const char *cursor = json_get_string(payload, "resume_after");
        uint64_t now = now_usec(CLOCK_REALTIME);
        int r;

        if (s->state != SESSION_AUTHENTICATING)
                return -EBADMSG;
        s->gap_told = false;
        (void) json_get_bool(payload, "gap_told", &s->gap_told);
        r = session_push_mark(s, "resume");
        if (r >= 0)
                r = journal_follow_pause(s->follow, false);
        if (r >= 0)
                r = journal_follow_start(s->follow, cursor, now - MIN(now, FIRST_HISTORY_USEC));
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
        s->ops->connected(s->userdata);
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
        if (streq(type, "error"))
                on_error(s, payload);
        if (streq(type, "service_refused"))
                on_service_refused(payload);
        /* Anything else comes from a later version. */
        return 0;
}

/* --- to the backend --- */

static int send_auth(Session *s)
{
        _cleanup_free_ char *text = NULL;
        char hostname[65] = "";
        int r;

        s->auth_due = false;
        (void) gethostname(hostname, sizeof(hostname) - 1);
        r = message_auth(s->credentials, hostname, &text);
        if (r < 0)
                return r;
        r = net_conn_send(s->conn, text, strlen(text));
        explicit_bzero(text, strlen(text));
        return r;
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
                return journal_follow_pause(s->follow, false);
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
        } else if (s->state == SESSION_STREAMING && s->inventory_due) {
                r = send_inventory(s);
                net_conn_want_write(s->conn);
        } else if (s->state == SESSION_STREAMING)
                r = send_frame(s);
        return r;
}
