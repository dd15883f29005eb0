/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What services depend on: a service depends on another if its watched units need the other's watched units
 * (Requires=, Requisite=, BindsTo=, PartOf=), directly or indirectly. systemd is queried about each unit once,
 * beginning with the watched units; it loads the units it is queried about. The answers are combined when complete
 * and not cached; any possible change queries everything again, a moment later. */

#include "agent.h"

/* Call this if services or systemd's units may have changed. */
int dependencies_update(Agent *a);
Dependencies *dependencies_free(Dependencies *d);
