/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/epoll.h>

#include "net-internal.h"

/* Runs libwebsockets in the sd-event loop, without an event library. lws keeps its poll(2), which is good enough for
 * one connection, and gets a turn whenever the socket is ready. lws does not tell what it waits for, so the loop
 * watches both directions: it wakes up for input as long as there is some, and for output when there is room again.
 * Only while lws is known to hold output does it wake up as long as there is room. Each direction has its own
 * descriptor, because a descriptor has only one trigger mode. */

/* lws does requested work in its next turn, and a new connection takes several turns. */
#define TURNS 4

/* While lws has timeouts of its own: while connecting and while closing. */
#define TICK_USEC USEC_PER_SEC

static bool has_timeouts(const Net *n)
{
        for (const NetConn *c = n->conns; c; c = c->next)
                if (c->wsi && !c->settled)
                        return true;
        return false;
}

static int arm_tick(Net *n)
{
        int r;

        if (!has_timeouts(n))
                return sd_event_source_set_enabled(n->tick, SD_EVENT_OFF);
        r = sd_event_source_set_time_relative(n->tick, TICK_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(n->tick, SD_EVENT_ONESHOT);
}

static int watch_output(NetConn *c)
{
        bool holds = c->wsi && lws_partial_buffered(c->wsi);
        int r;

        if (!c->output || holds == c->holds_output)
                return 0;
        r = sd_event_source_set_io_events(c->output, holds ? EPOLLOUT : EPOLLOUT | EPOLLET);
        if (r >= 0)
                c->holds_output = holds;
        return r;
}

static int give_turns(Net *n)
{
        int r;

        for (unsigned i = 0; i < TURNS; i++)
                lws_service(n->context, -1);
        for (NetConn *c = n->conns; c; c = c->next) {
                r = watch_output(c);
                if (r < 0)
                        return r;
        }
        /* Data is decrypted but not delivered yet. */
        if (lws_service_adjust_timeout(n->context, 1, 0) == 0)
                net_kick(n);
        return arm_tick(n);
}

static int on_kick(sd_event_source *source, void *userdata)
{
        return give_turns(userdata);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
        return give_turns(userdata);
}

static int on_socket(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        return give_turns(userdata);
}

void net_kick(Net *n)
{
        (void) sd_event_source_set_enabled(n->kick, SD_EVENT_ONESHOT);
}

static int watch(NetConn *c, uint32_t events, sd_event_source **ret)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        fd = fcntl(lws_get_socket_fd(c->wsi), F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return -errno;
        r = sd_event_add_io(c->net->event, ret, fd, events, on_socket, c->net);
        if (r < 0)
                return r;
        r = sd_event_source_set_io_fd_own(*ret, true);
        if (r >= 0)
                (void) TAKE_FD(fd);
        return r;
}

int net_watch(NetConn *c)
{
        int r;

        net_unwatch(c);
        r = watch(c, EPOLLIN, &c->input);
        c->holds_output = false;
        return r < 0 ? r : watch(c, EPOLLOUT | EPOLLET, &c->output);
}

void net_unwatch(NetConn *c)
{
        c->input = sd_event_source_disable_unref(c->input);
        c->output = sd_event_source_disable_unref(c->output);
}

int net_loop_setup(Net *n)
{
        int r;

        r = sd_event_add_defer(n->event, &n->kick, on_kick, n);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(n->kick, "net-kick");
        r = sd_event_source_set_enabled(n->kick, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_time(n->event, &n->tick, CLOCK_MONOTONIC, UINT64_MAX, 0, on_tick, n);
        return r < 0 ? r : sd_event_source_set_enabled(n->tick, SD_EVENT_OFF);
}

void net_loop_done(Net *n)
{
        n->kick = sd_event_source_disable_unref(n->kick);
        n->tick = sd_event_source_disable_unref(n->tick);
}
