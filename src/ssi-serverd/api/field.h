/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Checks the input from clients, all in one place: types, sizes, characters. A function that returns NULL or
 * false has answered with 400 invalid-request. Returned values are borrowed from the request. Bodies and
 * paths are valid UTF-8 already. */

#include "db/array.h"
#include "model/rules.h"
#include "shared/json-util.h"

typedef struct ApiCall ApiCall;

/* Answers 400 invalid-request. */
_printf_(2, 3) void api_invalid(ApiCall *c, const char *format, ...);

/* A string of the body, min to max bytes long. */
const char *api_body_string(ApiCall *c, json_object *body, const char *key, size_t min, size_t max);
/* The same for a text shown on one line: no control characters. */
const char *api_body_line(ApiCall *c, json_object *body, const char *key, size_t min, size_t max);
/* A name for a server (model/rules.h). */
const char *api_body_server_name(ApiCall *c, json_object *body, const char *key);
/* A plausible e-mail address. new: for an account that is being created. */
const char *api_body_email(ApiCall *c, json_object *body, bool new);
/* A newly chosen password. email: NULL if it is not known yet. */
const char *api_body_new_password(ApiCall *c, json_object *body, const char *key, const char *email);
/* The same for one that is known to be a string. */
bool api_check_new_password(ApiCall *c, const char *password, const char *email);
/* A password to be checked against the chosen one. */
const char *api_body_password(ApiCall *c, json_object *body, const char *key);
/* The optional team for which something is made: sets c->about_team, which stays NULL for the caller's personal one. */
bool api_body_team(ApiCall *c, json_object *body);
/* The array of labels; ret stays empty if it is absent. */
bool api_body_labels(ApiCall *c, json_object *body, DbArray *ret);

/* ---- Query parameters. If one is absent, this succeeds with NULL. ---- */

/* Comma-separated words, each from the NULL-terminated list, as PostgreSQL's text form of an array. */
typedef struct ApiWords {
        char text[128];
        const char *array; /* text, or NULL */
} ApiWords;
bool api_query_words(ApiCall *c, const char *key, const char *const *known, ApiWords *ret);
/* One line of at most max bytes. */
bool api_query_line(ApiCall *c, const char *key, size_t max, const char **ret);
/* The id of a team, of which alone the list is asked for. */
bool api_query_team(ApiCall *c, const char **ret);
/* An RFC 3339 time. */
bool api_query_time(ApiCall *c, const char *key, const char **ret);
