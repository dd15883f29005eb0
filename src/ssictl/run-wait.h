/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waits for the end of a run.
 *
 * The agent gives the invocation ID of the run that it started (or joined, if one was under way), and that of the last
 * run that ended. If it does not know an ID, LastRunUSec changes with each run that ends. Its signals only tell when to
 * look; the answer comes from the agent's properties, which are also read now and then without a signal.
 *
 * Three things can interfere. The service may be removed. The agent may end; it may be restarting, so we wait a
 * little. And the end may never be reported, so we wait only for the service's timeout and some time to spare. If an
 * administrator has set the timeout to infinity, we wait until the run or the agent ends. */

#include "ctl.h"

/* Starts a run; ret_id may be NULL. This and the next two functions return an exit code, negative if the error has
 * been printed. */
int run_start(Ctl *c, const char *path, char **ret_id);

/* Waits for the run with this ID; if it is NULL, starts one first. */
int run_wait(Ctl *c, const char *name, const char *path, const char *invocation_id);

/* Prints the last result of the service. Returns CTL_EXIT_NOT_OK if it is worse than UPDATE. */
int run_print_result(Ctl *c, const char *path);
