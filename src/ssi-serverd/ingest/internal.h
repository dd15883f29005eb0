/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the files of ingest/: sources, batches under way, and what is known of the services. */

#include "ingest/known.h"
#include "ingest/ingest.h"

/* An account, as far as its results are counted: owner.c. */
typedef struct IngestOwner {
        char *user; /* public id */
        size_t n_sources;
        IngestRate rate;
        int64_t credit; /* negative: a debt */
        uint64_t updated;
        uint64_t told; /* when limited() was last called */
        uint64_t minute, this_minute, last_minute;
        IngestSource *waiting; /* for their turn to be read */
        bool queued;           /* in limited_owners */
        struct IngestOwner *limited_prev, *limited_next;
        struct IngestOwner *idle_prev, *idle_next; /* without sources */
        UT_hash_handle hh;
} IngestOwner;

struct IngestSource {
        Ingest *ingest;
        unsigned n_ref; /* the owner's, and the batch's while items are under way */
        int64_t id, epoch;
        char *server, *user;
        char *cursor; /* the last that was committed, or NULL */
        uint64_t n_commits;
        const IngestSourceHandler *handler; /* NULL once the owner has freed it */
        void *userdata;
        IngestItem *items;
        size_t n_items, size;
        size_t n_in_flight; /* in one batch only: if that fails, the next must not be committed */
        bool queued;        /* on the list of sources with items */
        bool ended;
        bool throttled; /* the queues are full */
        bool limited;   /* waits for the account's turn */
        bool replaying; /* pushed items belong to a replay */
        Known known;
        IngestOwner *owner; /* or NULL */
        IngestSource *wait_prev, *wait_next;
        IngestSource *prev, *next;         /* sources with items */
        IngestSource *all_prev, *all_next; /* all sources */
};

/* The part of a transaction that comes from one source. */
typedef struct BatchPart {
        IngestSource *source; /* a reference */
        IngestItem *items;
        size_t n_items;
        const char *cursor; /* of the last item that has one, or NULL */
        bool gap;           /* the cursor belongs to a gap */
        bool accepted;
        unsigned withheld; /* an inventory's removals: ask for it again after so many seconds; 0: none were */
} BatchPart;

/* The outcome of a batch for one service. */
typedef struct ServiceKey {
        size_t part;
        char name[SLUG_MAX + 1];
} ServiceKey;

typedef struct ServiceState {
        ServiceKey key;
        KnownService *known;      /* the state before, or NULL */
        const IngestItem *result; /* the last result, or NULL */
        const IngestItem *last;   /* the last item */
        uint64_t changed_at;
        bool flipped; /* the status changed inside the batch */
        bool changed; /* more than times changed */
        bool refused; /* for want of quota */
        bool write;
        UT_hash_handle hh;
} ServiceState;

/* All items of a batch have the same kind. */
typedef enum BatchKind {
        BATCH_ITEMS,
        BATCH_INVENTORY,
        BATCH_LIVE,
} BatchKind;

typedef struct Batch {
        Ingest *ingest;
        BatchKind kind;
        BatchPart *parts;
        size_t n_parts, n_items, size;
        unsigned n_retries;
        uint64_t sent;        /* CLOCK_MONOTONIC, usec */
        ServiceState *states; /* of BATCH_ITEMS, in order of arrival */
        size_t n_states;
        ServiceState *by_key;
} Batch;

struct Ingest {
        Db *db;
        const IngestHandler *handler;
        void *userdata;
        IngestSettings settings;
        IngestStats stats;
        sd_event_source *run_source; /* deferred, so that all input of one turn of the loop makes one
                                      * batch */
        sd_event_source *retry_timer;
        bool stalled;        /* the database rejects writes; until the timer */
        bool failing;        /* until the next commit */
        IngestSource *ready; /* sources with items and none under way, round robin */
        IngestSource *all;
        unsigned n_batches;     /* under way */
        size_t n_sent;          /* items in them */
        unsigned n_solo;        /* coming batches that take only one source, to find the refused one */
        size_t n_items, size;   /* queued and under way */
        uint64_t waiting_since; /* arrival of the oldest of them, or earlier; CLOCK_MONOTONIC, usec */
        unsigned n_throttled;
        IngestOwner *owners;         /* by user */
        IngestOwner *limited_owners; /* with waiting sources */
        IngestOwner *idle_owners;
        uint64_t owners_swept;
        sd_event_source *owner_timer;
};

BatchKind batch_kind_of(const IngestItem *item);

/* fold.c: compares the batch with what is known, and decides what to write. Returns 1, or 0 if there is
 * nothing to write at all. May be called again. */
int batch_fold(Batch *b, const IngestSettings *settings);
void batch_fold_done(Batch *b);
/* After the commit: remembers what the accepted parts wrote. */
void batch_learn(Batch *b);

/* After that: forgets the services that the database refused, and tells their sources. */
void batch_learn_refused(Batch *b, PGresult *res);

/* batch.c: sends the folded batch as one statement. */
int batch_send(Batch *b, Db *db, const IngestSettings *settings, db_callback_t callback, void *userdata);
/* Adds the changes of the accepted parts; res has those that only the database knows. Call it before
 * batch_learn(). */
int batch_changes(const Batch *b, PGresult *res, Changes *changes);
/* The part that a row of the statement's result is about, or NULL. */
BatchPart *batch_part(const Batch *b, PGresult *res, int row);
/* Marks the parts that belong to the current session, according to the statement, and those whose removals were withheld. */
void batch_mark_accepted(Batch *b, PGresult *res);

/* source.c: the queues. */
void ingest_source_unref(IngestSource *s);
/* Puts the source at the end of the list of ready sources, or takes it off the list. */
void ingest_source_enqueue(IngestSource *s);
void ingest_source_dequeue(IngestSource *s);
/* Drops its items and tells its owner why. */
void ingest_source_end(IngestSource *s, int error);
/* Tells its owner when one of the reasons to stop reading comes, or the last one has gone. */
void ingest_source_pause(IngestSource *s, bool throttled, bool limited);
/* Resumes reading once the queues are half empty. */
void ingest_unthrottle(Ingest *i);

/* owner.c: counts what a source is about to push, which may stop its reading. */
void ingest_owner_charge(IngestSource *s, const IngestItem *items);
void ingest_owner_leave(IngestSource *s);
void ingest_owners_free(Ingest *i);
int ingest_owners_tick(sd_event_source *source, uint64_t usec, void *userdata);
