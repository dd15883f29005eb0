/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Schedules in the hour that comes twice in autumn. systemd evaluates a calendar expression without a zone in local time,
 * and lets the second of the two hours pass: "*:0/5" is blind for 65 minutes in Athens. Where the same expression means the
 * same moments in UTC, that is what the timer says.
 *
 * systemd is the judge of calendar expressions: this reads nothing but the normalized form that it prints, and of that
 * only what leaves each hour of each day free. */

#include <time.h>

#include "shared/util.h"

/* By how many minutes within the hour local time differs from UTC, from then on, as bits: bit 0 for whole hours, bit 30
 * for Kolkata, both 0 and 30 for Lord Howe. 0 when it cannot be said in minutes. Of the zone that the process has. */
uint64_t schedule_zone_minutes(time_t from);
/* Now, for the zone that systemd has: the host's. 0 when this process was given another one (TZ=). */
uint64_t schedule_host_minutes(void);

/* Whether the normalized expression means the same moments in UTC as in local time, whichever of those offsets holds.
 * NULL is fine, and does not. */
bool schedule_is_same_in_utc(const char *normalized, uint64_t zone_minutes);

/* The normalized form in what `systemd-analyze calendar` has printed of one expression. -ENODATA, -ENOMEM. */
int schedule_read_normalized(const char *output, char **ret);

/* The time between its next two elapses, in usec, in what `systemd-analyze calendar --iterations=2` has printed with TZ=UTC. Only ever
 * a hint: false when it does not say. */
bool schedule_read_interval(const char *output, uint64_t *ret);
