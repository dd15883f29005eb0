/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Limits requests per second and client, with a burst, in a table of fixed size. */

#include "shared/util.h"

#define RATE_BURST_SEC 10 /* the burst: as much as is allowed in this time */

typedef struct RateLimit RateLimit;

/* per_second: 1 to 1000000. */
int rate_limit_new(unsigned per_second, RateLimit **ret);
RateLimit *rate_limit_free(RateLimit *l);

/* Counts a request of the client. now: usec of a monotonic clock. Returns 0 if the request may proceed,
 * otherwise the seconds to wait. */
uint64_t rate_limit_take(RateLimit *l, const char *client, uint64_t now);
