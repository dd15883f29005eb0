/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All services of the agent, sorted: worst first, then by name. */

#include "service-info.h"

typedef struct ServiceList {
        ServiceInfo *infos;
        size_t n;
} ServiceList;

void service_list_done(ServiceList *l);

/* Gets the fields that an overview shows: name, title, status, message, time, the last run's result and detail, next
 * run, enabled, path. One call, with a third of the bytes of all properties. Prints the error on failure. */
int service_list_get(Ctl *c, ServiceList *ret);

/* Gets all fields. */
int service_list_get_all(Ctl *c, ServiceList *ret);

/* NULL if out of memory. */
json_object *service_list_to_json(const ServiceList *l);
