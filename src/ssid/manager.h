/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The agent's manager: owns the event loop, the bus and everything that ssid keeps. The services are what the disk says;
 * their statuses are what the journal says; nothing is stored. */

#include "shared/journal/follow.h"
#include "shared/journal/history.h"
#include "service.h"

/* More are on disk: the rest is not shown, and said so in the log. */
#define SERVICES_MAX 4096

typedef struct Manager {
        Agent agent;      /* the first member: the ops find the manager by it */
        BusOwner *logind; /* whose signals count */
        JournalFollow *follow;

        size_t n_services_said; /* to systemd, and one; 0 before */
        unsigned n_validations;

        sd_event_source *emit;   /* sends the changes that piled up */
        sd_event_source *rescan; /* looks at the disk when it has been quiet for a moment */
        sd_event_source *query;  /* likewise asks systemd about the units */
        sd_event_source *hints;  /* looks at what signals have hinted at: the two that follow */
        bool systemd_known;
        bool links_hinted;
        bool timers_hinted;
        sd_bus_slot *preparing_call; /* logind is being asked, and again when it has answered */
        bool preparing_again;
        Status overall;
        unsigned counts[_STATUS_MAX];
        bool overall_dirty, counts_dirty;
        int shutting_down; /* an int, as D-Bus booleans are read */
        bool shutting_down_dirty;
        JournalHistory *history; /* during a scan */
        LastRuns *last_runs;     /* the same; NULL when it is about few services */
        bool announced;          /* objects added from now on are signalled */
} Manager;

int manager_new(Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free);

/* Finishes what a killed process left, reads the disk and the journal, and claims the bus name. */
int manager_start(Manager *m);

/* Looks at the disk again: adds, updates and removes services. */
int manager_rescan(Manager *m);

/* Lets the changes be emitted when the loop comes to it. */
void manager_queue_emit(Manager *m);

/* manager-systemd.c */
int manager_watch_systemd(Manager *m);
void manager_unwatch_systemd(Manager *m);
/* Looks which timers are enabled. */
int manager_read_enabled(Manager *m);

/* manager-bus.c */
int manager_bus_setup(Manager *m);
int manager_bus_emit(Manager *m);
int manager_emit_status_reported(Manager *m, const Service *s);

/* manager-bus-script.c: the methods to which a script is given. */
int manager_method_validate_script(sd_bus_message *message, void *userdata, sd_bus_error *error);
int manager_method_add_service(sd_bus_message *message, void *userdata, sd_bus_error *error);
int manager_method_test_script(sd_bus_message *message, void *userdata, sd_bus_error *error);
