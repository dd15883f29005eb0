/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Questions to systemd, of which there may be one for each service at a time. The bus allows 128 unanswered calls per
 * connection by default (dbus-daemon(1), max_replies_per_connection), and refuses what goes beyond: so only some are sent
 * at a time, and the others wait. */

#include <systemd/sd-bus.h>

#include "shared/util.h"

typedef struct SystemdQueries SystemdQueries;
typedef struct SystemdQuery SystemdQuery;

int systemd_queries_new(sd_bus *bus, SystemdQueries **ret);
/* After the last query. NULL is fine. */
SystemdQueries *systemd_queries_free(SystemdQueries *q);

/* The answer comes to callback, which frees the query; freeing it before cancels it. An answer of systemd that is an error
 * comes there, too. NULL is fine for _free(). */
int systemd_query_new(SystemdQueries *q, sd_bus_message *call, sd_bus_message_handler_t callback, void *userdata,
                      SystemdQuery **ret);
SystemdQuery *systemd_query_free(SystemdQuery *query);

/* A property of the unit whose object this is; the answer is a variant. interface and property have to live as long as
 * the query. */
int systemd_query_property(SystemdQueries *q, const char *path, const char *interface, const char *property,
                           sd_bus_message_handler_t callback, void *userdata, SystemdQuery **ret);
/* The same by the unit's name. It need not be loaded. */
int systemd_query_unit_property(SystemdQueries *q, const char *unit, const char *interface, const char *property,
                                sd_bus_message_handler_t callback, void *userdata, SystemdQuery **ret);
