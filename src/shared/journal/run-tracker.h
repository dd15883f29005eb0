/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Turns journal entries into concluded runs. Pure logic: no journal, no clock, no I/O. The same entries always give
 * the same events, so a reader can begin a little before a cursor and know which events lie after it. */

#include <systemd/sd-id128.h>

#include "shared/journal/run-event.h"
#include "shared/slug.h"

/* How long the end of a run is held if its line has not come, in the journal's time. */
#define RUN_GRACE_USEC (500 * USEC_PER_MSEC)

typedef enum RunEntryType {
        RUN_ENTRY_START,   /* the manager starts the unit */
        RUN_ENTRY_EXIT,    /* the main process failed; exit_code and exit_status are set */
        RUN_ENTRY_SUCCESS, /* the unit ended well */
        RUN_ENTRY_FAILURE, /* the unit failed; result is set */
        RUN_ENTRY_LINE,    /* a line of output; stream_id, text and length are set */
        RUN_ENTRY_STOP,    /* the manager was told to stop the unit, and has done so */
} RunEntryType;

/* One journal entry. The caller has checked its trusted fields. All pointers are borrowed for the call. */
typedef struct RunEntry {
        RunEntryType type;
        const char *slug;
        const char *cursor;
        sd_id128_t boot_id;
        uint64_t monotonic;       /* usec within the boot, set by journald */
        uint64_t realtime;        /* usec since the epoch, set by journald */
        uint64_t source_realtime; /* when the sender sent it; same as realtime if unknown */
        sd_id128_t invocation_id; /* SD_ID128_NULL if journald did not know it */
        sd_id128_t stream_id;
        const char *text;
        size_t length;
        const char *exit_code; /* "exited", "killed", "dumped" */
        int exit_status;
        const char *result; /* UNIT_RESULT= */
} RunEntry;

typedef struct RunTracker RunTracker;

/* Called at the end of a run whose start the tracker has not seen. Passes each earlier line of the invocation, oldest
 * first, to run_tracker_add_earlier_line(), and the run's start to run_tracker_add_earlier_start(). If this returns a
 * negative errno, the feed fails with it. */
typedef int (*run_tracker_lookup_t)(RunTracker *t, const RunEntry *end, void *userdata);

/* lookup may be NULL. */
int run_tracker_new(run_tracker_lookup_t lookup, void *userdata, RunTracker **ret);
RunTracker *run_tracker_free(RunTracker *t);
DEFINE_CLEANUP(RunTracker *, run_tracker_free);

/* Takes the next entry, in the journal's order. After -ENOMEM, drop the tracker. */
int run_tracker_feed(RunTracker *t, const RunEntry *e);
int run_tracker_add_earlier_line(RunTracker *t, const RunEntry *line);
int run_tracker_add_earlier_start(RunTracker *t, const RunEntry *start);

/* Call this before the first feed if older entries are skipped. Every entry later than this time must be fed.
 * boot_id: SD_ID128_NULL if unknown: then the first entry gives both. */
void run_tracker_begin_midway(RunTracker *t, sd_id128_t boot_id, uint64_t monotonic);

/* Drops events at the entries fed so far, so that only later ones are reported: for a reader that begins a little
 * before a cursor. Call this after feeding the cursor's entry and before the first run_tracker_next(). */
void run_tracker_mute_until_here(RunTracker *t);

/* Returns 1 with the next event, which the caller then owns; 0 if there is none yet. */
int run_tracker_next(RunTracker *t, RunEvent *ret);

/* Returns 1 with the time when the oldest hold is due, on the monotonic clock of its boot; 0 if nothing is held. */
int run_tracker_deadline(RunTracker *t, sd_id128_t *ret_boot_id, uint64_t *ret_monotonic);

/* All entries with an earlier timestamp have been fed: concludes what is due by then. -ENOMEM. */
int run_tracker_advance(RunTracker *t, sd_id128_t boot_id, uint64_t monotonic);

/* Forgets services for which keep() returns false. Keeps their concluded events. Does nothing until the number of
 * services has grown enough since the last sweep, so it may be called often. */
void run_tracker_sweep(RunTracker *t, bool (*keep)(const char *slug, void *userdata), void *userdata);
