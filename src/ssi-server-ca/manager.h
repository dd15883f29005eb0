/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The helper that holds the key of the private certificate authority: org.ssi.ServerCA1 on the system bus. */

#include <systemd/sd-event.h>

#include "ca.h"
#include "shared/bus-turns.h"

typedef struct Manager {
        sd_event *event;
        sd_bus *bus;
        PolkitRegistry *polkit;
        BusTurns *turns;
        Ca ca;
        uid_t backend; /* the user of ssi-serverd */
} Manager;

/* Logs its errors. */
int manager_new(Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free);

/* manager-bus.c */
int manager_add_object(Manager *m);
