/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of ssid share. They stand below the manager, which sets this up and owns it; what they have to say to it they
 * say through its ops. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "shared/polkit.h"
#include "shared/status.h"
#include "systemd-query.h"

typedef struct Agent Agent;
typedef struct BusOwner BusOwner;
typedef struct Dependencies Dependencies;
typedef struct LogFollow LogFollow;
typedef struct Operation Operation;
typedef struct RunStart RunStart;
typedef struct Service Service;
typedef struct TestRun TestRun;
typedef struct Watch Watch;

/* polkit actions. */
#define ACTION_MANAGE         "org.ssi.agent1.manage-services"
#define ACTION_ADD_PRIVILEGED "org.ssi.agent1.add-privileged-service"
#define ACTION_RUN            "org.ssi.agent1.run-service"
#define ACTION_READ_OUTPUT    "org.ssi.agent1.read-output"

typedef struct AgentOps {
        /* Properties of a service are marked: they are emitted when the loop comes to it. */
        void (*changed)(Agent *a);
        /* A service has another status than before. */
        void (*status_changed)(Agent *a);
        /* A run has just given a status; old is the one before. */
        int (*reported)(Agent *a, Service *s, Status old);
        /* A run has just ended, with or without a status. */
        int (*run_ended)(Agent *a, Service *s);
        /* Files of the service were written or removed: read them again. */
        int (*rescan)(Agent *a, const char *slug);
} AgentOps;

struct Agent {
        const AgentOps *ops;
        sd_event *event;
        sd_bus *bus;
        PolkitRegistry *polkit;
        BusOwner *systemd; /* whose signals count */
        SystemdQueries *queries;

        Service *services; /* by slug */
        size_t n_services;
        bool no_memory_peak; /* systemd is too old to report it */

        Watch *watches;
        sd_bus_slot *watches_slot;
        Dependencies *dependencies;

        Operation *operations;       /* the first one is under way */
        sd_event_source *zone_check; /* looks at the timers */
        bool zone_checking;          /* a look is queued, and has not begun */
        RunStart *run_starts;
        TestRun *tests;
        LogFollow *log_follows;
        uint32_t last_log_follow;
};
