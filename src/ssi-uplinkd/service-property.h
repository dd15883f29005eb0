/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The properties of org.ssi.Agent1.Service that the backend gets. */

#include <systemd/sd-bus.h>

#include "messages.h"

bool service_property_is_told(const char *name);

/* Reads the variant of the named property, or skips one that the backend does not get. 1 when it changed something other than when the service
 * runs next; that sets *ret_next_run. */
int service_property_read(sd_bus_message *m, const char *name, ServiceInfo *s, bool *ret_next_run);
