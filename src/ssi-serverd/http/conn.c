/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "http/internal.h"

/* "192.0.2.1", "2001:db8::1", or "local" for a Unix socket. NULL when out of memory or already disconnected. */
static char *peer_name(int fd)
{
        union {
                struct sockaddr sa;
                struct sockaddr_in in;
                struct sockaddr_in6 in6;
                struct sockaddr_storage storage;
        } a = {};
        socklen_t size = sizeof(a);
        char name[INET6_ADDRSTRLEN];
        const char *s = NULL;

        if (getpeername(fd, &a.sa, &size) < 0)
                return NULL;
        if (a.sa.sa_family == AF_UNIX)
                return strdup("local");
        if (a.sa.sa_family == AF_INET)
                s = inet_ntop(AF_INET, &a.in.sin_addr, name, sizeof(name));
        else if (a.sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a.in6.sin6_addr))
                s = inet_ntop(AF_INET, &a.in6.sin6_addr.s6_addr[12], name, sizeof(name));
        else if (a.sa.sa_family == AF_INET6)
                s = inet_ntop(AF_INET6, &a.in6.sin6_addr, name, sizeof(name));
        return s ? strdup(s) : NULL;
}

HttpConn *conn_get(struct lws *wsi)
{
        HttpServer *s = lws_context_user(lws_get_context(wsi));
        HttpConn *c = lws_get_opaque_user_data(wsi);

        if (c)
                return c;
        c = calloc(1, sizeof(*c));
        if (!c)
                return NULL;
        c->peer = peer_name(lws_get_socket_fd(wsi));
        if (!c->peer) {
                free(c);
                return NULL;
        }
        c->server = s;
        c->wsi = wsi;
        c->tls = lws_is_ssl(wsi);
        lws_set_opaque_user_data(wsi, c);
        DL_APPEND(s->conns, c);
        s->n_conns++;
        s->peak_conns = MAX(s->peak_conns, s->n_conns);
        return c;
}

static void undefer(HttpConn *c)
{
        DL_DELETE2(c->server->deferred, c, deferred_prev, deferred_next);
        c->deferred = NULL;
}

void conn_defer(HttpConn *c, void (*f)(HttpConn *c))
{
        if (!c->deferred)
                DL_APPEND2(c->server->deferred, c, deferred_prev, deferred_next);
        c->deferred = f;
        uv_bridge_kick(c->server->uv);
}

void conns_run_deferred(HttpServer *s)
{
        HttpConn *c;

        while ((c = s->deferred)) {
                void (*f)(HttpConn * c) = c->deferred;

                undefer(c);
                f(c);
        }
}

void conn_detach(HttpConn *c)
{
        if (!c->wsi)
                return;
        c->wsi = NULL;
        if (c->deferred)
                undefer(c);
        conn_leave_waiting(c);
        conn_hold(c, 0);
        wheel_disarm(c->server->wheel, &c->timer);
        if (c->request)
                request_detach(c);
        if (c->sse)
                sse_detach(c->sse);
        if (c->ws)
                ws_detach(c->ws);
}

void conn_free(HttpConn *c)
{
        HttpServer *s = c->server;

        conn_detach(c);
        DL_DELETE(s->conns, c);
        s->n_conns--;
        free(c->peer);
        free(c);
        server_conn_gone(s);
}

void conn_kill(HttpConn *c)
{
        if (!c->wsi)
                return;
        lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
        /* lws checks its timers only after I/O: cause some. */
        lws_cancel_service(c->server->context);
        uv_bridge_kick(c->server->uv);
}

void conn_want_write(HttpConn *c)
{
        if (!c->wsi)
                return;
        lws_callback_on_writable(c->wsi);
        uv_bridge_kick(c->server->uv);
}

void conn_read(HttpConn *c, bool enable)
{
        if (!c->wsi)
                return;
        lws_rx_flow_control(c->wsi, enable);
        /* OpenSSL may have read everything already, so the socket is no longer readable; any event makes lws
         * check. */
        if (enable && c->tls)
                lws_callback_on_writable(c->wsi);
        uv_bridge_kick(c->server->uv);
}

