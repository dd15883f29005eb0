/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The agent's manager: owns the event loop, the bus and all of ssid's data. The disk defines the services, and the
 * journal their statuses; nothing else is stored. */

#include "shared/journal/follow.h"
#include "shared/journal/history.h"
#include "service.h"

/* Services beyond this number are not shown; the log says so. */
#define SERVICES_MAX 4096

typedef struct ValidateRequest ValidateRequest;

typedef struct Manager {
        Agent agent;      /* must be the first member: the ops derive the manager from it */
        BusOwner *logind; /* checks that signals come from logind */
        JournalFollow *follow;

        /* number of services last announced to systemd, plus one; 0 if none was announced yet */
        size_t n_services_said;
        ValidateRequest *validations; /* in progress */

        sd_event_source *emit;   /* emits the accumulated changes */
        sd_event_source *rescan; /* looks at the disk after a moment without changes */
        sd_event_source *query;  /* queries systemd about the units after a moment without reloads */
        sd_event_source *hints;  /* handles the two flags below, which signals have set */
        bool systemd_known;
        bool links_hinted;
        bool timers_hinted;
        sd_bus_slot *preparing_call; /* the pending query to logind */
        bool preparing_again;
        Status overall;
        unsigned counts[_STATUS_MAX];
        bool overall_dirty, counts_dirty;
        int shutting_down; /* int, because D-Bus booleans are read as such */
        bool shutting_down_dirty;
        JournalHistory *history; /* during a scan */
        LastRuns *last_runs;     /* during a scan with many new services, else NULL */
        bool announced;          /* objects added from now on are signaled */
} Manager;

int manager_new(Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free);

/* Completes changes that a killed process left unfinished, reads the disk and the journal, and claims the bus name. */
int manager_start(Manager *m);

/* Looks at the disk again: adds, updates and removes services. */
int manager_rescan(Manager *m);

/* Schedules the emission of changes in the event loop. */
void manager_queue_emit(Manager *m);

/* manager-systemd.c */
int manager_watch_systemd(Manager *m);
void manager_unwatch_systemd(Manager *m);
/* Checks which timers are enabled. */
int manager_read_enabled(Manager *m);

/* manager-bus.c */
int manager_bus_setup(Manager *m);
int manager_bus_emit(Manager *m);
int manager_emit_status_reported(Manager *m, const Service *s);

/* manager-bus-script.c: the methods that take a script. */
int manager_method_validate_script(sd_bus_message *message, void *userdata, sd_bus_error *error);
int manager_method_add_service(sd_bus_message *message, void *userdata, sd_bus_error *error);
int manager_method_test_script(sd_bus_message *message, void *userdata, sd_bus_error *error);
/* Forgets the validations under way. */
void manager_validations_free(Manager *m);
