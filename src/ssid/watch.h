/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* "watches:" in a script's header: if the ActiveState of a watched unit changes, the services that watch it are
 * started.
 *
 * A single match for the properties of all units serves all watches, and exists only while there are any. Its
 * signals only tell when to look; what counts is the state that systemd then reports. Changes within a moment count
 * as one (a stop is first deactivating, then inactive), and a service is triggered at most once per second. If a
 * unit changes during a run, another run follows, because the current one may have checked the unit before the
 * change. */

#include "agent.h"

/* Watches exactly the units that the services name now. */
int watches_update(Agent *a);
void watches_free(Agent *a);

/* Checks the states of all watched units again. */
int watches_look(Agent *a);

/* A run of the service has ended. */
int watches_run_ended(Service *s);
