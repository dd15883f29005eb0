/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whose signals count.
 *
 * sd-bus takes any unique name for the well-known one in a match's "sender=", the bus' own name included. The bus compares
 * them for broadcast signals, but nobody does for a signal that is addressed to us, and every local user may send those. So each
 * handler of a signal asks bus_owner_sent() before it reads anything. What passes is a hint to read again from the owner,
 * and never a fact.
 *
 * Only the bus itself says who owns the name; no connection can have the name of the bus. Nothing blocks. */

#include <systemd/sd-bus.h>

#include "shared/util.h"

typedef struct BusOwner BusOwner;

/* owner: a unique name, or NULL for none. Called from the loop once the owner is known, and after each change: what was sent
 * before has been dropped, so everything is to be read again. It may free the BusOwner. */
typedef void (*bus_owner_changed_t)(const char *owner, void *userdata);

/* name: a well-known name; or the unique one of a message's sender, to see that connection end (-EBADMSG for NULL). changed may
 * be NULL. */
int bus_owner_new(sd_bus *bus, const char *name, bus_owner_changed_t changed, void *userdata, BusOwner **ret);
BusOwner *bus_owner_free(BusOwner *o);
DEFINE_CLEANUP(BusOwner *, bus_owner_free);

/* Whether the message is from the name's present owner; never while that is not known. */
bool bus_owner_sent(const BusOwner *o, sd_bus_message *m);

/* Whether the bus itself sent the message. */
bool bus_itself_sent(sd_bus_message *m);
