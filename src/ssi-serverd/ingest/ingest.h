/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Ingestion by group commit. Each agent session is a source with its own ordered queue. While one
 * transaction is under way, items from all sources wait and form the next one; a source is told when its
 * items are committed. Every transaction checks the session's epoch, so that a replaced session commits
 * nothing more, and moves the agent's resume cursor together with the data, from where the source's last transaction has left it: an item
 * is either committed, with the cursor past it, or the agent sends it again, even if the database was set back meanwhile. */

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
        /* The source accepts nothing more and its items are dropped: -ESTALE when another session took over or the
         * database was set back, -EINVAL when the database refuses an item; otherwise the database failed and the outcome may be
         * unknown. */
        void (*ended)(IngestSource *s, int error, void *userdata);
        /* An inventory removed nothing, although it names less than is known: two hosts may share the agent's identity. It
         * should be sent again after so many seconds. May be NULL. */
        void (*withheld)(IngestSource *s, unsigned seconds, void *userdata);
        /* The queues are full, or the account sends more than it may (true); reading can go on (false). */
        void (*throttled)(IngestSource *s, bool full, void *userdata);
        /* The account has as many services as it may have, so this one is not taken; it is tried again a few
         * minutes later. May be NULL. */
        void (*refused)(IngestSource *s, const char *service, void *userdata);
        /* All items are committed or dropped. */
        void (*drained)(IngestSource *s, void *userdata);
} IngestSourceHandler;

/* How many results an account may send to this instance. */
typedef struct IngestRate {
        uint64_t per_minute; /* 0: no limit */
        uint64_t burst;      /* how many at once, after a pause */
} IngestRate;

typedef struct IngestHandler {
        /* The committed changes of a transaction. */
        void (*changed)(const Changes *changes, void *userdata);
        /* A transaction was committed. */
        void (*committed)(void *userdata);
        /* A transaction failed; if the database reported it, it is tried again. */
        void (*failed)(int error, const char *message, void *userdata);
        /* The account (public id) sends more than it may, and is read more slowly; at most once a minute. May be
         * NULL. */
        void (*limited)(const char *user, const IngestRate *rate, void *userdata);
} IngestHandler;

typedef struct IngestSettings {
        bool history_changes_only; /* otherwise the history holds every result */
        unsigned grace_seconds;    /* how late a result may be before its service is stale */
        uint64_t refresh_usec;     /* results that change nothing are written at most this often; a quarter
                                    * of the grace, so that the times in the database are never older than
                                    * that */
} IngestSettings;

typedef struct IngestStats {
        uint64_t items;     /* committed */
        uint64_t batches;   /* committed */
        uint64_t unchanged; /* results without an update of a service */
        uint64_t failed;    /* batches that were not committed */
        uint64_t refused;   /* sources that ended because the database refused an item */
        Histogram commit;   /* from sending a batch to its commit */
} IngestStats;

/* db: borrowed; a pool of one connection, used only here. */
int ingest_new(sd_event *event, Db *db, const IngestSettings *settings, const IngestHandler *handler, void *userdata,
               Ingest **ret);
/* All sources must have been freed. */
Ingest *ingest_free(Ingest *i);
DEFINE_CLEANUP(Ingest *, ingest_free);

/* Call this when the database is back. */
void ingest_kick(Ingest *i);

/* Items queued or under way. */
size_t ingest_pending(Ingest *i);
/* Upper bound of the oldest item's age; usec, 0 if there are no items. */
uint64_t ingest_lag(Ingest *i);
/* Whether items wait because the database's last answer was a refusal. */
bool ingest_is_stalled(Ingest *i);
const IngestStats *ingest_stats(Ingest *i);

/* id, epoch and cursor (NULL for none) from the session's authentication; server and user are public ids. */
int ingest_source_new(Ingest *i, int64_t id, int64_t epoch, const char *server, const char *user, const char *cursor,
                      const IngestSourceHandler *handler, void *userdata, IngestSource **ret);
/* Drops queued items; the handler's functions are not called any more. */
IngestSource *ingest_source_free(IngestSource *s);
DEFINE_CLEANUP(IngestSource *, ingest_source_free);

/* Call it once, before anything is pushed; otherwise the source has no limit. -ENOMEM. */
int ingest_source_set_rate(IngestSource *s, const IngestRate *rate);
/* Whether throttled() has asked the caller to stop reading. */
bool ingest_source_is_paused(const IngestSource *s);

/* Another rate for an account; nothing happens if it has no sources. */
void ingest_set_rate(Ingest *i, const char *user, const IngestRate *rate);
/* Calls back for each account that has sources, or had some a while ago. Returns their number. */
int ingest_each_owner(Ingest *i, void (*callback)(const char *user, void *userdata), void *userdata);
/* The results of the account in the last full minute. */
uint64_t ingest_owner_rate(Ingest *i, const char *user);

/* Takes ownership of the list in any case. Never refuses for lack of room: throttled() asks the caller to
 * stop reading. */
void ingest_source_push(IngestSource *s, IngestItem *items_taken);
size_t ingest_source_pending(IngestSource *s);
/* The cursor of its last commit, or the one that it began with; borrowed, or NULL. And how many commits there were. */
const char *ingest_source_cursor(const IngestSource *s);
uint64_t ingest_source_commits(const IngestSource *s);

/* Acts as if another session had taken over, without calling ended(). */
void ingest_source_fence(IngestSource *s);
