/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starting a run, and finding out its invocation id. By the id, a caller can tell the end of this run from that of another, which may
 * have ended a moment before, or begun a moment after.
 *
 * systemd answers when the job is queued; what runs then has its id once the unit is activating, or the job is gone. So the unit is looked at
 * until then, for a few seconds at most. A job that waits for others is left to wait, and the answer has no id. */

#include "agent.h"

/* invocation_id: "" when it is not known; NULL when systemd did not start the unit, for which error says why. Called exactly once unless
 * freed before, and the RunStart is gone after it. */
typedef void (*run_start_done_t)(const char *invocation_id, const sd_bus_error *error, void *userdata);

int run_start_new(Agent *a, const char *unit, run_start_done_t done, void *userdata, RunStart **ret);
RunStart *run_start_free(RunStart *s);

/* The same for org.ssi.Agent1.Service.Run, authorized: answers it. */
int run_start_for(Agent *a, const char *unit, sd_bus_message *request);
/* For the manager's end: those whose job is queued are answered, without an id. */
void run_starts_free(Agent *a);
