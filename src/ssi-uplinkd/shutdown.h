/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether the host is about to go down, as logind tells ssid. While it is not, a delay lock of logind is held, so
 * that there is time to tell the backend before the network goes; without logind there is none, and no lock either. */

#include <systemd/sd-bus.h>

#include "shared/util.h"

typedef struct Shutdown Shutdown;

int shutdown_new(sd_bus *bus, void (*changed)(bool active, void *userdata), void *userdata, Shutdown **ret);
/* NULL is fine, as for shutdown_release(). */
Shutdown *shutdown_free(Shutdown *s);
DEFINE_CLEANUP(Shutdown *, shutdown_free);

/* The backend knows: the host may go. */
void shutdown_release(Shutdown *s);
