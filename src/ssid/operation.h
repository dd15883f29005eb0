/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Changes services: one change at a time, in the order of the requests, each in asynchronous steps. The caller has
 * authorized the request, which is answered later. If a step fails, the answer is its error, and an unfinished
 * installation or removal is undone.
 *
 *   add:     [look], validate, write files, EnableUnitFiles, Reload, [look], [CleanUnit timer], start the timer,
 *            [start the service], commit
 *   remove:  StopUnit timer, CleanUnit timer, put files aside, DisableUnitFiles, StopUnit service, Reload, commit
 *   enable:  EnableUnitFiles, Reload, [look], start the timer
 *   disable: DisableUnitFiles, Reload, StopUnit timer
 *   zone:    rewrite the timers that are wrong for the host's zone, and the service units that another version wrote, Reload,
 *            restart the timers; without a request
 *
 * A look finds what systemd has loaded besides what ssid writes (loaded-unit.h), for a request that was authorized without it.
 * A Reload follows each change of what is enabled: until then, systemd 254 and later reports for every unit that a
 * reload is needed. Until the commit, the fileset's record lets a restarted ssid undo an addition and complete a
 * removal. */

#include "agent.h"
#include "shared/metadata.h"

/* Including the one in progress. */
#define OPERATIONS_MAX          64
#define OPERATIONS_PER_USER_MAX 16 /* except for root */

typedef struct AddOptions {
        int replace;     /* replace an installed service of this name, but keep its history */
        int run;         /* run once after the installation */
        bool privileged; /* the requester may have anything run (privilege.h) */
} AddOptions;

/* Takes ownership of metadata, also on failure; copies filename and content. */
int operation_add(Agent *a, sd_bus_message *request, const char *filename, const char *content,
                  Metadata *metadata_taken, const AddOptions *options, sd_bus_error *error);
int operation_remove(Agent *a, sd_bus_message *request, const char *slug, sd_bus_error *error);
/* privileged: whoever asks may have anything run. */
int operation_set_enabled(Agent *a, sd_bus_message *request, const char *slug, bool enable, bool privileged,
                          sd_bus_error *error);

/* JobRemoved says that systemd may have finished this job. */
void operation_job_hint(Agent *a, const char *job);

/* operation-zone.c: schedules a check of each timer for the host's zone (schedule.h). */
void operation_check_zone(Agent *a);
/* operation-zone.c: schedules such a check now, and whenever /etc/localtime changes. */
int operation_watch_zone(Agent *a);

/* Used when the manager ends. */
Operation *operation_free(Operation *o);
Operation *operation_next(Operation *o);
