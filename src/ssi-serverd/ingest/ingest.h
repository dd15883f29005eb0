/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Ingestion by group commit. Each agent session is a source with a queue of its own, kept in order. While one
 * transaction is under way, what arrives from all sources waits and forms the next; a source is told when its items
 * are committed. Every transaction checks the session's epoch, so that a session that was taken over commits nothing
 * more, and moves the agent's resume cursor together with the data: an item is either committed, with the cursor past
 * it, or the agent sends it again. */

#include <systemd/sd-event.h>
#include <time.h>

#include "core/changes.h"
#include "db/db.h"
#include "core/histogram.h"
#include "ingest/item.h"

typedef struct Ingest Ingest;
typedef struct IngestSource IngestSource;

typedef struct IngestSourceHandler {
        /* All items up to this cursor are committed. */
        void (*committed)(IngestSource *s, const char *cursor, void *userdata);
        /* The source takes nothing more, and what it held is dropped: -ESTALE when another session took over,
         * -EINVAL when the database refuses an item, else the database failed and the outcome may be unknown. */
        void (*ended)(IngestSource *s, int error, void *userdata);
        /* The queues are full (true) or have room again (false). */
        void (*throttled)(IngestSource *s, bool full, void *userdata);
        /* Nothing is held any more. */
        void (*drained)(IngestSource *s, void *userdata);
} IngestSourceHandler;

typedef struct IngestHandler {
        /* What a transaction changed, after its commit. notified: the other instances hear it by the transaction. */
        void (*changed)(const Changes *changes, bool notified, void *userdata);
        /* A transaction was committed. */
        void (*committed)(void *userdata);
        /* A transaction failed; when the database said so, it is tried again. */
        void (*failed)(int error, const char *message, void *userdata);
} IngestHandler;

typedef struct IngestSettings {
        bool history_changes_only; /* else every result is in the history */
        unsigned grace_seconds;    /* how late a result may come before its service is stale */
        uint64_t refresh_usec;     /* results that say nothing new are written so often at most; a quarter of the grace,
                                    * so that the times in the database are never that old */
} IngestSettings;

typedef struct IngestStats {
        uint64_t items;     /* committed */
        uint64_t batches;   /* committed */
        uint64_t unchanged; /* results that cost no update of a service */
        uint64_t failed;    /* batches that were not committed */
        uint64_t refused;   /* sources that ended for an item that the database refuses */
        Histogram commit;   /* from sending a batch to its commit */
} IngestStats;

/* db: borrowed; a pool of one connection, for this alone. instance: the name in notifications. */
int ingest_new(sd_event *event, Db *db, const char *instance, const IngestSettings *settings,
               const IngestHandler *handler, void *userdata, Ingest **ret);
/* All sources must have been freed. */
Ingest *ingest_free(Ingest *i);
DEFINE_CLEANUP(Ingest *, ingest_free);

/* Call when the database is back. */
void ingest_kick(Ingest *i);

/* Items that are queued or under way. */
size_t ingest_pending(Ingest *i);
/* How long the oldest of them has waited at most; usec, 0 when there is none. */
uint64_t ingest_lag(Ingest *i);
/* Whether something waits that the database did not take when it was asked last. */
bool ingest_is_stalled(Ingest *i);
const IngestStats *ingest_stats(Ingest *i);

/* id and epoch as the session's authentication gave them; server and user are public ids. */
int ingest_source_new(Ingest *i, int64_t id, int64_t epoch, const char *server, const char *user,
                      const IngestSourceHandler *handler, void *userdata, IngestSource **ret);
/* Drops what is queued; no function of the handler is called any more. */
IngestSource *ingest_source_free(IngestSource *s);
DEFINE_CLEANUP(IngestSource *, ingest_source_free);

/* Takes the list of items in any case. Never refuses for want of room: throttled() asks the caller to stop reading. */
void ingest_source_push(IngestSource *s, IngestItem *items_taken);
size_t ingest_source_pending(IngestSource *s);

/* As when another session took over. ended() is not called. */
void ingest_source_fence(IngestSource *s);
