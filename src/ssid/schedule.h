/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Schedules in the hour that occurs twice in autumn. systemd evaluates a calendar expression without a zone in local
 * time and skips the second of the two hours: in Athens, "*:0/5" does not elapse for 65 minutes. If the same expression
 * means the same times in UTC, the timer uses UTC.
 *
 * Only systemd interprets calendar expressions. This reads only the normalized form that systemd prints, and only
 * expressions that leave every hour of every day free. */

#include <time.h>

#include "shared/util.h"

/* A bit mask of the UTC offsets (modulo one hour, in minutes) in force from `from` on: bit 0 for whole hours, bit 30
 * for Kolkata, both for Lord Howe. 0 if an offset is not in whole minutes. Uses this process's zone. */
uint64_t schedule_zone_minutes(time_t from);
/* The same from now on, for the host's zone, which systemd uses. 0 if this process has another zone (TZ=). */
uint64_t schedule_host_minutes(void);

/* Whether the normalized expression means the same times in UTC as in local time, for each of these offsets. False
 * for NULL. */
bool schedule_is_same_in_utc(const char *normalized, uint64_t zone_minutes);

/* Reads the normalized form from what `systemd-analyze calendar` printed for one expression. -ENODATA, -ENOMEM. */
int schedule_read_normalized(const char *output, char **ret);

/* Reads the time between the next two elapses, in usec, from what `systemd-analyze calendar --iterations=2` printed
 * with TZ=UTC. Only a hint: false if the output does not tell. */
bool schedule_read_interval(const char *output, uint64_t *ret);
