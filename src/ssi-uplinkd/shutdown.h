/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether the host is about to go down, as ssid learns from logind. Until then, holds a delay lock of logind, so
 * that there is time to tell the backend before the network goes down. Without logind, there is no notice of a
 * shutdown, and no lock. */

#include <systemd/sd-bus.h>

#include "shared/util.h"

typedef struct Shutdown Shutdown;

int shutdown_new(sd_bus *bus, void (*changed)(bool active, void *userdata), void *userdata, Shutdown **ret);
/* NULL is allowed, also for shutdown_release(). */
Shutdown *shutdown_free(Shutdown *s);
DEFINE_CLEANUP(Shutdown *, shutdown_free);

/* The backend has been told: the host may go down. */
void shutdown_release(Shutdown *s);
