/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A libuv loop inside the sd-event loop: libwebsockets attaches its sockets to the former, the rest of the
 * daemon uses the latter. One thread runs both. */

#include <systemd/sd-event.h>

#include "shared/util.h"

typedef struct UvBridge UvBridge;

int uv_bridge_new(sd_event *event, UvBridge **ret);
/* Waits for the worker_run() jobs under way and calls their done functions. Close everything else on the
 * loop first. */
UvBridge *uv_bridge_free(UvBridge *u);
DEFINE_CLEANUP(UvBridge *, uv_bridge_free);

/* libuv registers a new or changed watcher with the kernel only when it runs next. Call this after anything
 * that may have touched the uv loop outside its own callbacks. Cheap, and harmless when nothing changed. */
void uv_bridge_kick(UvBridge *u);

/* after is called whenever the loop has run, while none of its callbacks is on the stack. */
void uv_bridge_set_after(UvBridge *u, void (*after)(void *userdata), void *userdata);

/* Runs what is ready, without waiting. Does nothing from inside a callback of the loop. */
void uv_bridge_pump(UvBridge *u);
