/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Queries to systemd. There may be one per service at a time, but the bus by default refuses more than 128
 * unanswered calls per connection (dbus-daemon(1), max_replies_per_connection). So only a limited number are sent at
 * once, and the others wait. */

#include <systemd/sd-bus.h>

#include "shared/util.h"

typedef struct SystemdQueries SystemdQueries;
typedef struct SystemdQuery SystemdQuery;

int systemd_queries_new(sd_bus *bus, SystemdQueries **ret);
/* Call this after the last query. NULL is allowed. */
SystemdQueries *systemd_queries_free(SystemdQueries *q);

/* callback gets the answer, which may be an error from systemd, and frees the query. Freeing the query earlier
 * cancels it. NULL is allowed for systemd_query_free(). */
int systemd_query_new(SystemdQueries *q, sd_bus_message *call, sd_bus_message_handler_t callback, void *userdata,
                      SystemdQuery **ret);
SystemdQuery *systemd_query_free(SystemdQuery *query);

/* Queries a property of the unit with this object path; the answer is a variant. interface and property must live as
 * long as the query. */
int systemd_query_property(SystemdQueries *q, const char *path, const char *interface, const char *property,
                           sd_bus_message_handler_t callback, void *userdata, SystemdQuery **ret);
/* The same by the unit's name. The unit need not be loaded. */
int systemd_query_unit_property(SystemdQueries *q, const char *unit, const char *interface, const char *property,
                                sd_bus_message_handler_t callback, void *userdata, SystemdQuery **ret);
