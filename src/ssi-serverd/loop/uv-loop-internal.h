/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by uv-loop.c and its test. */

/* Before uv.h: libuv includes sys/param.h, whose MIN and MAX must come after ours. */
#include "shared/util.h"

#include <uv.h>

#include "loop/uv-loop.h"

struct UvBridge {
        uv_loop_t loop;
        sd_event_source *io;    /* the loop's epoll fd */
        sd_event_source *timer; /* when libuv needs to run again */
        void (*after)(void *userdata);
        void *after_userdata;
        unsigned jobs; /* worker_run() jobs under way */
        bool initialized;
        bool running;
        bool kicked; /* while running */
};

uv_loop_t *uv_bridge_loop(UvBridge *u);
