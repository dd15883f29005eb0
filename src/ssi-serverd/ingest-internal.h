#pragma once

#include "ingest.h"

struct IngestSource {
        Ingest *ingest;
        unsigned n_ref; /* the owner's, and the batch's while items are under way */
        int64_t id, epoch;
        char *server, *user;
        const IngestSourceHandler *handler; /* NULL once the owner has freed it */
        void *userdata;
        IngestItem *items;
        size_t n_items, size;
        size_t n_in_flight;
        bool queued;    /* on the list of sources with items */
        bool ended;
        bool throttled;
        IngestSource *prev, *next;         /* sources with items */
        IngestSource *all_prev, *all_next; /* all sources */
};

/* What one transaction takes from one source. */
typedef struct BatchPart {
        IngestSource *source; /* a reference */
        IngestItem *items;
        size_t n_items;
        const char *cursor;   /* the last one of the items, or NULL */
        bool accepted;
} BatchPart;

typedef struct Batch {
        Ingest *ingest;
        bool inventory; /* all items are inventories, or none is */
        BatchPart *parts;
        size_t n_parts, n_items, size;
        unsigned n_retries;
} Batch;

/* Sends the batch as one statement. */
int batch_send(Batch *b, Db *db, const char *instance, db_callback_t callback, void *userdata);

/* Adds what the accepted parts changed; for an inventory, res names the services that it removed or changed. */
int batch_changes(const Batch *b, PGresult *res, Changes *changes);

/* Marks the parts that the statement found to be of the current session. */
void batch_mark_accepted(Batch *b, PGresult *res);
