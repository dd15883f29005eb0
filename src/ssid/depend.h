/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What services depend on: the other services whose watched units their own watched units need (Requires=, Requisite=,
 * BindsTo=, PartOf=), at any remove. systemd is asked unit by unit, beginning with those that are watched, each unit once;
 * it loads a unit of which it is asked. The answers are put together when all are there and are kept by nobody: what
 * may have changed them has everything asked again, a moment later. */

#include "agent.h"

/* Something may have changed: services, or systemd's units. */
int dependencies_update(Agent *a);
Dependencies *dependencies_free(Dependencies *d);
