/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Looks up a service's past runs in the journal, independently of following it. Blocks while reading mapped files. */

#include "shared/journal/run-tracker.h"

typedef struct JournalHistory JournalHistory;

#define JOURNAL_HISTORY_RUNS_MAX 1000U

/* Does not notice new journal files: use it for a few queries, then free it. */
int journal_history_new(JournalHistory **ret);
JournalHistory *journal_history_free(JournalHistory *h);
DEFINE_CLEANUP(JournalHistory *, journal_history_free);

/* The service's last concluded run and its last run with a result (often the same), for a program's start. How far
 * back it looks is bounded. If there is none, the event becomes RUN_EVENT_INIT (slug is NULL). Returns 1 if there is
 * a last run, 0 if not. */
int journal_history_last(JournalHistory *h, const char *slug, RunEvent *ret_last, RunEvent *ret_result);

typedef struct LastRuns LastRuns;

/* The same for all services with runs among the journal's last entries, for the start of a program with many services:
 * querying one service searches every file. limit: how many entries to read. */
int journal_history_last_runs(JournalHistory *h, unsigned limit, LastRuns **ret);
LastRuns *last_runs_free(LastRuns *l);
DEFINE_CLEANUP(LastRuns *, last_runs_free);

/* Moves the service's runs to the outputs, RUN_EVENT_INIT for none. If earlier entries may tell more, changes
 * nothing and returns false: query that service separately. */
bool last_runs_take(LastRuns *l, const char *slug, RunEvent *ret_last, RunEvent *ret_result);

/* The last concluded runs, newest first, at most limit. How far back it looks is bounded (runs.h) but can take a few tenths of a
 * second: read it in slices, and read nothing else of h before it is freed. */
typedef struct HistoryRuns HistoryRuns;

int history_runs_new(JournalHistory *h, const char *slug, unsigned limit, HistoryRuns **ret);
HistoryRuns *history_runs_free(HistoryRuns *r);
DEFINE_CLEANUP(HistoryRuns *, history_runs_free);
/* Reads for about usec. Returns 1 and the runs when done, 0 if there is more to read. */
int history_runs_read(HistoryRuns *r, uint64_t usec, RunEvent **ret, size_t *ret_n);
void run_events_free(RunEvent *events, size_t n);
