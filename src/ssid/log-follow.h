/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Follows the output of a service. The caller reads when it is ready for more: a slow caller delays nobody, and
 * nothing piles up. Authorization happens once, at the beginning. */

#include "agent.h"

/* Begins for the sender of the request, which has been authorized: with the last lines, or after a cursor. Ends when
 * the sender leaves the bus. */
int log_follow_new(Agent *a, sd_bus_message *request, const Service *s, unsigned lines, const char *after,
                   uint32_t *ret_id, sd_bus_error *error);

/* Answers the request with lines, either at once or as soon as there are some. */
int log_follow_read(Agent *a, sd_bus_message *request, uint32_t id, sd_bus_error *error);

int log_follow_end(Agent *a, sd_bus_message *request, uint32_t id, sd_bus_error *error);

/* The service is being removed: stops following its output, and answers waiting callers with an error. */
void log_follows_removed(Agent *a, const Service *s);

void log_follows_free(Agent *a);
