/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The agent's manager: owns the event loop, the bus and everything that ssid keeps. The services are what the disk says;
 * their statuses are what the journal says; nothing is stored. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "shared/journal/follow.h"
#include "shared/journal/history.h"
#include "shared/polkit.h"
#include "service.h"
#include "shared/status.h"
#include "systemd-query.h"

typedef struct BusOwner BusOwner;
typedef struct Dependencies Dependencies;
typedef struct LogFollow LogFollow;
typedef struct Operation Operation;
typedef struct RunStart RunStart;
typedef struct TestRun TestRun;
typedef struct Watch Watch;

/* polkit actions. */
#define ACTION_MANAGE         "org.ssi.agent1.manage-services"
#define ACTION_ADD_PRIVILEGED "org.ssi.agent1.add-privileged-service"
#define ACTION_RUN            "org.ssi.agent1.run-service"
#define ACTION_READ_OUTPUT    "org.ssi.agent1.read-output"

/* More are on disk: the rest is not shown, and said so in the log. */
#define SERVICES_MAX 4096

typedef struct Manager {
        sd_event *event;
        sd_bus *bus;
        PolkitRegistry *polkit;
        BusOwner *systemd, *logind; /* whose signals count */
        SystemdQueries *queries;
        JournalFollow *follow;

        Service *services; /* by slug */
        size_t n_services;
        size_t n_services_said; /* to systemd, and one; 0 before */

        Operation *operations; /* the first one is under way */
        RunStart *run_starts;
        TestRun *tests;
        LogFollow *log_follows;
        uint32_t last_log_follow;
        unsigned n_validations;

        Watch *watches;
        sd_bus_slot *watches_slot;
        Dependencies *dependencies;

        sd_event_source *emit;   /* sends the changes that piled up */
        sd_event_source *rescan; /* looks at the disk when it has been quiet for a moment */
        sd_event_source *query;  /* likewise asks systemd about the units */
        sd_event_source *hints;  /* looks at what signals have hinted at: the two that follow */
        bool systemd_known;
        bool links_hinted;
        bool timers_hinted;
        sd_bus_slot *preparing_call; /* logind is being asked, and again when it has answered */
        bool preparing_again;
        sd_event_source *zone_check; /* likewise looks at the timers */
        bool zone_checking;      /* a look is queued, and has not begun */
        Status overall;
        unsigned counts[_STATUS_MAX];
        bool overall_dirty, counts_dirty;
        int shutting_down; /* an int, as D-Bus booleans are read */
        bool shutting_down_dirty;
        bool no_memory_peak; /* systemd is too old to tell it */
        JournalHistory *history; /* during a scan */
        LastRuns *last_runs;     /* the same; NULL when it is about few services */
        bool announced;          /* objects added from now on are signalled */
} Manager;

int manager_new(Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free);

/* Finishes what a killed process left, reads the disk and the journal, and claims the bus name. */
int manager_start(Manager *m);

/* name: a slug, or a service's name as its script gives it. NULL when there is none. */
Service *manager_find(Manager *m, const char *name);

/* Looks at the disk again: adds, updates and removes services. */
int manager_rescan(Manager *m);
/* The same for one service. */
int manager_rescan_one(Manager *m, const char *slug);

/* Lets the changes be emitted when the loop comes to it. */
void manager_queue_emit(Manager *m);
/* Recomputes OverallStatus and StatusCounts. */
void manager_update_totals(Manager *m);

/* manager-systemd.c */
int manager_watch_systemd(Manager *m);
void manager_unwatch_systemd(Manager *m);
/* Looks which timers are enabled. */
int manager_read_enabled(Manager *m);

/* manager-bus.c */
int manager_bus_setup(Manager *m);
int manager_bus_emit(Manager *m);
int manager_emit_status_reported(Manager *m, const Service *s);
