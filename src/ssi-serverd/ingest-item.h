#pragma once

/* What an agent reports, parsed and checked: the units of ingestion. */

#include "status.h"
#include "util.h"

typedef enum IngestKind {
        INGEST_RESULT,
        INGEST_ERROR,
        INGEST_GAP,
        INGEST_INVENTORY,
        INGEST_RESUME, /* what follows was kept while the agent could not send it */
        INGEST_LIVE,   /* the end of that */
} IngestKind;

typedef struct InventoryService {
        char *name;
        char *title, *description, *version, *schedule; /* or NULL */
        char *watches, *depends_on;                     /* arrays as PostgreSQL writes them, or NULL */
        int64_t timeout_ms;                             /* -1: unknown */
        uint64_t next_run;                              /* usec; USEC_INFINITY: none */
        bool enabled;
        bool write;                                     /* ingestion's: not in the database yet */
} InventoryService;

/* Owns its strings. */
typedef struct IngestItem {
        IngestKind kind;
        char *service;       /* results and errors */
        Status status;       /* results */
        char *message;
        char *error_kind;    /* errors */
        char *error_detail;
        uint64_t timestamp;  /* usec; for a gap its end */
        uint64_t gap_from;   /* usec; USEC_INFINITY: unknown */
        int64_t duration_ms; /* -1: unknown */
        char *invocation_id; /* or NULL */
        char *cursor;        /* or NULL */
        InventoryService *services;
        size_t n_services;

        bool replay;         /* ingestion's: comes between RESUME and LIVE */
        bool keep;           /* belongs into the history */
        bool whole;          /* an inventory that may remove services */
        struct IngestItem *prev, *next;
} IngestItem;

/* NULL when out of memory. */
IngestItem *ingest_item_new(IngestKind kind);
IngestItem *ingest_item_free(IngestItem *item);
DEFINE_CLEANUP(IngestItem *, ingest_item_free);

/* Frees a whole list (utlist.h). */
void ingest_items_free(IngestItem *list);

/* Roughly the memory that it takes. */
size_t ingest_item_size(const IngestItem *item);
