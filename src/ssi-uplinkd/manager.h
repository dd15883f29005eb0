/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The uplink: its registration, its session with the backend, and org.ssi.Uplink1 on the bus. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "inventory.h"
#include "register.h"
#include "shared/polkit.h"
#include "session.h"
#include "shutdown.h"

#define UPLINK_STRINGS 3
#define UPLINK_FIGURES 5

typedef struct BusOwner BusOwner;

typedef struct Manager {
        sd_event *event;
        sd_bus *bus;
        BusOwner *systemd; /* whose signals count */
        PolkitRegistry *polkit;
        Net *net;
        Inventory *inventory;
        Session *session;
        Shutdown *shutdown;
        Registration *registration; /* the one under way */
        sd_event_source *changed;   /* properties are about to be announced */

        bool registered;
        bool rejected; /* the backend does not know the agent any more */
        bool warned;   /* of the outage that lasts */
        Credentials credentials;
        ServerUrl url;
        char last_error[512];
        struct {
                bool connected;
                char *strings[UPLINK_STRINGS];
                uint64_t figures[UPLINK_FIGURES];
        } announced; /* on the bus, of the properties */
} Manager;

int manager_new(Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free);

int manager_start(Manager *m);

/* Reports to this backend from now on. Takes both in any case. */
int manager_adopt(Manager *m, Credentials *credentials, ServerUrl *url);
/* Forgets the registration, on disk too. */
int manager_forget(Manager *m);

/* Announces the properties soon. */
void manager_changed(Manager *m);

/* manager-bus.c */
int manager_add_object(Manager *m);
void manager_emit_changed(Manager *m);
