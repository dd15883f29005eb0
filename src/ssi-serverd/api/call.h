/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One call of the REST API: what all handlers share, and queries that continue in the event loop. */

#include "shared/json-util.h"
#include "core/backend.h"

typedef struct ApiRoute ApiRoute;

/* One request on its way. Lives as long as the request. */
typedef struct ApiCall {
        Backend *backend;
        HttpRequest *req;       /* borrowed: the request owns the call */
        const ApiRoute *route;
        char *user;             /* public id of the authenticated user; NULL on open routes */
        char *session;          /* public id of the login; NULL with an API token */
        uint64_t token_expires; /* s since the epoch */
        unsigned page_limit;    /* of lists: api-page.h */
        json_object *page_key;
        char *text[2];          /* for the handler's own use, freed with it */
        void (*done)(struct ApiCall *c, PGresult *res, int error);
        void (*refuse)(struct ApiCall *c); /* of api_session_start() */
} ApiCall;

/* Who may: a logged-in user always (API_OPEN: anybody), an API token when it has the scope. */
typedef enum ApiAccess {
        API_ACCOUNT, /* no API token at all */
        API_OPEN,
        API_READ,
        API_WRITE,
        API_REGISTER, /* servers:register or write */
} ApiAccess;

struct ApiRoute {
        const char *method, *pattern;
        ApiAccess access;
        void (*handler)(ApiCall *c);
};

/* Ends with a row of NULLs. One table per api-*.c. */

/* One call for one request, which frees it. NULL when out of memory. */
ApiCall *api_call_new(Backend *b, HttpRequest *req, const ApiRoute *route);

/* Runs the statement and then c->done = done, holding the request meanwhile. When it can not even be sent, answers
 * 503. */
void api_query(ApiCall *c, const char *sql, unsigned n_params, const char *const *params,
               void (*done)(ApiCall *c, PGresult *res, int error));

/* For acts of model/: holds the request until done; api_act_done is the act's callback, with the call. r: what the act returned; an error is answered. */
void api_act_begin(ApiCall *c, void (*done)(ApiCall *c, PGresult *res, int error));
void api_act_done(PGresult *res, int error, void *userdata);
void api_act_begun(ApiCall *c, int r);

/* Answers what went wrong: 503 for a missing database, 500 else. */
void api_fail(ApiCall *c, PGresult *res, int error);

void api_respond_not_found(ApiCall *c);
/* 429 with Retry-After. */
void api_respond_busy(ApiCall *c, uint64_t seconds);
/* What password_hash() or password_verify() returned: busy, or out of memory. */
void api_respond_password_failure(ApiCall *c, int r);

/* Calls the route's handler unless too many requests come from there. */
void api_run(ApiCall *c);

/* done functions: answer the first value of the first row as JSON; without a row 404. */
void api_done_200(ApiCall *c, PGresult *res, int error);
/* The same without a body. */
void api_done_204(ApiCall *c, PGresult *res, int error);

/* What the Authorization header carries after "Bearer"; NULL without. Borrowed. */
const char *api_bearer(ApiCall *c);

/* The kind of token_new() of API tokens. */
#define API_TOKEN_KIND "api"

uint64_t api_now(void); /* s since the epoch */
