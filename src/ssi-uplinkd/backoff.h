/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Exponential backoff with full jitter: the n-th wait is random, up to 2^n seconds and at most five minutes. Agents
 * that lost their server at the same moment do not all come back at once. */

#include "shared/util.h"

#define BACKOFF_BASE_USEC USEC_PER_SEC
#define BACKOFF_CAP_USEC  (300 * USEC_PER_SEC)

typedef struct Backoff {
        unsigned attempts;
} Backoff;

void backoff_reset(Backoff *b);

/* The upper limit of the next wait. */
uint64_t backoff_limit(const Backoff *b);

/* Returns the next wait in usec. random: any 64 random bits. */
uint64_t backoff_next(Backoff *b, uint64_t random);
