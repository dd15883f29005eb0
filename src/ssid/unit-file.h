/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The units of a service-script: the text of installed units, and the properties of a transient unit. */

#include <systemd/sd-bus.h>

#include "unit-settings.h"

/* The first line of every file that ssid writes; without it, a file is not ours. */
#define UNIT_FILE_MARK "# Written by ssid(8) from a service-script; use drop-ins to change it.\n"

/* Larger than any file that ssid writes. */
#define UNIT_FILE_SIZE_MAX (64U * 1024U)

/* NULL if out of memory. */
char *unit_file_service(const UnitSpec *spec);
char *unit_file_timer(const UnitSpec *spec);

/* Brings the text of an installed service unit that another version wrote for this script up to date. Returns 1 if *ret is the new
 * text, 0 if there is nothing to change or the unit was edited by hand, -ENOMEM. */
int unit_file_service_update(const char *text, const Metadata *metadata, char **ret);

typedef enum TimerUpdate {
        TIMER_UPDATE_NONE,    /* nothing to change: it is right already, or it was edited by hand */
        TIMER_UPDATE_TEXT,    /* *ret is the new text */
        TIMER_UPDATE_UNKNOWN, /* an older version wrote it, and normalized is NULL: *ret is the schedule to normalize */
} TimerUpdate;

/* Adapts the text of an installed timer to the host's zone (schedule.h). Returns a TimerUpdate, or -ENOMEM. */
int unit_file_timer_update(const char *text, const char *normalized, uint64_t zone_minutes, char **ret);

/* Appends the service's settings as the a(sv) for StartTransientUnit. */
int unit_file_append_properties(const UnitSpec *spec, sd_bus_message *m);
