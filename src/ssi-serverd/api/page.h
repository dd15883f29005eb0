/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lists come in pages: ?limit= says how many, and ?after= holds the key of the last element of the page before, as the
 * Link header of that page gave it. What it means is ours alone. */

#include <libpq-fe.h>

#include "shared/util.h"

#define API_PAGE_DEFAULT  100
#define API_PAGE_MAX      1000
#define API_PAGE_KEYS_MAX 5

typedef struct ApiCall ApiCall;

typedef struct ApiPage {
        char limit[8];
        const char *keys[API_PAGE_KEYS_MAX]; /* strings; NULL on the first page. Live as long as the call */
} ApiPage;

/* kinds: a letter per part of the key, 't' for text and 'n' for a number. Returns false when it has answered 400. */
bool api_page_parse(ApiCall *c, const char *kinds, ApiPage *ret);

/* A done function: the row is the array, the number of elements, the key of the last as a JSON array of strings. Without
 * a row 404. */
void api_page_done(ApiCall *c, PGresult *res, int error);
