/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>
#include <uthash.h>

#include "shared/journal/entry.h"
#include "shared/journal/history.h"
#include "shared/journal/runs.h"
#include "shared/time-util.h"

/* An entry may become visible this much later than its timestamp. */
#define SLACK_USEC (200 * USEC_PER_MSEC)

/* Status lines are shorter, so longer data need not be decompressed. */
#define DATA_THRESHOLD (8 * 1024)

/* The last result is searched for first in the last RUNS_FEW runs, then in RUNS_STEP times as many, up to RUNS_MAX. */
#define RUNS_FEW  4U
#define RUNS_STEP 8U
#define RUNS_MAX  256U

struct JournalHistory {
        sd_journal *journal;
};

/* May take members of e. */
typedef int (*run_found_t)(RunEvent *e, void *userdata);

int journal_history_new(JournalHistory **ret)
{
        _cleanup_(journal_history_freep) JournalHistory *h = NULL;
        int r;

        h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        r = sd_journal_open(&h->journal, SD_JOURNAL_LOCAL_ONLY);
        if (r < 0)
                return r;
        r = sd_journal_set_data_threshold(h->journal, DATA_THRESHOLD);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(h);
        return 0;
}

JournalHistory *journal_history_free(JournalHistory *h)
{
        if (!h)
                return NULL;
        sd_journal_close(h->journal);
        free(h);
        return NULL;
}

/* Concludes runs whose grace is over: nothing more can follow. */
static int conclude(RunTracker *t)
{
        uint64_t now, due;
        sd_id128_t boot;
        int r;

        if (run_tracker_deadline(t, &boot, &due) == 0)
                return 0;
        r = journal_boot_id(&boot);
        if (r < 0)
                return r;
        now = now_usec(CLOCK_MONOTONIC);
        return run_tracker_advance(t, boot, MAX(now, SLACK_USEC) - SLACK_USEC);
}

/* Reports the runs, oldest first. all: no earlier entries exist than those fed to the tracker. */
static int give_out(RunTracker *t, bool all, run_found_t found, void *userdata)
{
        int r;

        r = conclude(t);
        while (r >= 0) {
                _cleanup_(run_event_done) RunEvent e = RUN_EVENT_INIT;

                r = run_tracker_next(t, &e);
                if (r <= 0)
                        return r;
                /* If a run began before the entries that were read, its line may be missing, too. */
                if (all || e.started > 0)
                        r = found(&e, userdata);
        }
        return r;
}

/* Finds a service's last runs. Returns 1 if there are no others. */
static int find_runs(JournalHistory *h, const char *slug, unsigned n, run_found_t found, void *userdata)
{
        _cleanup_(run_tracker_freep) RunTracker *t = NULL;
        int r, all;

        r = run_tracker_new(NULL, NULL, &t);
        if (r < 0)
                return r;
        all = journal_runs_feed(h->journal, slug, n, t);
        if (all < 0)
                return all;
        r = give_out(t, all, found, userdata);
        return r < 0 ? r : all;
}

/* ---- The last run of one service ---- */

typedef struct Last {
        RunEvent last, result;
} Last;

static int found_last(RunEvent *e, void *userdata)
{
        Last *l = userdata;
        int r = 0;

        if (e->status >= 0) {
                run_event_done(&l->result);
                r = run_event_copy(e, &l->result);
        }
        run_event_done(&l->last);
        l->last = *e;
        *e = RUN_EVENT_INIT;
        return r;
}

int journal_history_last(JournalHistory *h, const char *slug, RunEvent *ret_last, RunEvent *ret_result)
{
        Last l = { RUN_EVENT_INIT, RUN_EVENT_INIT };
        int r = 0;

        for (unsigned n = RUNS_FEW; r == 0 && n <= RUNS_MAX && !l.result.slug; n *= RUNS_STEP) {
                run_event_done(&l.last);
                r = find_runs(h, slug, n, found_last, &l);
        }
        if (r < 0) {
                run_event_done(&l.last);
                run_event_done(&l.result);
                return r;
        }
        *ret_last = l.last;
        *ret_result = l.result;
        return l.last.slug ? 1 : 0;
}

/* ---- The last run of each service ---- */

/* Returns 1 if no earlier entries exist. */
static int go_back(JournalHistory *h, unsigned limit)
{
        int r;

        r = sd_journal_seek_tail(h->journal);
        for (unsigned n = 0; r >= 0 && n < limit; n++) {
                r = sd_journal_previous(h->journal);
                if (r == 0) {
                        r = sd_journal_seek_head(h->journal);
                        return r < 0 ? r : 1;
                }
        }
        return MIN(r, 0);
}

static int feed(JournalHistory *h, RunTracker *t)
{
        int r;

        while ((r = sd_journal_next(h->journal)) > 0) {
                JournalEntry e = {};

                r = journal_entry_read(h->journal, &e);
                if (r > 0)
                        r = run_tracker_feed(t, &e.entry);
                journal_entry_done(&e);
                if (r < 0)
                        return r;
        }
        return r;
}

typedef struct ServiceLast {
        char slug[SLUG_MAX + 1];
        Last last;
        UT_hash_handle hh;
} ServiceLast;

struct LastRuns {
        ServiceLast *services;
        bool all; /* no earlier entries exist than those read */
};

