/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Changing services: one change at a time, in the order of the requests, each in asynchronous steps. The caller has
 * authorised the request, which is answered later. A failure at any step becomes its answer, and an unfinished
 * installation or removal is undone.
 *
 *   add:     validate, write files, EnableUnitFiles, Reload, [CleanUnit timer], start the timer, [start the service], commit
 *   remove:  StopUnit timer, CleanUnit timer, put files aside, DisableUnitFiles, StopUnit service, Reload, commit
 *   enable:  EnableUnitFiles, Reload, start the timer
 *   disable: DisableUnitFiles, Reload, StopUnit timer
 *   zone:    rewrite the timers that are wrong for the host's zone, Reload, restart those; without a request
 *
 * Reload comes after each change to what is enabled: until then systemd (254 and later) says of every unit that a reload is due.
 * Until the commit, the record of the fileset lets a restarted ssid undo an add and finish a removal. */

#include "agent.h"
#include "shared/metadata.h"

/* Waiting and under way. */
#define OPERATIONS_MAX 64

typedef struct AddOptions {
        int replace; /* an installed service of this name is replaced, its history kept */
        int run;     /* run once when installed */
} AddOptions;

/* metadata is taken in any case; filename and content are copied. */
int operation_add(Agent *a, sd_bus_message *request, const char *filename, const char *content,
                  Metadata *metadata_taken, const AddOptions *options, sd_bus_error *error);
int operation_remove(Agent *a, sd_bus_message *request, const char *slug, sd_bus_error *error);
int operation_set_enabled(Agent *a, sd_bus_message *request, const char *slug, bool enable, sd_bus_error *error);

/* systemd may have done a job: its JobRemoved says so. */
void operation_job_hint(Agent *a, const char *job);

/* operation-zone.c. Soon looks at each timer, whether it is right for the host's zone (schedule.h); */
void operation_check_zone(Agent *a);
/* does so once, and from now on whenever /etc/localtime changes. */
int operation_watch_zone(Agent *a);

/* For the manager's end. */
Operation *operation_free(Operation *o);
Operation *operation_next(Operation *o);
