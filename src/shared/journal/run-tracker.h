/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From journal entries to concluded runs. Pure logic: no journal, no clock, no I/O. The same entries always give the
 * same events, so a reader can begin anywhere a little before a cursor and know which events lie behind it. */

#include <systemd/sd-id128.h>

#include "shared/journal/run-event.h"
#include "shared/slug.h"

/* How long the end of a run is held when its line has not been seen, in the journal's time. */
#define RUN_GRACE_USEC (500 * USEC_PER_MSEC)

typedef enum RunEntryType {
        RUN_ENTRY_START,   /* the manager starts the unit */
        RUN_ENTRY_EXIT,    /* the main process ended badly; exit_code and exit_status are set */
        RUN_ENTRY_SUCCESS, /* the unit ended well */
        RUN_ENTRY_FAILURE, /* the unit failed; result is set */
        RUN_ENTRY_LINE,    /* a line of output; stream_id, text and length are set */
        RUN_ENTRY_STOP,    /* the manager has stopped the unit, as it was told to */
} RunEntryType;

/* One journal entry, its trusted fields checked by the caller. All pointers are borrowed for the call. */
typedef struct RunEntry {
        RunEntryType type;
        const char *slug;
        const char *cursor;
        sd_id128_t boot_id;
        uint64_t monotonic;       /* usec within the boot, journald's stamp */
        uint64_t realtime;        /* usec since the epoch, journald's stamp */
        uint64_t source_realtime; /* when the sender sent it; equal to realtime when unknown */
        sd_id128_t invocation_id; /* SD_ID128_NULL when journald could not tell */
        sd_id128_t stream_id;
        const char *text;
        size_t length;
        const char *exit_code; /* "exited", "killed", "dumped" */
        int exit_status;
        const char *result; /* UNIT_RESULT= */
} RunEntry;

/* Called at the end of a run whose start the tracker has not seen: gives every earlier line of that invocation, oldest
 * first, through run_tracker_add_earlier_line(), and the run's start through run_tracker_add_earlier_start(). Negative
 * errno fails the feed. */
typedef struct RunTracker RunTracker;
typedef int (*run_tracker_lookup_t)(RunTracker *t, const RunEntry *end, void *userdata);

/* lookup may be NULL. */
int run_tracker_new(run_tracker_lookup_t lookup, void *userdata, RunTracker **ret);
RunTracker *run_tracker_free(RunTracker *t);
DEFINE_CLEANUP(RunTracker *, run_tracker_free);

/* Takes the next entry in the journal's order. -ENOMEM; the tracker is unchanged in meaning but should be dropped. */
int run_tracker_feed(RunTracker *t, const RunEntry *e);
int run_tracker_add_earlier_line(RunTracker *t, const RunEntry *line);
int run_tracker_add_earlier_start(RunTracker *t, const RunEntry *start);

/* To be called first when there are entries that will not be fed, and all that are younger than this time will be.
 * SD_ID128_NULL when it is not known: that of the first entry is taken. */
void run_tracker_begin_midway(RunTracker *t, sd_id128_t boot_id, uint64_t monotonic);

/* Events that stand at the entries fed up to now are not given out, those at later ones are: for a reader that begins a
 * little before a cursor. To be called after the entry of that cursor, before the first run_tracker_next(). */
void run_tracker_mute_until_here(RunTracker *t);

/* 1 and the next event, which the caller owns then; 0 when there is none yet. */
int run_tracker_next(RunTracker *t, RunEvent *ret);

/* When the oldest held thing is due: 1 with its time on the monotonic clock of its boot; 0 when nothing is held. */
int run_tracker_deadline(RunTracker *t, sd_id128_t *ret_boot_id, uint64_t *ret_monotonic);

/* Tells that every entry stamped before this time has been fed, so that holds due by then are concluded. -ENOMEM. */
int run_tracker_advance(RunTracker *t, sd_id128_t boot_id, uint64_t monotonic);

/* Forgets the services for which keep() says no. Events already concluded stay. Does nothing while there are few services beside
 * those that it kept the last time, so that it may be called often. */
void run_tracker_sweep(RunTracker *t, bool (*keep)(const char *slug, void *userdata), void *userdata);
