/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the files of ingest/: sources, batches under way, and what is known of the services. */

#include "ingest/known.h"
#include "ingest/ingest.h"

struct IngestSource {
        Ingest *ingest;
        unsigned n_ref; /* the owner's, and the batch's while items are under way */
        int64_t id, epoch;
        char *server, *user;
        char *cursor;                       /* the last that was committed, or NULL */
        const IngestSourceHandler *handler; /* NULL once the owner has freed it */
        void *userdata;
        IngestItem *items;
        size_t n_items, size;
        size_t n_in_flight; /* in one batch only: if that fails, the next must not be committed */
        bool queued;        /* on the list of sources with items */
        bool ended;
        bool throttled;
        bool replaying; /* pushed items belong to a replay */
        Known known;
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
};

BatchKind batch_kind_of(const IngestItem *item);

/* fold.c: compares the batch with what is known, and decides what to write. Returns 1, or 0 if there is
 * nothing to write at all. May be called again. */
int batch_fold(Batch *b, const IngestSettings *settings);
void batch_fold_done(Batch *b);
/* After the commit: remembers what the accepted parts wrote. */
void batch_learn(Batch *b);

/* batch.c: sends the folded batch as one statement. */
int batch_send(Batch *b, Db *db, const IngestSettings *settings, db_callback_t callback, void *userdata);
/* Adds the changes of the accepted parts; res has those that only the database knows. Call it before
 * batch_learn(). */
int batch_changes(const Batch *b, PGresult *res, Changes *changes);
/* Marks the parts that belong to the current session, according to the statement. */
void batch_mark_accepted(Batch *b, PGresult *res);

/* source.c: the queues. */
void ingest_source_unref(IngestSource *s);
/* Puts the source at the end of the list of ready sources, or takes it off the list. */
void ingest_source_enqueue(IngestSource *s);
void ingest_source_dequeue(IngestSource *s);
/* Drops its items and tells its owner why. */
void ingest_source_end(IngestSource *s, int error);
/* Resumes reading once the queues are half empty. */
void ingest_unthrottle(Ingest *i);
