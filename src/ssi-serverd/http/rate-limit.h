/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Requests per second and client, with a burst, in a table of fixed size. */

#include "shared/util.h"

#define RATE_BURST_SEC 10 /* what may come at once: as much as in this time */

typedef struct RateLimit RateLimit;

/* per_second: 1 to 1000000. */
int rate_limit_new(unsigned per_second, RateLimit **ret);
RateLimit *rate_limit_free(RateLimit *l);

/* Counts a request of the client. now: usec of a clock that does not jump. 0 when it may go on, else how many seconds to
 * wait. */
uint64_t rate_limit_take(RateLimit *l, const char *client, uint64_t now);
