/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* PostgreSQL arrays in text form, for statements that unnest() many rows at once. */

#include "shared/util.h"

typedef struct DbArray {
        char *text;
        size_t n, allocated;
        bool oom; /* sticky: checked once, by db_array_done() */
} DbArray;

/* Append one element; a NULL string and db_array_null() append a null. usec is a time since the epoch;
 * USEC_INFINITY appends a null. */
void db_array_text(DbArray *a, const char *s);
void db_array_int(DbArray *a, int64_t value);
void db_array_bool(DbArray *a, bool value);
void db_array_time(DbArray *a, uint64_t usec);
void db_array_null(DbArray *a);

/* Returns the whole literal, borrowed until the array is freed; NULL if memory ran out on the way. */
const char *db_array_done(DbArray *a);
void db_array_free(DbArray *a);

/* Frees n arrays. */
void db_arrays_free(DbArray *a, size_t n);
