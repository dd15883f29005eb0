/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A mirror of the services that ssid has on the bus. While ssid is away it keeps what it knew. */

#include <systemd/sd-bus.h>

#include "messages.h"

typedef struct Inventory Inventory;

/* changed() is called from the event loop, once for changes that come together: soon when a service was added, removed or
 * changed, later when only a next run did. */
int inventory_new(sd_bus *bus, void (*changed)(void *userdata), void *userdata, Inventory **ret);
Inventory *inventory_free(Inventory *i);
DEFINE_CLEANUP(Inventory *, inventory_free);

/* A result of this service has been read from the journal: ssid knows it, or will in a moment. */
void inventory_expect(Inventory *i, const char *slug);

/* The message for the backend: 1; 0 before ssid has ever been seen, and while a service that has run is still missing: changed() follows. */
int inventory_message(Inventory *i, char **ret);
