/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The agent's data about one service. Strings are owned. */

#include "ctl.h"
#include "shared/json-util.h"

typedef struct ServiceInfo {
        char *path, *name, *title, *schedule, *unit, *user, *status, *message, *last_run_result, *last_run_detail,
                *last_run_invocation;
        json_object *metadata; /* passive keys of the header: strings by key; NULL if the agent does not tell */
        int enabled;
        uint64_t timeout_usec, status_timestamp, last_run, last_run_duration, next_run;
        uint64_t last_run_cpu, last_run_memory; /* usec and bytes; 0 or the largest number if unknown */
} ServiceInfo;

void service_info_done(ServiceInfo *i);

/* Reads an a{sv} of properties of org.ssi.Agent1.Service; skips unknown ones. */
int service_info_read(sd_bus_message *m, ServiceInfo *i);

/* Prints the error on failure. */
int ctl_get_service_info(Ctl *c, const char *path, ServiceInfo *ret);
/* The same, but prints nothing, uses the open connection and does not start the agent. On failure, returns a
 * negative errno and sets error. */
int ctl_try_get_service_info(Ctl *c, const char *path, ServiceInfo *ret, sd_bus_error *error);

/* The object printed with --json; NULL if out of memory. Times are RFC 3339 or null. */
json_object *service_info_to_json(const ServiceInfo *i);

/* The status. If it is "": "error" if the last run was an execution error, else "-". */
const char *service_info_state(const ServiceInfo *i);
bool service_info_has_error(const ServiceInfo *i);
/* Whether the service needs attention: WARNING, FAILURE or an execution error. */
bool service_info_is_bad(const ServiceInfo *i);

/* The time of the next run: "in 5min", "now", "running", "disabled", "-". */
char *service_info_next(const ServiceInfo *i, char buf[static 64]);
