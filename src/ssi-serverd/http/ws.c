/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "http/internal.h"

/* Messages written per turn, as long as the socket accepts them. */
#define WS_BURST 64

typedef struct Message {
        struct Message *next;
        size_t size;
        unsigned char data[]; /* begins with LWS_PRE bytes reserved for lws */
} Message;

struct WsConn {
        HttpConn *conn;
        char *peer;
        void *data;

        char *partial; /* the message being received */
        size_t partial_size, partial_allocated;
        uint64_t partial_since;      /* its first byte, or when reading was resumed; seconds of the wheel */
        WsConn *new_prev, *new_next; /* while partial is set and the peer is not trusted */

        Message *queue, *queue_tail;
        size_t queued; /* bytes */

        WheelTimer timer;
        uint64_t heard; /* of the last input; seconds of the wheel */
        bool established, paused, trusted;
        bool pinged; /* since the last input */
        bool want_ping;
        bool closing; /* nothing more is delivered; what is queued and then the close frame are sent */
        bool goodbye; /* lws has been told to close */
        int close_code;
        char close_reason[124];
};

const char *ws_peer(WsConn *w)
{
        return w->peer;
}

void ws_set_data(WsConn *w, void *data)
{
        w->data = data;
}

void *ws_data(WsConn *w)
{
        return w->data;
}

/* Returns the unfinished message, which then belongs to the caller. */
static char *partial_take(WsConn *w)
{
        HttpServer *s = w->conn->server;
        char *partial = TAKE_PTR(w->partial);

        if (partial && !w->trusted)
                DL_DELETE2(s->ws_new, w, new_prev, new_next);
        s->ws_partial[w->trusted] -= w->partial_allocated;
        w->partial_size = w->partial_allocated = 0;
        return partial;
}

static void partial_free(WsConn *w)
{
        free(partial_take(w));
}

void ws_trust(WsConn *w)
{
        HttpServer *s = w->conn->server;

        if (w->trusted)
                return;
        if (w->partial)
                DL_DELETE2(s->ws_new, w, new_prev, new_next);
        s->ws_partial[false] -= w->partial_allocated;
        s->ws_partial[true] += w->partial_allocated;
        w->trusted = true;
}

static void queue_pop(WsConn *w)
{
        Message *m = w->queue;

        w->queue = m->next;
        if (!w->queue)
                w->queue_tail = NULL;
        w->queued -= m->size;
        free(m);
}

static void on_close_timeout(WheelTimer *t, void *userdata)
{
        WsConn *w = userdata;

        conn_kill(w->conn);
}

/* Runs at the earliest time when something could be due. */
static void on_alive_timeout(WheelTimer *t, void *userdata)
{
        WsConn *w = userdata;
        Wheel *wheel = w->conn->server->wheel;
        /* While we do not read from the peer, its silence means nothing, but it still needs our pings. */
        uint64_t silence = w->paused ? WS_PING_SECONDS : wheel_now(wheel) - w->heard;

        if (w->partial && !w->paused &&
            wheel_now(wheel) - w->partial_since >= (w->trusted ? WS_MESSAGE_SECONDS : WS_MESSAGE_NEW_SECONDS)) {
                ws_close(w, 4408, "timeout");
                return;
        }
        if (silence >= WS_SILENCE_SECONDS) {
                conn_kill(w->conn);
                return;
        }
        if (silence < WS_PING_SECONDS) {
                wheel_arm(wheel, &w->timer, (unsigned) (WS_PING_SECONDS - silence), on_alive_timeout, w);
                return;
        }
        if (!w->pinged || w->paused) {
                w->pinged = w->want_ping = true;
                conn_want_write(w->conn);
        }
        wheel_arm(wheel, &w->timer, (unsigned) MIN(WS_SILENCE_SECONDS - silence, (uint64_t) WS_PING_SECONDS),
                  on_alive_timeout, w);
}

static size_t message_max(const WsConn *w)
{
        return w->trusted ? WS_MESSAGE_MAX : WS_MESSAGE_NEW_MAX;
}

static void heard(WsConn *w)
{
        w->heard = wheel_now(w->conn->server->wheel);
        w->pinged = false;
}

