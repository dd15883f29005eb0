/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Parsed and checked reports of an agent: the units of ingestion. */

#include "shared/status.h"
#include "shared/util.h"

typedef enum IngestKind {
        INGEST_RESULT,
        INGEST_ERROR,
        INGEST_GAP,
        INGEST_INVENTORY,
        INGEST_RESUME, /* the agent could not send the following items when they happened */
        INGEST_LIVE,   /* the end of those */
} IngestKind;

typedef struct InventoryService {
        char *name;
        char *title, *schedule;     /* or NULL */
        char *metadata;             /* an object as JSON, or NULL */
        char *watches, *depends_on; /* arrays as PostgreSQL writes them, or NULL */
        int64_t timeout_ms;         /* -1: unknown */
        uint64_t next_run;          /* usec; USEC_INFINITY: none */
        bool enabled;
        bool write; /* set by ingestion: not in the database yet */
} InventoryService;

/* An item's texts, each or NULL. */
typedef struct IngestText {
        const char *service;    /* results and errors */
        const char *message;    /* results */
        const char *error_kind; /* errors */
        const char *error_detail;
        const char *invocation_id;
        const char *cursor;
} IngestText;

/* Its strings are stored inside it: one allocation per result, next to the data read with it. */
typedef struct IngestItem {
        IngestKind kind;
        Status status; /* results */
        IngestText text;
        uint64_t timestamp;  /* usec; for a gap its end */
        uint64_t gap_from;   /* usec; USEC_INFINITY: unknown */
        int64_t duration_ms; /* -1: unknown */
        InventoryService *services;
        size_t n_services;

        bool replay; /* set by ingestion: came between RESUME and LIVE */
        bool keep;   /* belongs in the history */
        bool whole;  /* an inventory that may remove services */
        size_t size; /* including its strings */
        struct IngestItem *prev, *next;
        char strings[];
} IngestItem;

/* Copies text, which may be NULL. NULL when out of memory. */
IngestItem *ingest_item_new(IngestKind kind, const IngestText *text);
IngestItem *ingest_item_free(IngestItem *item);
DEFINE_CLEANUP(IngestItem *, ingest_item_free);

/* Frees a whole list (utlist.h). */
void ingest_items_free(IngestItem *list);

/* Approximate memory usage. */
size_t ingest_item_size(const IngestItem *item);
