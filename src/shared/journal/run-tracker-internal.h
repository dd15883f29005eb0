/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Inside the run tracker: the entries and the clock (run-tracker.c), whose stream is whose (run-match.c), and what
 * is given out (run-output.c). */

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

/* A thing that becomes due. All are held equally long, so a list in order of creation is one in order of time. */
struct Hold {
        HoldType type;
        bool active;
        uint64_t due;
        Hold *prev, *next;
};

typedef struct Slot {
        uint64_t seq;      /* of the entry that it stands at */
        uint64_t realtime; /* of the same */
        char *cursor;      /* of the same; moves into the event */
        bool ready, cancelled;
        RunEvent event;
        Hold *hold; /* what will fill it, while it is not ready */
        struct Slot *prev, *next;
} Slot;

typedef struct Run {
        Hold hold; /* first: see hold_run() */
        TrackedService *service;
        sd_id128_t invocation_id, stream_id;
        bool start_seen, has_stream, has_line;
        bool ended, failed;
        bool undecided; /* it failed, and may have been stopped: held */
        bool stopped;
        bool concluded;  /* its event is in the output */
        bool correcting; /* and another that corrects it is held */
        bool superseded; /* held, since a line of a later run came before this one's end */
        bool early;      /* its stream was seen before its start */
        uint64_t stream_seq;
        StatusLine line;
        uint64_t started, ended_at, ended_monotonic;
        char exit_code[16];
        int exit_status;
        Slot *slot;
        struct Run *prev, *next;
} Run;

/* An anonymous stream that is not yet claimed by a run. */
typedef struct Stream {
        Hold hold; /* first */
        TrackedService *service;
        sd_id128_t id;
        bool has_line;
        bool doubtful; /* came so early that its run may lie before what the tracker sees */
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
        unsigned n_kept; /* services left by the last sweep */
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

/* Begins the grace; does nothing when it has begun. */
void hold_begin(RunTracker *t, Hold *h);
void hold_end(RunTracker *t, Hold *h);

/* A slot that stands at e, the entry being fed. hold is what will fill it, or NULL. */
int slot_new(RunTracker *t, const RunEntry *e, Hold *hold, Slot **ret);
/* Sets *slot to NULL. */
void slot_cancel(Slot **slot);
void slot_free(RunTracker *t, Slot *s);
/* The first slot that is still waiting for its event, or NULL. */
Slot *slot_first_held(RunTracker *t);

void run_line_clear(Run *run);

/* Fills the slot with the run's line and makes it ready. */
int fill_result(RunTracker *t, Slot *slot, Run *run);
/* Fills the slot with the run's failure; result is UNIT_RESULT=. */
int fill_failure(RunTracker *t, Slot *slot, Run *run, const char *result);
/* Fills the run's own slot, for a run that ended well: its line, or that there was none. Ends the hold. */
int run_conclude(RunTracker *t, Run *run);
/* Gives out what late lines have made of it. */
int run_correct(RunTracker *t, Run *run);
/* The same of one that is undecided, which it no longer is. The hold goes on. */
int run_conclude_failure(RunTracker *t, Run *run);

int run_new(RunTracker *t, TrackedService *s, sd_id128_t invocation_id, Run **ret);
void run_free(RunTracker *t, Run *run);
/* The run that e speaks of, which may be new. Others that had not been seen to end then have. */
int run_get(RunTracker *t, TrackedService *s, const RunEntry *e, Run **ret);
Run *run_find_by_stream(TrackedService *s, sd_id128_t id);
Run *run_find_by_invocation(TrackedService *s, sd_id128_t id);

void run_bind(Run *run, sd_id128_t stream_id);
/* Takes the line. e, the entry being fed, is needed only where the run can be concluded: a correction stands at it. */
int run_add_line(RunTracker *t, Run *run, StatusLine *line, const RunEntry *e);
/* The run ended at the entry being fed, or was found to have ended. */
int run_end(RunTracker *t, Run *run, const RunEntry *e, bool failed);

/* Whether this run ended and may still claim a stream. */
bool run_claims(const Run *run);
/* Gives the stream to the run and frees it. The line concludes a run that is held. */
int run_claim(RunTracker *t, Run *run, Stream *m, const RunEntry *e);
/* A run has one stream: this one was not the run's, but an earlier one's. */
int run_move_stream(RunTracker *t, Run *from, Run *to, const RunEntry *e);
/* Lets ended runs claim streams, in order, as far as there is no doubt. */
int service_match(RunTracker *t, TrackedService *s);

Stream *stream_find(TrackedService *s, sd_id128_t id);
void stream_free(RunTracker *t, Stream *m);
