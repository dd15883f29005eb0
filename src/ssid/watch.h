/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* watches: in a script's header. A change of a watched unit's ActiveState starts the services that watch it.
 *
 * One match for the properties of all units serves all watches, and is only there while there are any. It says when to look;
 * only the state that systemd then answers counts. Changes within a moment are one (a stop is
 * deactivating, then inactive), and a service is triggered once per second at most. A change during a run leads to
 * another run after it, since the one under way may have looked before. */

#include "agent.h"

/* Watches what the services name now, and nothing else. */
int watches_update(Agent *a);
void watches_free(Agent *a);

/* Looks at the states of all of them again. */
int watches_look(Agent *a);

/* A run of the service has ended. */
int watches_run_ended(Service *s);
