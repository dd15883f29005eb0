/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The output of a unit's processes. */

#include <systemd/sd-bus.h>
#include <systemd/sd-journal.h>

#include "shared/util.h"

int journal_log_open(const char *unit, sd_journal **ret);

/* Goes back by this many lines: sd_journal_next() then returns the first of them, or else the next new line. */
int journal_log_seek_last(sd_journal *j, unsigned lines);

/* Appends up to limit lines from the journal's position, oldest first, as an array a(tss): time (usec since the
 * epoch), invocation ID (or ""), text. Makes the text well-formed UTF-8 and cuts it at 4 kB. Reads mapped files.
 * Returns the number of lines. */
int journal_log_append(sd_bus_message *reply, sd_journal *j, unsigned limit);
