/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Exponential backoff with full jitter: the n-th wait is anything up to 2^n seconds, at most five minutes, so that a
 * fleet that lost its server together does not come back together. */

#include "shared/util.h"

#define BACKOFF_BASE_USEC USEC_PER_SEC
#define BACKOFF_CAP_USEC  (300 * USEC_PER_SEC)

typedef struct Backoff {
        unsigned attempts;
} Backoff;

void backoff_reset(Backoff *b);

/* The longest that the next wait may be. */
uint64_t backoff_limit(const Backoff *b);

/* The next wait in usec; random is any 64 random bits. */
uint64_t backoff_next(Backoff *b, uint64_t random);