int ws_on_upgrade(HttpConn *c, const char *protocol)
{
        _cleanup_free_ char *forwarded = NULL;
        HttpServer *s = c->server;
        WsConn *w;
        char *uri;
        int size, method;

        if (c->request || c->sse || c->ws)
                return -EPROTO;
        conn_leave_waiting(c);
        wheel_disarm(s->wheel, &c->timer);
        method = lws_http_get_uri_and_method(c->wsi, &uri, &size);
        if (method < 0)
                return -EPROTO;
        if (!message_is_valid(c->wsi)) {
                respond_refuse(c, 400, "bad-request", "The request line or a header is malformed.");
                return -EPROTO;
        }
        if (strcasecmp(protocol, "websocket") != 0) {
                respond_refuse(c, 400, "bad-upgrade", "Upgrade to WebSocket; no other protocol is supported.");
                return -EPROTO;
        }
        if (!s->ws_path || strlen(s->ws_path) != (size_t) size || memcmp(s->ws_path, uri, (size_t) size) != 0) {
                if (s->unavailable)
                        respond_refuse(c, 503, "unavailable", s->unavailable);
                else
                        respond_refuse(c, 404, "not-found", "No WebSocket is served at this path.");
                return -ENOENT;
        }
        if (s->shutting_down || s->unavailable) {
                respond_refuse(c, 503, "unavailable", s->unavailable ?: "The server is shutting down.");
                return -ESHUTDOWN;
        }
        if (method != LWSHUMETH_GET) {
                respond_refuse(c, 405, "method-not-allowed", "Use GET to open a WebSocket.");
                return -EPROTO;
        }

        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        if (header_dup(c->wsi, WSI_TOKEN_X_FORWARDED_FOR, &forwarded) == -ENOMEM ||
            client_address(s, c->peer, forwarded, &w->peer) < 0) {
                free(w);
                return -ENOMEM;
        }
        w->conn = c;
        c->ws = w;
        heard(w);
        if (s->ws_handler.open && s->ws_handler.open(w, s->ws_userdata) < 0) {
                c->ws = NULL;
                while (w->queue)
                        queue_pop(w);
                wheel_disarm(s->wheel, &w->timer);
                free(w->peer);
                free(w);
                respond_refuse(c, 503, "refused",
                               "The server accepts no further connections right now; try again later.");
                return -ECONNREFUSED;
        }
        /* From here on closed() must follow even if the handshake fails: ws_detach() calls it. */
        return 0;
}

void ws_on_established(WsConn *w)
{
        w->established = true;
        heard(w);
        if (!w->timer.armed)
                wheel_arm(w->conn->server->wheel, &w->timer, WS_PING_SECONDS, on_alive_timeout, w);
        if (w->queue || w->closing)
                conn_want_write(w->conn);
}

/* Whether unfinished messages may take n more bytes. Peers that are not trusted make room for each other: a peer
 * that means well finishes its first message at once, so the oldest one is the least likely to. */
static bool partial_admit(WsConn *w, size_t n)
{
        HttpServer *s = w->conn->server;

        if (w->trusted)
                return s->ws_partial[true] + n <= WS_PARTIAL_MAX;
        while (s->ws_partial[false] + n > WS_PARTIAL_NEW_MAX && s->ws_new && s->ws_new != w)
                ws_close(s->ws_new, 4429, "slow_down");
        return s->ws_partial[false] + n <= WS_PARTIAL_NEW_MAX;
}

static int partial_grow(WsConn *w, size_t want)
{
        HttpServer *s = w->conn->server;
        size_t more = want - w->partial_allocated;
        char *partial;

        if (!partial_admit(w, more))
                return -ENOBUFS;
        partial = realloc(w->partial, want);
        if (!partial)
                return -ENOMEM;
        if (!w->partial) {
                w->partial_since = wheel_now(s->wheel);
                if (!w->trusted)
                        DL_APPEND2(s->ws_new, w, new_prev, new_next);
        }
        w->partial = partial;
        w->partial_allocated = want;
        s->ws_partial[w->trusted] += more;
        return 0;
}

static int partial_append(WsConn *w, const char *data, size_t n, size_t rest)
{
        size_t need = w->partial_size + n;
        int r;

        if (n == 0) /* without a buffer, memcpy() must not be called */
                return 0;
        if (need > w->partial_allocated) {
                /* As much as the frame announces, but at most twice what has arrived. */
                r = partial_grow(w, MIN(MAX(need, MIN(need + rest, 2 * need + 4096)), message_max(w)));
                if (r < 0)
                        return r;
        }
        memcpy(w->partial + w->partial_size, data, n);
        w->partial_size = need;
        return 0;
}

static void deliver(WsConn *w, const char *text, size_t n)
{
        HttpServer *s = w->conn->server;

        if (!utf8_is_valid(text, n)) {
                ws_close(w, LWS_CLOSE_STATUS_INVALID_PAYLOAD, "not_utf8");
                return;
        }
        if (s->ws_handler.message)
                s->ws_handler.message(w, text, n, s->ws_userdata);
}

