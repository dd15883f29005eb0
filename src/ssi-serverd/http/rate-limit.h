/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Limits how often clients may do something, in a table of fixed size: a burst at once, then one per interval.
 *
 * The table is a count-min sketch, so no client takes another's place in it. Made-up names can raise what is counted for
 * others, never lower it, and raise it only if they share a cell with them in all of its rows. */

#include "shared/util.h"

#define RATE_BURST_SEC 10 /* of requests: a burst is as much as is allowed in this time */

typedef struct RateLimit RateLimit;

/* burst: at least 1. interval: usec. */
int rate_limit_new(unsigned burst, uint64_t interval, RateLimit **ret);
RateLimit *rate_limit_free(RateLimit *l);

/* Counts once for the client if that is allowed. now: usec of a monotonic clock. Returns 0, or the seconds to wait. */
uint64_t rate_limit_take(RateLimit *l, const char *client, uint64_t now);

/* The two halves of it. n_more: how many others are under way and not yet counted. */
uint64_t rate_limit_check(const RateLimit *l, const char *client, unsigned n_more, uint64_t now);
void rate_limit_count(RateLimit *l, const char *client, uint64_t now);
