/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All services of the agent, sorted: worst first, then by name. */

#include "service-info.h"

typedef struct ServiceList {
        ServiceInfo *infos;
        size_t n;
} ServiceList;

void service_list_done(ServiceList *l);

/* What an overview shows: of each service name, title, status, message, time, last run's result and detail, next run,
 * enabled, path. One call, and a third of the bytes of all properties. Says what failed. */
int service_list_get(Ctl *c, ServiceList *ret);

/* With all fields. */
int service_list_get_all(Ctl *c, ServiceList *ret);

/* NULL when out of memory. */
json_object *service_list_to_json(const ServiceList *l);
