/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Blocking or CPU-bound work in libuv's thread pool (4 threads unless $UV_THREADPOOL_SIZE says otherwise). */

#include "loop/uv-loop.h"

/* Limit of jobs waiting or running. */
#define WORKER_JOBS_MAX 1024

/* work runs in a thread of the pool and must touch only userdata; done then runs in the event loop, exactly
 * once, and takes ownership of userdata. On -EBUSY (WORKER_JOBS_MAX are under way) and -ENOMEM neither is
 * called. http_server_uv() returns the loop. done may be called as late as in http_server_free(). */
int worker_run(UvBridge *u, void (*work)(void *userdata), void (*done)(void *userdata), void *userdata);
