/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Hands the runs in the journal to ssi-uplinkd, which may not read the journal itself (docs/adr/0048). The caller reads when
 * it is ready for more, as with log-follow.h. */

#include "agent.h"

/* Before the others. */
void run_follows_init(Agent *a);

/* Begins for the sender of the request, which is root or the user of ssi-uplinkd: after a cursor, or with runs later than since (usec
 * since the epoch). Ends when the sender leaves the bus. Replaces what the same sender has begun before. */
int run_follow_new(Agent *a, sd_bus_message *request, const char *after, uint64_t since, uint32_t *ret_id,
                   sd_bus_error *error);

/* Answers the request with runs, either at once or as soon as there are some. */
int run_follow_read(Agent *a, sd_bus_message *request, uint32_t id, sd_bus_error *error);

int run_follow_end(Agent *a, sd_bus_message *request, uint32_t id, sd_bus_error *error);

/* A run may just have ended: looks into the journal before journald tells. */
void run_follows_expect(Agent *a);

void run_follows_free(Agent *a);
