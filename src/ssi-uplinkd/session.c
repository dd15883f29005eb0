#include <sys/random.h>
#include <time.h>

#include "backoff.h"
#include "installed.h"
#include "journal-follow.h"
#include "json-util.h"
#include "log.h"
#include "messages.h"
#include "outbox.h"
#include "session.h"

#define CONNECT_PATH "/api/v1/agent/connect"

/* What is sent to a backend that has nothing of this agent. */
#define FIRST_HISTORY_USEC (7 * 24 * 3600 * USEC_PER_SEC)

/* Silence after which a ping is sent; twice that, and the peer is dead. */
#define HEARTBEAT_USEC (20 * USEC_PER_SEC)

/* A connection that lasted so long starts the backoff anew. */
#define STABLE_USEC (10 * USEC_PER_SEC)

/* Items that wait before reading pauses, and where it goes on. */
#define WAITING_HIGH 1000U
#define WAITING_LOW  500U

#define CLOSE_UNAUTHORIZED 4401U

typedef enum SessionState {
        SESSION_STOPPED,
        SESSION_WAITING,    /* for the next attempt */
        SESSION_CONNECTING,
        SESSION_AUTHENTICATING,
        SESSION_STREAMING,
} SessionState;

struct Session {
        sd_event *event;
        Net *net;
        const SessionOps *ops;
        void *userdata;

        const Credentials *credentials;
        const ServerUrl *url;
        SessionState state;
        NetConn *conn;
        JournalFollow *follow;
        Outbox *outbox;
        Backoff backoff;
        sd_event_source *retry, *heartbeat;
        uint64_t since, last_heard; /* monotonic usec */
        bool auth_due, inventory_due, ping_due, paused, was_connected;
        char error[256]; /* what the backend said before it closed */
        SessionStats stats;
};

static uint64_t now_usec(clockid_t clock)
{
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

/* --- ending and beginning again --- */

static void disconnect(Session *s)
{
        s->conn = net_conn_close(s->conn);
        s->retry = sd_event_source_disable_unref(s->retry);
        s->heartbeat = sd_event_source_disable_unref(s->heartbeat);
        journal_follow_stop(s->follow);
        s->stats.failed += outbox_clear(s->outbox);
        s->auth_due = s->inventory_due = s->ping_due = s->paused = false;
}

static int attempt(Session *s);
static void lose(Session *s, const char *reason, bool final);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        Session *s = userdata;
        int r;

        s->retry = sd_event_source_disable_unref(s->retry);
        r = attempt(s);
        if (r < 0)
                lose(s, strerror(-r), false);
        return 0;
}

static int wait_and_retry(Session *s)
{
        uint64_t random = 0, delay;
        int r;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EIO;
        delay = backoff_next(&s->backoff, random);
        r = sd_event_add_time_relative(s->event, &s->retry, CLOCK_MONOTONIC, delay, 0, on_retry, s);
        if (r < 0)
                return r;
        s->state = SESSION_WAITING;
        log_debug("Trying again in %.1f s", (double) delay / USEC_PER_SEC);
        return 0;
}

/* The connection, or the attempt at one, is over. */
static void lose(Session *s, const char *reason, bool final)
{
        bool was_connected = s->state == SESSION_STREAMING;
        char copy[512];
        int r;

        snprintf(copy, sizeof(copy), "%s", s->error[0] ? s->error : reason);
        s->error[0] = '\0';
        if (was_connected && s->since + STABLE_USEC <= now_usec(CLOCK_MONOTONIC))
                backoff_reset(&s->backoff);
        disconnect(s);
        if (final)
                s->state = SESSION_STOPPED;
        else {
                r = wait_and_retry(s);
                if (r < 0) {
                        log_error_errno(r, "Cannot set the timer of the next attempt");
                        (void) sd_event_exit(s->event, r);
                }
        }
        s->ops->disconnected(copy, final, s->userdata);
}

/* --- from the journal --- */

static int on_run(RunEvent *e, void *userdata)
{
        _cleanup_free_ char *json = NULL;
        Session *s = userdata;
        int r;

        r = message_item(e, &json);
        if (r < 0)
                return r;
        r = outbox_push_item(s->outbox, json, e->cursor);
        if (r < 0)
                return r;
        net_conn_want_write(s->conn);
        s->ops->changed(s->userdata);
        if (outbox_waiting(s->outbox) < WAITING_HIGH || s->paused)
                return 0;
        s->paused = true;
        return journal_follow_pause(s->follow, true);
}

static void on_gap(const char *cursor, uint64_t from, uint64_t to, void *userdata)
{
        _cleanup_free_ char *json = NULL;
        Session *s = userdata;
        int r;

        log_notice("The journal no longer has all that the backend has not seen.");
        r = message_gap(cursor, from, to, &json);
        if (r >= 0)
                r = outbox_push_message(s->outbox, json);
        if (r < 0)
                log_error_errno(r, "Cannot tell of the gap");
        net_conn_want_write(s->conn);
}

static void on_journal_failed(int error, void *userdata)
{
        char reason[128];

        snprintf(reason, sizeof(reason), "cannot read the journal: %s", strerror(-error));
        lose(userdata, reason, false);
}

static const JournalFollowOps follow_ops = {
        .is_installed = installed_check,
        .event = on_run,
        .gap = on_gap,
        .failed = on_journal_failed,
};

