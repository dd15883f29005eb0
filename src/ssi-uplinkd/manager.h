/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The uplink: its registration, its session with the backend, and org.ssi.Uplink1 on the bus. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "inventory.h"
#include "register.h"
#include "shared/bus-turns.h"
#include "rotate.h"
#include "shared/polkit.h"
#include "session.h"
#include "shutdown.h"

#define UPLINK_STRINGS 3
#define UPLINK_FIGURES 5

typedef struct Manager {
        sd_event *event;
        sd_bus *bus;
        PolkitRegistry *polkit;
        BusTurns *turns;
        Net *net;
        Inventory *inventory;
        Session *session;
        Shutdown *shutdown;
        Registration *registration; /* the current attempt to register */
        Rotation *rotation;         /* the current change of the key */
        sd_event_source *changed;   /* announces changed properties soon */

        bool registered;
        bool rejected; /* the backend no longer knows this agent, or refuses this host because another one uses its
                        * identity: it may be registered anew */
        bool warned;   /* the current outage has been logged */
        Credentials credentials;
        ServerUrl url;
        char last_error[512];
        struct {
                bool connected;
                char *strings[UPLINK_STRINGS];
                uint64_t figures[UPLINK_FIGURES];
        } announced; /* property values last announced on the bus */
} Manager;

int manager_new(Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free);

int manager_start(Manager *m);

/* Reports to this backend from now on. Takes ownership of both arguments, also on failure. */
int manager_adopt(Manager *m, Credentials *credentials, ServerUrl *url);
/* Saves the key beside the one in use. It is used from the next connection on. */
int manager_save_next_key(Manager *m, const char *key);
/* Forgets the registration and deletes the credentials from the disk. */
int manager_forget(Manager *m);

/* Announces the properties soon. */
void manager_changed(Manager *m);

/* manager-bus.c */
int manager_add_object(Manager *m);
void manager_emit_changed(Manager *m);
