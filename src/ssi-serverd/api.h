/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the REST handlers share: routes, authentication, queries that continue in the event loop. */

#include "api-field.h"
#include "json-util.h"
#include "server-internal.h"

typedef struct ApiRoute ApiRoute;

/* One request on its way. Lives as long as the request. */
typedef struct ApiCall {
        Server *server;
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
extern const ApiRoute api_agent_routes[];
extern const ApiRoute api_event_routes[];
extern const ApiRoute api_login_code_routes[];
extern const ApiRoute api_openapi_routes[];
extern const ApiRoute api_public_routes[];
extern const ApiRoute api_qr_routes[];
extern const ApiRoute api_server_routes[];
extern const ApiRoute api_service_routes[];
extern const ApiRoute api_session_routes[];
extern const ApiRoute api_timeline_routes[];
extern const ApiRoute api_token_routes[];
extern const ApiRoute api_channel_routes[];
extern const ApiRoute api_mail_routes[];
extern const ApiRoute api_notification_routes[];
extern const ApiRoute api_push_routes[];
extern const ApiRoute api_silence_routes[];
extern const ApiRoute api_user_routes[];

/* api-channel-test.c: a route of api-channels.c. */
void channel_test(ApiCall *c);

int api_register(Server *s, ApiRoutes **ret);
/* A line for each: method, pattern, who may (as in openapi.json). */
void api_list_routes(FILE *f);
ApiRoutes *api_routes_free(ApiRoutes *r);

/* Runs the statement and then c->done = done, holding the request meanwhile. When it can not even be sent, answers
 * 503. */
void api_query(ApiCall *c, const char *sql, unsigned n_params, const char *const *params,
               void (*done)(ApiCall *c, PGresult *res, int error));

/* Answers what went wrong: 503 for a missing database, 500 else. */
void api_fail(ApiCall *c, PGresult *res, int error);

void api_respond_not_found(ApiCall *c);
/* 429 with Retry-After. */
void api_respond_busy(ApiCall *c, uint64_t seconds);

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

/* api-auth.c: finds out who asks, from the Authorization header, and calls the route's handler, or answers 401 or 403. */
void api_authenticate(ApiCall *c);

uint64_t api_now(void); /* s since the epoch */
