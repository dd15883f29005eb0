/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The last runs of one service, read from the journal backwards. */

#include <systemd/sd-journal.h>

#include "shared/journal/run-tracker.h"

/* Feeds the tracker with what the service's last n runs are made of, oldest first: the manager's entries, and of the output what
 * decides: the last line of each stream and its last status line. So a run that has printed much costs little. 1 when there is
 * nothing before that; 0 when there may be; negative errno. The journal's matches and position change. */
int journal_runs_feed(sd_journal *j, const char *slug, unsigned n, RunTracker *t);
