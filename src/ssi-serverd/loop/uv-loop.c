/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/epoll.h>

#include "loop/uv-loop-internal.h"

/* Turns of the uv loop per turn of ours. Most events take two: lws handles leftovers in an idle handler. */
#define TURNS_MAX 4

static void uv_bridge_drop_sources(UvBridge *u)
{
        u->io = sd_event_source_disable_unref(u->io);
        u->timer = sd_event_source_disable_unref(u->timer);
}

void uv_bridge_pump(UvBridge *u)
{
        if (u->running)
                return;
        u->running = true;
        for (unsigned i = 0; i < TURNS_MAX; i++) {
                u->kicked = false;
                uv_run(&u->loop, UV_RUN_NOWAIT);
                if (uv_backend_timeout(&u->loop) == 0 && i + 1 < TURNS_MAX)
                        continue;
                if (u->after)
                        u->after(u->after_userdata);
                if (!u->kicked)
                        break;
        }
        u->running = false;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        uv_bridge_pump(userdata);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        uv_bridge_pump(userdata);
        return 0;
}

/* A time of 0 is in the past and fires at once. A defer source would be cheaper, but while one is pending
 * sd-event does not arm its timers, which would starve under load. */
static int schedule(UvBridge *u, uint64_t usec)
{
        int r;

        r = sd_event_source_set_time_relative(u->timer, usec);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(u->timer, SD_EVENT_ONESHOT);
}

/* Called right before sd-event waits: when does libuv need to run again? */
static int on_prepare(sd_event_source *source, void *userdata)
{
        UvBridge *u = userdata;
        int timeout;

        if (u->kicked)
                return schedule(u, 0);
        /* libuv's clock is as old as its last run. */
        uv_update_time(&u->loop);
        timeout = uv_backend_timeout(&u->loop);
        if (timeout < 0)
                return sd_event_source_set_enabled(u->timer, SD_EVENT_OFF);
        return schedule(u, (uint64_t) timeout * USEC_PER_MSEC);
}

int uv_bridge_new(sd_event *event, UvBridge **ret)
{
        _cleanup_(uv_bridge_freep) UvBridge *u = NULL;
        int r;

        u = calloc(1, sizeof(*u));
        if (!u)
                return -ENOMEM;
        r = uv_loop_init(&u->loop);
        if (r < 0)
                return r;
        u->initialized = true;
        r = sd_event_add_io(event, &u->io, uv_backend_fd(&u->loop), EPOLLIN, on_io, u);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(event, &u->timer, CLOCK_MONOTONIC, 0, 1, on_timer, u);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(u->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_source_set_prepare(u->io, on_prepare);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(u->io, "uv-io");
        *ret = TAKE_PTR(u);
        return 0;
}

UvBridge *uv_bridge_free(UvBridge *u)
{
        if (!u)
                return NULL;
        uv_bridge_drop_sources(u);
        if (u->initialized) {
                while (u->jobs > 0)
                        uv_run(&u->loop, UV_RUN_ONCE);
                /* Close callbacks need one more turn. */
                for (int i = 0; i < 16 && uv_loop_close(&u->loop) == UV_EBUSY; i++)
                        uv_run(&u->loop, UV_RUN_NOWAIT);
        }
        free(u);
        return NULL;
}

uv_loop_t *uv_bridge_loop(UvBridge *u)
{
        return &u->loop;
}

void uv_bridge_set_after(UvBridge *u, void (*after)(void *userdata), void *userdata)
{
        u->after = after;
        u->after_userdata = userdata;
}

void uv_bridge_kick(UvBridge *u)
{
        /* Checked before sd-event waits, or at the end of this turn. */
        u->kicked = true;
}