static void on_timeout(WheelTimer *t, void *userdata)
{
        conn_kill(userdata);
}

void conn_leave_waiting(HttpConn *c)
{
        HttpServer *s = c->server;

        if (!c->waiting)
                return;
        c->waiting = false;
        DL_DELETE2(s->waiting, c, waiting_prev, waiting_next);
        s->n_waiting--;
}

void conn_kill_oldest_waiting(HttpServer *s)
{
        HttpConn *oldest = s->waiting;

        if (!oldest)
                return;
        conn_leave_waiting(oldest);
        conn_kill(oldest);
}

static void enter_waiting(HttpConn *c)
{
        HttpServer *s = c->server;

        conn_leave_waiting(c);
        c->waiting = true;
        DL_APPEND2(s->waiting, c, waiting_prev, waiting_next);
        s->n_waiting++;
        if (s->n_waiting > HTTP_WAITING_MAX)
                conn_kill_oldest_waiting(s);
}

static void stop_holding(HttpConn *c)
{
        HttpServer *s = c->server;

        if (c->held == 0)
                return;
        DL_DELETE2(s->holding, c, holding_prev, holding_next);
        s->held -= c->held;
        c->held = 0;
}

void conn_hold(HttpConn *c, size_t n)
{
        HttpServer *s = c->server;

        if (n <= HTTP_HELD_FREE) {
                stop_holding(c);
                return;
        }
        if (c->held == 0)
                DL_APPEND2(s->holding, c, holding_prev, holding_next);
        s->held += n - c->held;
        c->held = n;
        while (s->held > HTTP_HELD_MAX && s->holding != c) {
                HttpConn *oldest = s->holding;
                bool receiving = oldest->request && oldest->request->state == REQUEST_BODY;

                stop_holding(oldest);
                /* Nobody reports when an answer has been sent: look. */
                if (oldest->wsi && (receiving || lws_partial_buffered(oldest->wsi)))
                        conn_kill(oldest);
        }
}

void conn_await_request(HttpConn *c, unsigned seconds)
{
        if (!c || !c->wsi || c->request || c->sse || c->ws)
                return;
        enter_waiting(c);
        lws_set_timeout(c->wsi, NO_PENDING_TIMEOUT, 0);
        wheel_arm(c->server->wheel, &c->timer, seconds, on_timeout, c);
}

void conn_close(HttpConn *c)
{
        if (c->in_callback)
                c->close = true;
        else
                lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
        uv_bridge_kick(c->server->uv);
}

void conn_answer(HttpConn *c, const char *head, size_t head_size, const void *body, size_t body_size, bool close)
{
        _cleanup_free_ unsigned char *buffer = NULL;
        bool body_expected = c->request && c->request->state == REQUEST_BODY && c->request->body_length > 0;
        int n = -1;

        if (!c->wsi)
                return;
        wheel_disarm(c->server->wheel, &c->timer);
        buffer = malloc(LWS_PRE + head_size + body_size);
        if (buffer) {
                memcpy(buffer + LWS_PRE, head, head_size);
                if (body_size > 0)
                        memcpy(buffer + LWS_PRE + head_size, body, body_size);
                n = lws_write(c->wsi, buffer + LWS_PRE, head_size + body_size, LWS_WRITE_HTTP);
                conn_hold(c, n >= 0 && lws_partial_buffered(c->wsi) ? head_size + body_size : 0);
        }
        request_detach(c);
        if (n < 0)
                conn_close(c);
        else if (close && body_expected) {
                c->lingering = true;
                wheel_arm(c->server->wheel, &c->timer, HTTP_LINGER_SECONDS, on_timeout, c);
        } else if (close && c->in_callback)
                c->close = true; /* lws first sends what it still has */
        else {
                bool partial = lws_partial_buffered(c->wsi);

                if (lws_http_transaction_completed(c->wsi) || (close && !partial))
                        conn_close(c);
                else /* also for output that lws still holds */
                        conn_await_request(c, HTTP_IDLE_SECONDS);
        }
}

int conn_linger(HttpConn *c, size_t n)
{
        c->lingered += n;
        return c->lingered > HTTP_LINGER_BYTES ? -ECONNABORTED : 0;
}
