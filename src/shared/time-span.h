/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lengths of time, as people write them. */

#include <stdint.h>

/* Reads a time span as systemd.time(7) writes it: "12h", "2h 30min", "1.5 days", "90" (seconds). In usec. -EINVAL if it is none,
 * -ERANGE if it is longer than a thousand years. */
int parse_time_span(const char *s, uint64_t *ret);
