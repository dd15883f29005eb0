/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of ingest/ share: sources, the batch under way, what is known of the services. */

#include "ingest/known.h"
#include "ingest/ingest.h"

struct IngestSource {
        Ingest *ingest;
        unsigned n_ref; /* the owner's, and the batch's while items are under way */
        int64_t id, epoch;
        char *server, *user;
        const IngestSourceHandler *handler; /* NULL once the owner has freed it */
        void *userdata;
        IngestItem *items;
        size_t n_items, size;
        size_t n_in_flight; /* of one batch: the next may not be committed when that one fails */
        bool queued;    /* on the list of sources with items */
        bool ended;
        bool throttled;
        bool replaying; /* what is pushed is a replay */
        Known known;
        IngestSource *prev, *next;         /* sources with items */
        IngestSource *all_prev, *all_next; /* all sources */
};

/* What one transaction takes from one source. */
typedef struct BatchPart {
        IngestSource *source; /* a reference */
        IngestItem *items;
        size_t n_items;
        const char *cursor;   /* the last one of the items, or NULL */
        bool gap;             /* it is a gap's */
        bool accepted;
} BatchPart;

/* What a batch makes of one service. */
typedef struct ServiceKey {
        size_t part;
        char name[SLUG_MAX + 1];
} ServiceKey;

typedef struct ServiceState {
        ServiceKey key;
        KnownService *known;      /* as it was before, or NULL */
        const IngestItem *result; /* the last result, or NULL */
        const IngestItem *last;   /* the last item */
        uint64_t changed_at;
        bool flipped;             /* the status changed inside the batch */
        bool changed;             /* more than times */
        bool write;
        UT_hash_handle hh;
} ServiceState;

/* All items of a batch are of one kind. */
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
        uint64_t sent;          /* CLOCK_MONOTONIC, usec */
        ServiceState *states;   /* of BATCH_ITEMS, in the order in which they came */
        size_t n_states;
        ServiceState *by_key;
} Batch;

struct Ingest {
        Db *db;
        char *instance;
        const IngestHandler *handler;
        void *userdata;
        IngestSettings settings;
        IngestStats stats;
        sd_event_source *run_source; /* so that all that one turn of the loop brings is one batch */
        sd_event_source *retry_timer;
        bool stalled;                /* the database takes nothing; until the timer */
        bool failing;                /* until the next commit */
        IngestSource *ready;         /* sources with items and none under way, in turn */
        IngestSource *all;
        unsigned n_batches;          /* under way */
        size_t n_sent;               /* items in them */
        unsigned n_solo;             /* batches to come that take one source only, to find the one that is refused */
        size_t n_items, size;        /* queued and under way */
        uint64_t waiting_since;      /* the oldest of them, or longer ago; CLOCK_MONOTONIC, usec */
        unsigned n_throttled;
};

BatchKind batch_kind_of(const IngestItem *item);

/* ingest-fold.c: compares the batch with what is known, and decides what is to be written. 1, or 0 when there is nothing
 * to write at all. May be called again. */
int batch_fold(Batch *b, const IngestSettings *settings);
void batch_fold_done(Batch *b);
/* After the commit: what the accepted parts wrote is known. */
void batch_learn(Batch *b);

/* ingest-batch.c: sends the folded batch as one statement. */
int batch_send(Batch *b, Db *db, const char *instance, const IngestSettings *settings, db_callback_t callback,
               void *userdata);
/* Adds what the accepted parts changed; res names what only the database knows. Before batch_learn(). */
int batch_changes(const Batch *b, PGresult *res, Changes *changes);
/* Marks the parts that the statement found to be of the current session. */
void batch_mark_accepted(Batch *b, PGresult *res);

/* ingest-source.c: the queues. */
void ingest_source_unref(IngestSource *s);
/* On and off the list of ready sources; at its end, when it is one. */
void ingest_source_enqueue(IngestSource *s);
void ingest_source_dequeue(IngestSource *s);
/* Drops what it holds, and tells its owner why. */
void ingest_source_end(IngestSource *s, int error);
/* Resumes reading where the queues are half empty. */
void ingest_unthrottle(Ingest *i);
