/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* SSI stores times as microseconds in a uint64_t. */

#include <stdint.h>
#include <time.h>

/* The clock's time; see clock_gettime(2). */
static inline uint64_t now_usec(clockid_t clock)
{
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}
