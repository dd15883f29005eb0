/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The units of a service-script: the text of those that are installed, the properties of one that is transient. */

#include <systemd/sd-bus.h>

#include "unit-settings.h"

/* The first line of every file that ssid writes; what does not begin with it is not ours. */
#define UNIT_FILE_MARK "# Written by ssid(8) from a service-script; use drop-ins to change it.\n"

/* None that ssid writes is larger. */
#define UNIT_FILE_SIZE_MAX (64U * 1024U)

/* NULL when out of memory. */
char *unit_file_service(const UnitSpec *spec);
char *unit_file_timer(const UnitSpec *spec);

typedef enum TimerUpdate {
        TIMER_UPDATE_NONE,    /* it is right already, or none that ssid would write (edited by hand) */
        TIMER_UPDATE_TEXT,    /* *ret is the new text */
        TIMER_UPDATE_UNKNOWN, /* an older version wrote it, and normalized is NULL: *ret is the schedule to ask about */
} TimerUpdate;

/* Makes the text of an installed timer right for the host's zone (schedule.h). A TimerUpdate, or -ENOMEM. */
int unit_file_timer_update(const char *text, const char *normalized, uint64_t zone_minutes, char **ret);

/* The service as the a(sv) of StartTransientUnit. */
int unit_file_append_properties(const UnitSpec *spec, sd_bus_message *m);
