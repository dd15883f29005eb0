/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A libuv loop inside the sd-event loop: libwebsockets hangs its sockets on the former, everything else of the daemon
 * on the latter. One thread runs both. */

#include <systemd/sd-event.h>

#include "shared/util.h"

typedef struct UvBridge UvBridge;

int uv_bridge_new(sd_event *event, UvBridge **ret);
/* Waits for the jobs of worker_run() that are under way; their done functions are called from here. Everything else
 * on the loop must have been closed before. */
UvBridge *uv_bridge_free(UvBridge *u);
DEFINE_CLEANUP(UvBridge *, uv_bridge_free);

/* libuv tells the kernel of a new or changed watcher only when it next runs. Call this after anything that may have
 * touched the uv loop outside of its own callbacks. Cheap, and harmless when nothing changed. */
void uv_bridge_kick(UvBridge *u);

/* after is called each time the loop has run, when none of its callbacks is on the stack. */
void uv_bridge_set_after(UvBridge *u, void (*after)(void *userdata), void *userdata);

/* Runs what is ready, without waiting. Does nothing from inside a callback of the loop. */
void uv_bridge_pump(UvBridge *u);
