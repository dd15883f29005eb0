/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Blocking or CPU-bound work in libuv's thread pool (4 threads unless $UV_THREADPOOL_SIZE says otherwise). */

#include "loop/uv-loop.h"

/* Jobs that may wait or run at once. */
#define WORKER_JOBS_MAX 1024

/* work runs in a thread of the pool and must touch nothing but userdata; done then runs in the event loop, exactly
 * once, and owns userdata from there. -EBUSY when WORKER_JOBS_MAX are under way, -ENOMEM; neither is called then.
 * http_server_uv() gives the loop. done may be called as late as from http_server_free(). */
int worker_run(UvBridge *u, void (*work)(void *userdata), void (*done)(void *userdata), void *userdata);
