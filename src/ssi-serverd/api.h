#pragma once

/* What the REST handlers share: routes, authentication, queries that continue in the event loop. */

#include "json-util.h"
#include "server-internal.h"

/* One request on its way. Lives as long as the request. */
typedef struct ApiCall {
        Server *server;
        HttpRequest *req;       /* borrowed: the request owns the call */
        char *user;             /* public id of the authenticated user; NULL on open routes */
        uint64_t token_expires; /* s since the epoch */
        char *text[2];          /* for the handler's own use, freed with it */
        void (*done)(struct ApiCall *c, PGresult *res, int error);
} ApiCall;

typedef struct ApiRoute {
        const char *method, *pattern;
        bool open; /* needs no access token */
        void (*handler)(ApiCall *c);
} ApiRoute;

/* Ends with a row of NULLs. One table per api-*.c. */
extern const ApiRoute api_agent_routes[];
extern const ApiRoute api_qr_routes[];
extern const ApiRoute api_server_routes[];
extern const ApiRoute api_timeline_routes[];
extern const ApiRoute api_user_routes[];

int api_register(Server *s, ApiRoutes **ret);
ApiRoutes *api_routes_free(ApiRoutes *r);

/* Runs the statement and then c->done = done, holding the request meanwhile. When it can not even be sent, answers
 * 503. */
void api_query(ApiCall *c, const char *sql, unsigned n_params, const char *const *params,
               void (*done)(ApiCall *c, PGresult *res, int error));

/* Answers what went wrong: 503 for a missing database, 500 else. */
void api_fail(ApiCall *c, PGresult *res, int error);

/* done functions: answer the first value of the first row as JSON; without a row 404. */
void api_done_200(ApiCall *c, PGresult *res, int error);

/* 400 invalid-request. */
_printf_(2, 3) void api_invalid(ApiCall *c, const char *format, ...);

/* A string of the body, min to max bytes; when it is not that, answers 400 and returns NULL. Borrowed. */
const char *api_body_string(ApiCall *c, json_object *body, const char *key, size_t min, size_t max);

uint64_t api_now(void); /* s since the epoch */
