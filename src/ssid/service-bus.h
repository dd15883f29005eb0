/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* org.ssi.Agent1.Service: the bus objects of the services. */

#include "service.h"

int service_bus_setup(Agent *a);
/* Emits PropertiesChanged for the marked properties. */
int service_emit_changes(Service *s);
int service_emit_status_changed(Service *s, Status old);
