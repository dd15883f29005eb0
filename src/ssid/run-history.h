/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* GetHistory: the journal is read in slices of a few milliseconds, between which the loop does what else there is. Users have turns, one
 * slice each; the requests of one user are answered in order. */

#include "service.h"

/* Waiting and under way. */
#define RUN_HISTORIES_MAX          32U
#define RUN_HISTORIES_PER_USER_MAX 4U /* of one other than root */

/* Answers the request, later. limit: as many runs at most. */
int run_history_start(Agent *a, sd_bus_message *request, const Service *s, uint32_t limit, sd_bus_error *error);

/* For the manager's end. */
void run_histories_free(Agent *a);
