/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Durations in buckets, as in Prometheus' histograms. */

#include "shared/util.h"

#define HISTOGRAM_BOUNDS                                                                                  \
        {                                                                                                 \
                1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000 \
        }
#define HISTOGRAM_BUCKETS 12

typedef struct Histogram {
        uint64_t counts[HISTOGRAM_BUCKETS + 1]; /* not cumulative; the last one has no bound */
        uint64_t n, sum;                        /* sum in usec */
} Histogram;

static inline void histogram_add(Histogram *h, uint64_t usec)
{
        static const uint64_t bounds[HISTOGRAM_BUCKETS] = HISTOGRAM_BOUNDS;
        unsigned i = 0;

        while (i < HISTOGRAM_BUCKETS && usec > bounds[i])
                i++;
        h->counts[i]++;
        h->n++;
        h->sum += usec;
}
