/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asks systemd what it has loaded for a unit, which is what runs: the file, and drop-ins that may be gone from the disk, or that
 * a name of the unit has brought which is not known here. */

#include "systemd-query.h"

typedef struct LoadedUnit LoadedUnit;

/* error: systemd's, NULL when it has answered. why: what may let the run do more than the unit that ssid writes (unit-dropin.h), NULL when
 * nothing does. stale: the files have changed since systemd has read them. Called once, unless freed before. */
typedef void (*loaded_unit_done_t)(const sd_bus_error *error, const char *why, bool stale, void *userdata);

int loaded_unit_look(sd_bus *bus, SystemdQueries *q, const char *unit, loaded_unit_done_t done, void *userdata,
                     LoadedUnit **ret);
LoadedUnit *loaded_unit_free(LoadedUnit *l);
