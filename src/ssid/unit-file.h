#pragma once

/* The units of a service-script: the text of those that are installed, the properties of one that is transient. */

#include <systemd/sd-bus.h>

#include "unit-settings.h"

/* The first line of every file that ssid writes; what does not begin with it is not ours. */
#define UNIT_FILE_MARK "# Written by ssid(8) from a service-script; use drop-ins to change it.\n"

/* NULL when out of memory. */
char *unit_file_service(const UnitSpec *spec);
char *unit_file_timer(const UnitSpec *spec);

/* The service as the a(sv) of StartTransientUnit. */
int unit_file_append_properties(const UnitSpec *spec, sd_bus_message *m);
