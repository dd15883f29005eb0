/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the journal holds about a service's runs, looked up apart from following it. Blocks for reads of mapped files. */

#include "shared/journal/run-tracker.h"

typedef struct JournalHistory JournalHistory;

#define JOURNAL_HISTORY_RUNS_MAX 1000U

/* Does not notice journal files that appear later: for a few questions, then free it. */
int journal_history_new(JournalHistory **ret);
JournalHistory *journal_history_free(JournalHistory *h);
DEFINE_CLEANUP(JournalHistory *, journal_history_free);

/* The service's last concluded run and its last run that gave a result (often the same), for a program's start. Looks
 * back a bounded way. Both become RUN_EVENT_INIT when there is none (slug is NULL then). Returns 1 when there is a
 * last run, 0 when not. */
int journal_history_last(JournalHistory *h, const char *slug, RunEvent *ret_last, RunEvent *ret_result);

/* The same of all services whose runs are among the journal's last entries, for the start of a program that has many: each
 * question of a single service costs a search in every file. */
typedef struct LastRuns LastRuns;

int journal_history_last_runs(JournalHistory *h, unsigned limit, LastRuns **ret);
LastRuns *last_runs_free(LastRuns *l);
DEFINE_CLEANUP(LastRuns *, last_runs_free);

/* Takes what is known of the service out. False, and nothing taken, when there may be more further back: ask for it by
 * itself then. Both become RUN_EVENT_INIT when there is none. */
bool last_runs_take(LastRuns *l, const char *slug, RunEvent *ret_last, RunEvent *ret_result);

/* The last concluded runs, newest first: at most limit. How far back it looks is bounded (runs.h). */
int journal_history_runs(JournalHistory *h, const char *slug, unsigned limit, RunEvent **ret, size_t *ret_n);
void run_events_free(RunEvent *events, size_t n);
