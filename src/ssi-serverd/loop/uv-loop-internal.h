/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What uv-loop.c and its test share. */

/* libuv brings the MIN and MAX of sys/param.h, which must come second. */
#include "shared/util.h"

#include <uv.h>

#include "loop/uv-loop.h"

struct UvBridge {
        uv_loop_t loop;
        sd_event_source *io;    /* the loop's epoll fd */
        sd_event_source *timer; /* it wants to run again */
        void (*after)(void *userdata);
        void *after_userdata;
        unsigned jobs;          /* of worker_run(), under way */
        bool initialized;
        bool running;
        bool kicked;            /* while running */
};

uv_loop_t *uv_bridge_loop(UvBridge *u);
