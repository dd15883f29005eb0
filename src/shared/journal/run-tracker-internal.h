/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Inside the run tracker: run-tracker.c handles entries and the clock, run-match.c decides which stream belongs to
 * which run, and run-output.c manages the events. */

#include <uthash.h>
#include <utlist.h>

#include "shared/journal/run-tracker.h"
#include "shared/status-line.h"

typedef struct TrackedService TrackedService;
typedef struct Hold Hold;

typedef enum HoldType {
        HOLD_RUN,
        HOLD_STREAM,
} HoldType;

/* Something that becomes due. All holds last equally long, so the list in order of creation is also in order of
 * time. */
struct Hold {
        HoldType type;
        bool active;
        uint64_t due;
        Hold *prev, *next;
};

typedef struct Slot {
        uint64_t seq;      /* of the entry at which the event is reported */
        uint64_t realtime; /* of that entry */
        char *cursor;      /* of that entry; moves into the event */
        bool ready, cancelled;
        RunEvent event;
        Hold *hold; /* fills the slot later; NULL once it is filled */
        struct Slot *prev, *next;
} Slot;

typedef struct Run {
        Hold hold; /* must be first: see hold_run() */
        TrackedService *service;
        sd_id128_t invocation_id, stream_id;
        bool start_seen, has_stream, has_line;
        bool ended, failed;
        bool undecided; /* it failed, but may have been stopped: held */
        bool stopped;
        bool concluded;  /* its event is in the output */
        bool correcting; /* concluded, and an event that corrects it is held */
        bool superseded; /* held, because a line of a later run came before this run's end */
        bool early;      /* its stream began before its start */
        uint64_t stream_seq;
        StatusLine line;
        uint64_t started, ended_at, ended_monotonic;
        char exit_code[16];
        int exit_status;
        Slot *slot;
        struct Run *prev, *next;
} Run;

/* An anonymous stream that no run has claimed yet. */
typedef struct Stream {
        Hold hold; /* must be first */
        TrackedService *service;
        sd_id128_t id;
        bool has_line;
        bool doubtful; /* so early that its run may have ended before the tracker began */
        StatusLine line;
        uint64_t monotonic;
        Slot *slot;
        struct Stream *prev, *next;
} Stream;

struct TrackedService {
        char slug[SLUG_MAX + 1];
        Run *runs;         /* oldest first */
        Stream *unclaimed; /* oldest first */
        UT_hash_handle hh;
};

struct RunTracker {
        run_tracker_lookup_t lookup;
        void *userdata;
        Run *looking_up;
        TrackedService *services;
        unsigned n_kept; /* services left after the last sweep */
        Hold *holds;
        Slot *slots;
        size_t n_slots, slot_bytes;
        uint64_t seq, muted_until;
        bool midway;
        sd_id128_t boot_id;
        uint64_t now, began;
};

static inline Run *hold_run(Hold *h)
{
        return (Run *) h;
}

static inline Stream *hold_stream(Hold *h)
{
        return (Stream *) h;
}

/* Begins the grace unless it has begun. */
void hold_begin(RunTracker *t, Hold *h);
void hold_end(RunTracker *t, Hold *h);

/* Creates a slot at e, the entry that is being fed. hold will fill it later; may be NULL. */
int slot_new(RunTracker *t, const RunEntry *e, Hold *hold, Slot **ret);
/* Sets *slot to NULL. */
void slot_cancel(Slot **slot);
void slot_free(RunTracker *t, Slot *s);
/* The first slot that still waits for its event, or NULL. */
Slot *slot_first_held(RunTracker *t);

void run_line_clear(Run *run);

/* Fills the slot with the run's line and makes it ready. */
int fill_result(RunTracker *t, Slot *slot, Run *run);
/* Fills the slot with the run's failure; result is UNIT_RESULT=. */
int fill_failure(RunTracker *t, Slot *slot, Run *run, const char *result);
/* Fills the run's own slot for a run that ended well: with its line, or with the error that there was none. Ends the
 * hold. */
int run_conclude(RunTracker *t, Run *run);
/* Fills the run's own slot with a correction, from its late lines. */
int run_correct(RunTracker *t, Run *run);
/* Concludes an undecided run as failed. The hold goes on. */
int run_conclude_failure(RunTracker *t, Run *run);

int run_new(RunTracker *t, TrackedService *s, sd_id128_t invocation_id, Run **ret);
void run_free(RunTracker *t, Run *run);
/* Finds or creates the run that e is about. Earlier runs that were not seen to end are superseded. */
int run_get(RunTracker *t, TrackedService *s, const RunEntry *e, Run **ret);
Run *run_find_by_stream(TrackedService *s, sd_id128_t id);
Run *run_find_by_invocation(TrackedService *s, sd_id128_t id);

void run_bind(Run *run, sd_id128_t stream_id);
/* Takes the line. e is the entry that is being fed. It may be NULL unless the run may be concluded already: a
 * correction is reported at e. */
int run_add_line(RunTracker *t, Run *run, StatusLine *line, const RunEntry *e);
/* The run ended, or was found to have ended, at the entry that is being fed. */
int run_end(RunTracker *t, Run *run, const RunEntry *e, bool failed);

/* Whether this run has ended and may still claim a stream. */
bool run_claims(const Run *run);
/* Gives the stream to the run and frees it. If the run is held, the line concludes it. */
int run_claim(RunTracker *t, Run *run, Stream *m, const RunEntry *e);
/* A run has only one stream: moves it from this run to an earlier one. */
int run_move_stream(RunTracker *t, Run *from, Run *to, const RunEntry *e);
/* Lets ended runs claim streams, in order, as long as there is no doubt. */
int service_match(RunTracker *t, TrackedService *s);

Stream *stream_find(TrackedService *s, sd_id128_t id);
void stream_free(RunTracker *t, Stream *m);
