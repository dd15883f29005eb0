/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lets the users of the bus take turns at a daemon's methods, properties and introspection (docs/adr/0051).
 *
 * Each method call waits in the queue of its user, and a timer dispatches one at a time: of each user in turn, in the order in which the
 * user sent them. After a call, a user other than root rests for three times as long as the call took. Signals and replies do not wait.
 * Calls beyond what may wait are refused with LimitsExceeded.
 *
 * Only the bus knows a connection's user: it is asked once, and not waited for. */

#include <systemd/sd-bus.h>

#include "shared/polkit.h"

typedef struct BusTurns BusTurns;

/* The bus is attached to an event loop. polkit: learns the users, and its redispatched messages have had their turn. Free it before both. */
int bus_turns_new(sd_bus *bus, PolkitRegistry *polkit, BusTurns **ret);
/* Forgets the calls that wait. NULL is allowed. */
BusTurns *bus_turns_free(BusTurns *t);
DEFINE_CLEANUP(BusTurns *, bus_turns_free);
