/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads the last runs of one service from the journal, backward, at once or in slices. */

#include <systemd/sd-journal.h>

#include "shared/journal/run-tracker.h"

typedef struct JournalRuns JournalRuns;

/* Changes the journal's matches and position; change neither until it is freed. */
int journal_runs_new(sd_journal *j, const char *slug, unsigned n, JournalRuns **ret);
JournalRuns *journal_runs_free(JournalRuns *r);
DEFINE_CLEANUP(JournalRuns *, journal_runs_free);
/* Reads for about usec. Returns 1 when everything is read, 0 if there is more. */
int journal_runs_read(JournalRuns *r, uint64_t usec);
/* Then feeds the tracker as journal_runs_feed() does. */
int journal_runs_feed_read(JournalRuns *r, RunTracker *t);

/* Feeds the tracker with the entries of the service's last n runs, oldest first: the manager's entries and the
 * decisive output, which is the last line and the last status line of each stream. So a run that printed much costs
 * little. Returns 1 if no earlier entries exist, 0 if there may be some, or a negative errno. Changes the journal's
 * matches and position. */
int journal_runs_feed(sd_journal *j, const char *slug, unsigned n, RunTracker *t);
