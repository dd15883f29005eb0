/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backoff.h"

/* Even the shortest random wait gives the other side a moment. */
#define BACKOFF_MIN_USEC (100 * USEC_PER_MSEC)

void backoff_reset(Backoff *b)
{
        b->attempts = 0;
}

uint64_t backoff_limit(const Backoff *b)
{
        uint64_t limit = BACKOFF_BASE_USEC;

        for (unsigned i = 0; i < b->attempts && limit < BACKOFF_CAP_USEC; i++)
                limit *= 2;
        return MIN(limit, BACKOFF_CAP_USEC);
}

uint64_t backoff_next(Backoff *b, uint64_t random)
{
        uint64_t limit = backoff_limit(b);

        if (b->attempts < 64)
                b->attempts++;
        return MAX(random % (limit + 1), BACKOFF_MIN_USEC);
}
