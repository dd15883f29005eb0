/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads the last runs of one service from the journal, backward. */

#include <systemd/sd-journal.h>

#include "shared/journal/run-tracker.h"

/* Feeds the tracker with the entries of the service's last n runs, oldest first: the manager's entries and the
 * decisive output, which is the last line and the last status line of each stream. So a run that printed much costs
 * little. Returns 1 if no earlier entries exist, 0 if there may be some, or a negative errno. Changes the journal's
 * matches and position. */
int journal_runs_feed(sd_journal *j, const char *slug, unsigned n, RunTracker *t);