/* --- from the backend --- */

static int on_auth_ok(Session *s, json_object *payload)
{
        const char *cursor = json_get_string(payload, "resume_after");
        uint64_t now = now_usec(CLOCK_REALTIME);
        int r;

        if (s->state != SESSION_AUTHENTICATING)
                return -EBADMSG;
        r = journal_follow_pause(s->follow, false);
        if (r >= 0)
                r = journal_follow_start(s->follow, cursor, now - MIN(now, FIRST_HISTORY_USEC));
        if (r < 0)
                return r;
        s->state = SESSION_STREAMING;
        s->since = now_usec(CLOCK_MONOTONIC);
        s->inventory_due = true;
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

static int dispatch(Session *s, const char *text, size_t length)
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
        /* Anything else is of a later version. */
        return 0;
}

static void on_received(unsigned status, const char *text, size_t length, void *userdata)
{
        Session *s = userdata;
        char reason[128];
        int r;

        s->last_heard = now_usec(CLOCK_MONOTONIC);
        r = dispatch(s, text, length);
        if (r >= 0)
                return;
        snprintf(reason, sizeof(reason), "cannot use the backend's message: %s", strerror(-r));
        lose(s, reason, false);
}

static void on_pong(void *userdata)
{
        Session *s = userdata;

        s->last_heard = now_usec(CLOCK_MONOTONIC);
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

/* One frame for each time that there is room. */
static void on_writable(void *userdata)
{
        Session *s = userdata;
        int r = 0;

        if (s->auth_due)
                r = send_auth(s);
        else if (s->ping_due) {
                s->ping_due = false;
                r = net_conn_send_ping(s->conn);
                net_conn_want_write(s->conn);
        } else if (s->state == SESSION_STREAMING && s->inventory_due) {
                r = send_inventory(s);
                net_conn_want_write(s->conn);
        } else if (s->state == SESSION_STREAMING)
                r = send_frame(s);
        if (r < 0)
                lose(s, strerror(-r), false);
}

void session_inventory_changed(Session *s)
{
        if (s->state != SESSION_STREAMING)
                return;
        s->inventory_due = true;
        net_conn_want_write(s->conn);
}

/* --- the connection --- */

static int on_heartbeat(sd_event_source *source, uint64_t usec, void *userdata)
{
        Session *s = userdata;
        uint64_t silence = now_usec(CLOCK_MONOTONIC) - s->last_heard;
        int r;

        if (s->state == SESSION_AUTHENTICATING || silence + USEC_PER_SEC >= 2 * HEARTBEAT_USEC) {
                lose(s, "the backend does not answer", false);
                return 0;
        }
        if (silence + USEC_PER_SEC >= HEARTBEAT_USEC) {
                s->ping_due = true;
                net_conn_want_write(s->conn);
        }
        r = sd_event_source_set_time_relative(source, HEARTBEAT_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void on_opened(void *userdata)
{
        Session *s = userdata;
        int r;

        s->state = SESSION_AUTHENTICATING;
        s->last_heard = now_usec(CLOCK_MONOTONIC);
        s->auth_due = true;
        net_conn_want_write(s->conn);
        r = sd_event_add_time_relative(s->event, &s->heartbeat, CLOCK_MONOTONIC, HEARTBEAT_USEC, 0, on_heartbeat, s);
        if (r < 0)
                lose(s, strerror(-r), false);
}

static void on_closed(unsigned code, const char *reason, void *userdata)
{
        lose(userdata, reason, code == CLOSE_UNAUTHORIZED);
}

static const NetOps net_ops = {
        .opened = on_opened,
        .received = on_received,
        .writable = on_writable,
        .pong = on_pong,
        .closed = on_closed,
};

static int attempt(Session *s)
{
        int r;

        s->error[0] = '\0';
        r = net_websocket(s->net, s->url, CONNECT_PATH, &net_ops, s, &s->conn);
        if (r < 0)
                return r;
        s->state = SESSION_CONNECTING;
        return 0;
}

int session_start(Session *s, const Credentials *credentials, const ServerUrl *url)
{
        session_stop(s);
        s->credentials = credentials;
        s->url = url;
        s->stats = (SessionStats){};
        s->was_connected = false;
        backoff_reset(&s->backoff);
        return attempt(s);
}

void session_stop(Session *s)
{
        disconnect(s);
        s->state = SESSION_STOPPED;
}

bool session_is_connected(const Session *s)
{
        return s->state == SESSION_STREAMING;
}

uint64_t session_backlog(const Session *s)
{
        return outbox_waiting(s->outbox) + outbox_in_flight(s->outbox);
}

const SessionStats *session_stats(const Session *s)
{
        return &s->stats;
}

int session_new(sd_event *event, Net *net, const SessionOps *ops, void *userdata, Session **ret)
{
        _cleanup_(session_freep) Session *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->event = sd_event_ref(event);
        s->net = net;
        s->ops = ops;
        s->userdata = userdata;
        r = outbox_new(&s->outbox);
        if (r < 0)
                return r;
        r = journal_follow_new(event, &follow_ops, s, &s->follow);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

Session *session_free(Session *s)
{
        if (!s)
                return NULL;
        if (s->follow)
                session_stop(s);
        journal_follow_free(s->follow);
        outbox_free(s->outbox);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}
