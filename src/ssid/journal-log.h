/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a unit's processes printed. */

#include <systemd/sd-bus.h>
#include <systemd/sd-journal.h>

#include "shared/util.h"

int journal_log_open(const char *unit, sd_journal **ret);

/* Goes to the last lines: sd_journal_next() gives the first of them, or what is printed from now on. */
int journal_log_seek_last(sd_journal *j, unsigned lines);

/* Appends up to limit lines from where the journal stands, oldest first, as an array a(tss): time (usec since the epoch),
 * invocation id (or ""), text. Text is made well-formed UTF-8 and cut at 4 kB. Reads mapped files. The number of lines. */
int journal_log_append(sd_bus_message *reply, sd_journal *j, unsigned limit);
