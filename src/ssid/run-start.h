/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starts a run and finds its invocation ID. With the ID, a caller can distinguish the end of this run from that of a
 * run that ended a moment before or began a moment after.
 *
 * systemd answers when the job is queued; the invocation ID is known once the unit is activating or the job is gone.
 * Until then, the unit is checked repeatedly, for a few seconds at most. If the job itself has to wait longer, the
 * answer contains no ID. */

#include "agent.h"

/* invocation_id: "" if unknown; NULL if systemd did not start the unit, and error says why. Called exactly once
 * unless the RunStart is freed before; the RunStart is freed afterward. */
typedef void (*run_start_done_t)(const char *invocation_id, const sd_bus_error *error, void *userdata);

int run_start_new(Agent *a, const char *unit, run_start_done_t done, void *userdata, RunStart **ret);
RunStart *run_start_free(RunStart *s);

/* The same for org.ssi.Agent1.Service.Run, which has been authorized: answers the request. Without privileged, the run is refused if
 * systemd has loaded something that may let it do more than the script's header says (loaded-unit.h). */
int run_start_for(Agent *a, const char *unit, bool privileged, sd_bus_message *request);
/* Called when the manager ends: answers requests whose job is queued, without an ID. */
void run_starts_free(Agent *a);
