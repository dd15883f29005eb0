/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The properties of org.ssi.Agent1.Service that are sent to the backend. */

#include <systemd/sd-bus.h>

#include "messages.h"

bool service_property_is_told(const char *name);

/* Reads the variant of the named property, or skips it if it is not sent to the backend. Returns 1 if anything but
 * the time of the next run changed. If that time changed, sets *ret_next_run. */
int service_property_read(sd_bus_message *m, const char *name, ServiceInfo *s, bool *ret_next_run);
