/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the parts of ssid. The manager creates and owns this; its parts notify it only through `ops`. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <utlist.h>

#include "shared/polkit.h"
#include "shared/status.h"
#include "systemd-query.h"

/* Whether a list, whose elements name their user, has room for one more of this user: at most max of all users together, and
 * max_of_user of each user other than root (docs/adr/0039). */
#define list_has_room(list, user, max, max_of_user)                     \
        ({                                                              \
                unsigned all_ = 0, same_ = 0;                           \
                typeof(list) i_;                                        \
                                                                        \
                DL_FOREACH(list, i_) {                                  \
                        all_++;                                         \
                        same_ += i_->uid == (user);                     \
                }                                                       \
                all_ < (max) && ((user) == 0 || same_ < (max_of_user)); \
        })

typedef struct Agent Agent;
typedef struct BusOwner BusOwner;
typedef struct BusTurns BusTurns;
typedef struct Dependencies Dependencies;
typedef struct Helpers Helpers;
typedef struct LogFollow LogFollow;
typedef struct Operation Operation;
typedef struct RunFollow RunFollow;
typedef struct RunHistory RunHistory;
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
        /* Properties of a service were marked: emit them when the event loop gets to it. */
        void (*changed)(Agent *a);
        /* A service's status has changed. */
        void (*status_changed)(Agent *a);
        /* A run has just given a status; old is the previous one. */
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
        BusTurns *turns;
        BusOwner *systemd; /* checks that signals come from systemd */
        SystemdQueries *queries;
        Helpers *helpers;

        Service *services; /* by slug */
        size_t n_services;
        bool no_memory_peak; /* systemd is too old to report it */

        Watch *watches;
        sd_bus_slot *watches_slot;
        Dependencies *dependencies;

        Operation *operations;       /* the first one is in progress */
        sd_event_source *zone_check; /* begins a check of all timers */
        bool zone_checking;          /* a check is queued, but has not begun */
        RunStart *run_starts;
        RunHistory *run_histories; /* the first one has the next turn */
        sd_event_source *run_history_turn;
        TestRun *tests;
        LogFollow *log_follows;
        uint32_t last_log_follow;
        RunFollow *run_follows;
        uint32_t last_run_follow;
        uid_t uplink_uid; /* of ssi-uplinkd; 0 if there is no such user */
};
