/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/ioctl.h>

#include "http/internal.h"

/* Streams and WebSockets are told, requests may finish, and idle connections are closed after a moment:
 * without it, a request that a client has just sent would end in a reset. The listening sockets belong to
 * the service manager, where further clients wait for the next instance. */

/* For a request that was in transit when the shutdown began, on a used connection or on one that the kernel
 * has just accepted for us. */
#define SHUTDOWN_IDLE_USEC  (300 * USEC_PER_MSEC)
#define SHUTDOWN_FRESH_USEC (2 * USEC_PER_SEC)

static void shutdown_finish(HttpServer *s)
{
        void (*done)(void *userdata) = s->shutdown_done;

        s->shutdown_done = NULL;
        s->shutdown_timer = sd_event_source_disable_unref(s->shutdown_timer);
        s->shutdown_idle_timer = sd_event_source_disable_unref(s->shutdown_idle_timer);
        s->shutdown_defer = sd_event_source_disable_unref(s->shutdown_defer);
        if (done)
                done(s->shutdown_userdata);
}

static int on_shutdown_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        shutdown_finish(userdata);
        return 0;
}

static bool has_unread(HttpConn *c)
{
        int n = 0;

        return ioctl(lws_get_socket_fd(c->wsi), FIONREAD, &n) >= 0 && n > 0;
}

static int on_shutdown_idle(sd_event_source *source, uint64_t usec, void *userdata)
{
        HttpServer *s = userdata;
        bool last = s->shutdown_idle_passed;
        HttpListener *l;
        HttpConn *c;

        DL_FOREACH(s->conns, c)
                if (c->wsi && !c->request && !c->sse && !c->ws && !c->lingering && (c->used || last) &&
                    !lws_partial_buffered(c->wsi) && !has_unread(c))
                        conn_kill(c);
        if (last) {
                LL_FOREACH(s->listeners, l)
                        accept_filter_close_silent(l->silent);
                return 0;
        }
        s->shutdown_idle_passed = true;
        (void) sd_event_source_set_time_relative(source, SHUTDOWN_FRESH_USEC - SHUTDOWN_IDLE_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_shutdown_defer(sd_event_source *source, void *userdata)
{
        shutdown_finish(userdata);
        return 0;
}

int http_server_shutdown(HttpServer *s, uint64_t timeout_usec, void (*done)(void *userdata), void *userdata)
{
        HttpListener *l;
        HttpConn *c;
        int r;

        if (s->shutting_down)
                return -EALREADY;
        r = sd_event_add_time_relative(s->event, &s->shutdown_timer, CLOCK_MONOTONIC, timeout_usec, 0,
                                       on_shutdown_timeout, s);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(s->event, &s->shutdown_idle_timer, CLOCK_MONOTONIC, SHUTDOWN_IDLE_USEC, 0,
                                       on_shutdown_idle, s);
        if (r < 0)
                return r;
        r = sd_event_add_defer(s->event, &s->shutdown_defer, on_shutdown_defer, s);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(s->shutdown_defer,
                                           server_count_conns(s) == 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
        s->shutdown_done = done;
        s->shutdown_userdata = userdata;
        s->shutting_down = true;
        LL_FOREACH(s->listeners, l)
                l->listener = listener_free(l->listener);
        DL_FOREACH(s->conns, c) {
                if (c->ws)
                        ws_close(c->ws, WS_CLOSE_RESTART, "restarting");
                else if (c->sse)
                        sse_close(c->sse);
                else if (c->request)
                        c->request->close = true;
        }
        return 0;
}
