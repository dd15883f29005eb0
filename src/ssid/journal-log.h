#pragma once

#include <systemd/sd-bus.h>

#include "util.h"

/* Appends an array a(tss) with the last lines that the unit's processes printed, oldest first: time (usec since the
 * epoch), invocation id (or ""), text. Text is made well-formed UTF-8 and cut at 4 kB. Reads mapped files. */
int journal_log_append(sd_bus_message *reply, const char *unit, unsigned limit);
