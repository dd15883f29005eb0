/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waiting for the end of a run.
 *
 * The agent gives the invocation id of the run that it started, or joined if one was under way, and that of the last run that ended.
 * Where it knows no id, LastRunUSec changes with each run that ends. Its signals say when to look; the answer comes from the agent's
 * properties, which are also read now and then without a signal. Three things can come between. The service may be removed. The
 * agent may end: it may be restarting, so we wait a little. And the end may never be reported: we wait no longer than the
 * service's timeout and some time to spare. If an administrator has set the timeout to infinity, we wait until the run or the
 * agent ends. */

#include "ctl.h"

/* Starts a run; ret_id may be NULL. All of these return an exit code, or its negative when everything has been said. */
int run_start(Ctl *c, const char *path, char **ret_id);

/* Waits for the run with this id; NULL starts one first. */
int run_wait(Ctl *c, const char *name, const char *path, const char *invocation_id);

/* Prints the last result of the service. CTL_EXIT_NOT_OK when it is worse than UPDATE. */
int run_print_result(Ctl *c, const char *path);
