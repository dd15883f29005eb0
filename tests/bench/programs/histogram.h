/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Times in buckets that grow by 2 %. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define BUCKETS       1024
#define BUCKET_GROWTH 1.02

typedef struct Histogram {
        uint64_t buckets[BUCKETS], n, max; /* max: usec */
} Histogram;

static inline uint64_t now_usec(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

static inline void histogram_add(Histogram *h, uint64_t usec)
{
        size_t i = usec <= 1 ? 0 : (size_t) (log((double) usec) / log(BUCKET_GROWTH));

        h->buckets[i < BUCKETS ? i : BUCKETS - 1]++;
        h->n++;
        if (usec > h->max)
                h->max = usec;
}

static inline void histogram_merge(Histogram *h, const Histogram *other)
{
        for (size_t i = 0; i < BUCKETS; i++)
                h->buckets[i] += other->buckets[i];
        h->n += other->n;
        if (other->max > h->max)
                h->max = other->max;
}

/* In ms; 0 when nothing was added. */
static inline double histogram_percentile(const Histogram *h, double p)
{
        uint64_t want = (uint64_t) ceil((double) h->n * p), seen = 0;

        for (size_t i = 0; i < BUCKETS && h->n > 0; i++) {
                seen += h->buckets[i];
                if (seen >= want)
                        return pow(BUCKET_GROWTH, (double) i + 0.5) / 1000;
        }
        return 0;
}
