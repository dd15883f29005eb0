/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The checks of what clients send, all in one place: types, sizes, characters. A function that returns NULL or false has
 * answered 400 invalid-request. Whatever is returned is borrowed from the request. Bodies and paths are valid UTF-8
 * already. */

#include "db/array.h"
#include "model/rules.h"
#include "shared/json-util.h"

typedef struct ApiCall ApiCall;

/* 400 invalid-request. */
_printf_(2, 3) void api_invalid(ApiCall *c, const char *format, ...);

/* A string of the body, min to max bytes. */
const char *api_body_string(ApiCall *c, json_object *body, const char *key, size_t min, size_t max);
/* The same for what is shown in one line: no control characters. */
const char *api_body_line(ApiCall *c, json_object *body, const char *key, size_t min, size_t max);
/* A plausible e-mail address. */
const char *api_body_email(ApiCall *c, json_object *body);
/* A password that somebody chooses now. */
const char *api_body_new_password(ApiCall *c, json_object *body, const char *key);
/* A password that has to be the one that was chosen. */
const char *api_body_password(ApiCall *c, json_object *body, const char *key);
/* The array of labels; without one ret stays empty. */
bool api_body_labels(ApiCall *c, json_object *body, DbArray *ret);

/* ---- Of the query; absent is fine and gives NULL. ---- */

/* Words with commas between, each one of the NULL-terminated list, as PostgreSQL's text form of an array. */
typedef struct ApiWords {
        char text[128];
        const char *array; /* text, or NULL */
} ApiWords;
bool api_query_words(ApiCall *c, const char *key, const char *const *known, ApiWords *ret);
/* One line of at most max bytes. */
bool api_query_line(ApiCall *c, const char *key, size_t max, const char **ret);
/* A time of RFC 3339. */
bool api_query_time(ApiCall *c, const char *key, const char **ret);

