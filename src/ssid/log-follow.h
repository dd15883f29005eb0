/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Following what a service prints. The caller reads when it is ready for more: a slow one delays nobody, and
 * nothing piles up. It is authorised once, when it begins. */

#include "agent.h"

/* Begins for the sender of the request, which has been authorised: with the last lines, or after a cursor. It ends when the
 * sender leaves the bus. */
int log_follow_new(Agent *a, sd_bus_message *request, const Service *s, unsigned lines, const char *after,
                   uint32_t *ret_id, sd_bus_error *error);

/* Answers the request with lines, at once or when there are some. */
int log_follow_read(Agent *a, sd_bus_message *request, uint32_t id, sd_bus_error *error);

int log_follow_end(Agent *a, sd_bus_message *request, uint32_t id, sd_bus_error *error);

/* The service is being removed: stops following it, and answers waiting callers with an error. */
void log_follows_removed(Agent *a, const Service *s);

void log_follows_free(Agent *a);