int ws_on_receive(WsConn *w, const char *data, size_t n)
{
        size_t rest = lws_remaining_packet_payload(w->conn->wsi);
        bool whole = lws_is_final_fragment(w->conn->wsi);
        int r;

        heard(w);
        if (w->closing)
                return 0;
        if (lws_frame_is_binary(w->conn->wsi)) {
                ws_close(w, LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE, "text only");
                return 0;
        }
        if (rest > message_max(w) || w->partial_size + n + rest > message_max(w)) {
                ws_close(w, 4413, "too_large");
                return 0;
        }
        /* The common case needs no copy. */
        if (whole && w->partial_size == 0) {
                deliver(w, data, n);
                return 0;
        }
        r = partial_append(w, data, n, rest);
        if (r < 0) {
                ws_close(w, 4429, "slow_down");
                return 0;
        }
        if (whole) {
                size_t size = w->partial_size;
                _cleanup_free_ char *message = partial_take(w);

                deliver(w, message, size);
        }
        return 0;
}

void ws_on_pong(WsConn *w)
{
        heard(w);
}

static int flush_queue(WsConn *w)
{
        struct lws *wsi = w->conn->wsi;

        /* lws keeps what the socket does not accept, and reports it here. Polling the socket before each
         * message would be one more system call. */
        for (unsigned i = 0; w->queue && i < WS_BURST && !lws_partial_buffered(wsi); i++) {
                if (lws_write(wsi, w->queue->data + LWS_PRE, w->queue->size, LWS_WRITE_TEXT) < 0)
                        return -EPIPE;
                queue_pop(w);
        }
        return 0;
}

int ws_send(WsConn *w, const char *text, size_t n)
{
        Message *m;

        if (w->closing)
                return -ESHUTDOWN;
        if (n > WS_QUEUE_MAX - w->queued) {
                /* Queued messages would not get through either. */
                while (w->queue)
                        queue_pop(w);
                ws_close(w, 4429, "slow_down");
                return -ENOBUFS;
        }
        m = malloc(sizeof(*m) + LWS_PRE + n);
        if (!m)
                return -ENOMEM;
        m->next = NULL;
        m->size = n;
        memcpy(m->data + LWS_PRE, text, n);
        if (w->queue_tail)
                w->queue_tail->next = m;
        else
                w->queue = m;
        w->queue_tail = m;
        w->queued += n;
        if (!w->established)
                return 0;
        /* Write at once if the socket accepts it: each callback requested from lws costs four calls of
         * epoll_ctl(2). Not from within a callback, where lws must first send what it owes the peer. */
        if (w->queue == m && w->conn->wsi && !w->conn->in_callback && !w->conn->close && flush_queue(w) < 0) {
                conn_kill(w->conn);
                return 0;
        }
        if (w->queue)
                conn_want_write(w->conn);
        return 0;
}

void ws_close(WsConn *w, int code, const char *reason)
{
        if (w->closing)
                return;
        w->closing = true;
        w->close_code = code;
        partial_free(w);
        snprintf(w->close_reason, sizeof(w->close_reason), "%s", strempty(reason));
        /* The peer may have stopped reading. */
        wheel_arm(w->conn->server->wheel, &w->timer, WS_CLOSE_SECONDS, on_close_timeout, w);
        if (w->paused) {
                w->paused = false;
                conn_read(w->conn, true);
        }
        if (w->established)
                conn_want_write(w->conn);
}

void ws_pause(WsConn *w, bool pause)
{
        if (w->closing || w->paused == pause)
                return;
        w->paused = pause;
        w->partial_since = wheel_now(w->conn->server->wheel);
        heard(w);
        conn_read(w->conn, !pause);
}

/* Not by an error from lws' callback: builds with debugging enabled, such as Debian's, then close twice and
 * drop the frame the second time. */
static void say_goodbye(HttpConn *c)
{
        WsConn *w = c->ws;

        lws_close_reason(c->wsi, (enum lws_close_status) w->close_code, (unsigned char *) w->close_reason,
                         strlen(w->close_reason));
        conn_close(c);
}

int ws_on_writable(WsConn *w)
{
        struct lws *wsi = w->conn->wsi;
        unsigned char ping[LWS_PRE + 1] = {};

        if (w->want_ping && !w->closing) {
                w->want_ping = false;
                /* lws does not report a pong without a payload. */
                if (lws_write(wsi, ping + LWS_PRE, 1, LWS_WRITE_PING) < 0)
                        return -EPIPE;
        }
        if (flush_queue(w) < 0)
                return -EPIPE;
        if (w->queue) {
                conn_want_write(w->conn);
                return 0;
        }
        if (w->closing && !w->goodbye) {
                w->goodbye = true;
                conn_defer(w->conn, say_goodbye);
        }
        return 0;
}

void ws_detach(WsConn *w)
{
        HttpServer *s = w->conn->server;

        w->conn->ws = NULL;
        wheel_disarm(s->wheel, &w->timer);
        if (s->ws_handler.closed)
                s->ws_handler.closed(w, s->ws_userdata);
        while (w->queue)
                queue_pop(w);
        partial_free(w);
        free(w->peer);
        free(w);
}
