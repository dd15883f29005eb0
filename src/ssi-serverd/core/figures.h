/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the database keeps: sizes, dead rows, the age of its transactions, free disk space. Read every minute, in the background; a
 * scrape or a property shows what was read last. */

#include "core/backend.h"

#define FIGURE_UNKNOWN UINT64_MAX
#define FIGURE_TABLES  64

typedef struct TableFigures {
        char name[64]; /* "events": all partitions */
        uint64_t table_bytes, index_bytes, live, dead;
        uint64_t waiting;  /* parts that autovacuum would clean now */
        uint64_t vacuumed; /* s since the epoch; 0: nothing to do, or never */
} TableFigures;

typedef struct DatabaseFigures {
        bool known; /* the following were read at least once */
        uint64_t bytes, age, age_limit, kept_wal, oldest_transaction;
        uint64_t disk_bytes, free_bytes; /* of the database's file system; FIGURE_UNKNOWN on another machine */
        TableFigures tables[FIGURE_TABLES];
        size_t n_tables;
} DatabaseFigures;

/* The database must be there. */
int figures_new(Backend *b, Figures **ret);
Figures *figures_free(Figures *f);

/* The last ones; the table of that name, or NULL. f may be NULL. */
const DatabaseFigures *figures_get(const Figures *f);
const TableFigures *figures_table(const DatabaseFigures *d, const char *name);
