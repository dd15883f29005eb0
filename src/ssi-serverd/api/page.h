/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Paging of lists: ?limit= is the size of a page, and ?after= the key of the previous page's last element,
 * as given by the Link header of that page. The key is opaque to clients. */

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

/* kinds: a letter per part of the key, 't' for text and 'n' for a number. Returns false if it has answered
 * with 400. */
bool api_page_parse(ApiCall *c, const char *kinds, ApiPage *ret);

/* A done function: the row is the array, the number of elements, and the key of the last one as a JSON array
 * of strings. Answers 404 if there is no row. */
void api_page_done(ApiCall *c, PGresult *res, int error);
