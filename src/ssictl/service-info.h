/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the agent says of one service. Strings are owned. */

#include "ctl.h"
#include "shared/json-util.h"

typedef struct ServiceInfo {
        char *path, *name, *title, *schedule, *unit, *user, *status, *message, *last_run_result, *last_run_detail,
                *last_run_invocation;
        json_object *metadata; /* what else the header says: strings by key; NULL when the agent does not say */
        int enabled;
        uint64_t timeout_usec, status_timestamp, last_run, last_run_duration, next_run;
        uint64_t last_run_cpu, last_run_memory; /* usec and bytes; 0 or the largest number when unknown */
} ServiceInfo;

void service_info_done(ServiceInfo *i);

/* Reads an a{sv} of properties of org.ssi.Agent1.Service; unknown ones are skipped. */
int service_info_read(sd_bus_message *m, ServiceInfo *i);

/* Says what failed. */
int ctl_get_service_info(Ctl *c, const char *path, ServiceInfo *ret);
/* The same, but prints nothing, uses the open connection and does not start the agent: a negative errno, with the error
 * filled in. */
int ctl_try_get_service_info(Ctl *c, const char *path, ServiceInfo *ret, sd_bus_error *error);

/* As in --json; NULL when out of memory. Times are RFC 3339 or null. */
json_object *service_info_to_json(const ServiceInfo *i);

/* "" becomes "error" for a last run that was an execution error, and "-" otherwise. */
const char *service_info_state(const ServiceInfo *i);
bool service_info_has_error(const ServiceInfo *i);
/* Whether it needs attention: WARNING, FAILURE or an execution error. */
bool service_info_is_bad(const ServiceInfo *i);

/* When it runs next: "in 5min", "now", "running", "disabled", "-". */
char *service_info_next(const ServiceInfo *i, char buf[static 64]);
