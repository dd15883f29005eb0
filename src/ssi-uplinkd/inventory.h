/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A mirror of the services that ssid has on the bus. While ssid is away, the mirror keeps its last state. */

#include <systemd/sd-bus.h>

#include "messages.h"

typedef struct Inventory Inventory;

/* Calls changed() from the event loop, once for changes that come together: soon if a service was added, removed or
 * changed, later if only a next run changed. */
int inventory_new(sd_bus *bus, void (*changed)(void *userdata), void *userdata, Inventory **ret);
Inventory *inventory_free(Inventory *i);
DEFINE_CLEANUP(Inventory *, inventory_free);

/* A result of this service was read from the journal: ssid knows the service, or is about to. */
void inventory_expect(Inventory *i, const char *slug);

/* Returns 1 with the message for the backend. Returns 0 until ssid has first been read, and while a service that has
 * run is still missing; changed() is called later. */
int inventory_message(Inventory *i, char **ret);