static int found_any(RunEvent *e, void *userdata)
{
        LastRuns *l = userdata;
        ServiceLast *s;

        HASH_FIND_STR(l->services, e->slug, s);
        if (!s) {
                s = calloc(1, sizeof(*s));
                if (!s)
                        return -ENOMEM;
                snprintf(s->slug, sizeof(s->slug), "%s", e->slug);
                s->last = (Last){ RUN_EVENT_INIT, RUN_EVENT_INIT };
                HASH_ADD_STR(l->services, slug, s);
        }
        return found_last(e, &s->last);
}

int journal_history_last_runs(JournalHistory *h, unsigned limit, LastRuns **ret)
{
        _cleanup_(run_tracker_freep) RunTracker *t = NULL;
        _cleanup_(last_runs_freep) LastRuns *l = NULL;
        int r;

        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        r = run_tracker_new(NULL, NULL, &t);
        if (r >= 0)
                r = journal_match_all(h->journal);
        if (r >= 0)
                r = go_back(h, limit);
        if (r < 0)
                return r;
        l->all = r > 0;
        if (!l->all)
                run_tracker_begin_midway(t, SD_ID128_NULL, 0);
        r = feed(h, t);
        if (r >= 0)
                r = give_out(t, l->all, found_any, l);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

bool last_runs_take(LastRuns *l, const char *slug, RunEvent *ret_last, RunEvent *ret_result)
{
        ServiceLast *s;

        HASH_FIND_STR(l->services, slug, s);
        if (!l->all && (!s || !s->last.result.slug))
                return false;
        *ret_last = s ? s->last.last : RUN_EVENT_INIT;
        *ret_result = s ? s->last.result : RUN_EVENT_INIT;
        if (s)
                HASH_DEL(l->services, s);
        free(s);
        return true;
}

LastRuns *last_runs_free(LastRuns *l)
{
        ServiceLast *s, *tmp;

        if (!l)
                return NULL;
        HASH_ITER(hh, l->services, s, tmp) {
                HASH_DEL(l->services, s);
                run_event_done(&s->last.last);
                run_event_done(&s->last.result);
                free(s);
        }
        free(l);
        return NULL;
}

/* ---- The last runs ---- */

struct HistoryRuns {
        JournalRuns *reader; /* NULL when nothing is asked for */
        RunEvent *events;    /* a ring */
        size_t n, next, limit;
};

static int found_run(RunEvent *e, void *userdata)
{
        HistoryRuns *runs = userdata;
        RunEvent *slot;

        /* A correction replaces the event of the same run. */
        for (size_t i = 0; e->correction && i < runs->n; i++)
                if (sd_id128_equal(runs->events[i].invocation_id, e->invocation_id)) {
                        run_event_done(runs->events + i);
                        runs->events[i] = *e;
                        *e = RUN_EVENT_INIT;
                        return 0;
                }
        slot = runs->events + runs->next;
        runs->next = (runs->next + 1) % runs->limit;
        if (runs->n < runs->limit) {
                *slot = RUN_EVENT_INIT;
                runs->n++;
        }
        run_event_done(slot);
        *slot = *e;
        *e = RUN_EVENT_INIT;
        return 0;
}

void run_events_free(RunEvent *events, size_t n)
{
        for (size_t i = 0; i < n; i++)
                run_event_done(events + i);
        free(events);
}

HistoryRuns *history_runs_free(HistoryRuns *r)
{
        if (!r)
                return NULL;
        journal_runs_free(r->reader);
        run_events_free(r->events, r->n);
        free(r);
        return NULL;
}

int history_runs_new(JournalHistory *h, const char *slug, unsigned limit, HistoryRuns **ret)
{
        _cleanup_(history_runs_freep) HistoryRuns *runs = NULL;
        int r;

        runs = calloc(1, sizeof(*runs));
        if (!runs)
                return -ENOMEM;
        runs->limit = MIN(limit, JOURNAL_HISTORY_RUNS_MAX);
        if (runs->limit > 0) {
                runs->events = calloc(runs->limit, sizeof(*runs->events));
                if (!runs->events)
                        return -ENOMEM;
                /* A run that is under way does not count yet. */
                r = journal_runs_new(h->journal, slug, (unsigned) runs->limit + 1, &runs->reader);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(runs);
        return 0;
}

/* From the ring, newest first. */
static int take_runs(HistoryRuns *runs, RunEvent **ret, size_t *ret_n)
{
        RunEvent *sorted = calloc(MAX(runs->n, 1U), sizeof(*sorted));

        if (!sorted)
                return -ENOMEM;
        for (size_t i = 0; i < runs->n; i++)
                sorted[i] = runs->events[(runs->next + runs->limit - 1 - i) % runs->limit];
        *ret = sorted;
        *ret_n = runs->n;
        runs->n = 0;
        return 1;
}

int history_runs_read(HistoryRuns *runs, uint64_t usec, RunEvent **ret, size_t *ret_n)
{
        _cleanup_(run_tracker_freep) RunTracker *t = NULL;
        int r;

        r = runs->reader ? journal_runs_read(runs->reader, usec) : 1;
        if (r <= 0)
                return r;
        if (runs->reader) {
                r = run_tracker_new(NULL, NULL, &t);
                if (r >= 0)
                        r = journal_runs_feed_read(runs->reader, t);
                if (r >= 0)
                        r = give_out(t, r, found_run, runs);
        }
        return r < 0 ? r : take_runs(runs, ret, ret_n);
}
