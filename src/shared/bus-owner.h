/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Checks who sent a signal.
 *
 * In a match's "sender=", sd-bus accepts any unique name, even that of the bus itself, as the well-known name. For
 * broadcast signals, the bus compares the names. For a signal addressed to us, nobody does, and every local user may
 * send one. So each signal handler calls bus_owner_sent() before it reads anything. A signal that passes is a hint to
 * read again from the owner, never a fact.
 *
 * Only the bus itself says who owns the name, and no connection can have the bus' own name. Nothing blocks. */

#include <systemd/sd-bus.h>

#include "shared/util.h"

typedef struct BusOwner BusOwner;

/* owner: a unique name, or NULL for none. Called from the event loop once the owner is known, and after each change:
 * earlier signals were dropped, so read everything again. May free the BusOwner. */
typedef void (*bus_owner_changed_t)(const char *owner, void *userdata);

/* name: a well-known name; or the unique name of a message's sender, to notice when that connection ends (-EBADMSG
 * for NULL). changed may be NULL. */
int bus_owner_new(sd_bus *bus, const char *name, bus_owner_changed_t changed, void *userdata, BusOwner **ret);
BusOwner *bus_owner_free(BusOwner *o);
DEFINE_CLEANUP(BusOwner *, bus_owner_free);

/* Whether the name's current owner sent the message; false while the owner is not known. */
bool bus_owner_sent(const BusOwner *o, sd_bus_message *m);

/* Whether the bus itself sent the message. */
bool bus_itself_sent(sd_bus_message *m);
