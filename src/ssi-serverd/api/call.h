/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A call of the REST API: the data that all handlers share, and queries that continue in the event loop. */

#include "shared/json-util.h"
#include "auth/throttle.h"
#include "core/replica.h"
#include "model/audit.h"
#include "shared/network.h"

typedef struct ApiRoute ApiRoute;

/* A request in progress. Freed with the request. */
typedef struct ApiCall {
        Backend *backend;
        HttpRequest *req; /* borrowed: the request owns the call */
        const ApiRoute *route;
        const char *role;          /* that the route needs in a team; NULL: it is about none */
        char network[NETWORK_MAX]; /* of the client */
        LoginAttempt *attempt;
        char *user;                          /* public id of the authenticated user; NULL on open routes */
        char *session;                       /* public id of the login; NULL with an API token */
        uint64_t token_expires;              /* s since the epoch */
        char *token_id, *token_name;         /* of the API token; NULL with a login */
        char *actor;                         /* of api_actor() */
        char position[REPLICA_POSITION_MAX]; /* of the database when the call was authenticated; "": not known */
        unsigned page_limit;                 /* of lists: api/page.h */
        json_object *page_key;
        bool running;                          /* its handler: it is authenticated */
        const char *about_server, *about_team; /* which the body names, for api_respond_not_found(); borrowed */
        uint64_t seen;                         /* of an event stream that is being opened */
        char *text[2];                         /* for the handler's own use, freed with it */
        void (*done)(struct ApiCall *c, PGresult *res, int error);
        void (*refuse)(struct ApiCall *c); /* of api_session_start() */
        struct ApiCall *next;              /* of /readyz */
} ApiCall;

/* Access: logged-in users have all of it (API_OPEN: everybody), an API token needs the scope. */
typedef enum ApiAccess {
        API_ACCOUNT, /* never with an API token */
        API_RECENT,  /* the same, and the user has authenticated within the last minutes (docs/adr/0049) */
        API_ADMIN,   /* as API_ACCOUNT, by an administrator of the backend (docs/adr/0060) */
        API_ADMIN_RECENT,
        API_OPEN,
        API_READ,
        API_WRITE,
        API_REGISTER, /* servers:register or write */
} ApiAccess;

struct ApiRoute {
        const char *method, *pattern;
        ApiAccess access;
        void (*handler)(ApiCall *c);
        bool from_replica; /* the handler only reads, and a read replica may answer its statements */
};

/* The last one has only NULLs. One table per file. */

/* Makes the call of a request, which owns and frees it. NULL when out of memory. */
ApiCall *api_call_new(Backend *b, HttpRequest *req, const ApiRoute *route, const char *role);

/* Runs the statement and then c->done = done, and holds the request until then. If the statement cannot be
 * sent, answers with 503. */
void api_query(ApiCall *c, const char *sql, unsigned n_params, const char *const *params,
               void (*done)(ApiCall *c, PGresult *res, int error));

/* For operations of model/: holds the request until done; api_act_done is the operation's callback, with the
 * call as userdata. r: the operation's return value; an error is answered. */
void api_act_begin(ApiCall *c, void (*done)(ApiCall *c, PGresult *res, int error));
void api_act_done(PGresult *res, int error, void *userdata);
void api_act_begun(ApiCall *c, int r);

/* Answers a failure: 503 if the database is unavailable, otherwise 500. */
void api_fail(ApiCall *c, PGresult *res, int error);

/* For statements about what belongs to a team (model/team.sql): who calls, and the role that the route needs. */
#define API_CALLER(c)  .user = (c)->user, .role = (c)->role
#define API_LEAST_ROLE "viewer"

/* Answers 404; or 403 if the caller may see it, but has too small a role. */
void api_respond_not_found(ApiCall *c);
/* Answers 429 with Retry-After. */
void api_respond_busy(ApiCall *c, uint64_t seconds);
/* Answers an error of password_hash() or password_verify(): busy, or out of memory. */
void api_respond_password_failure(ApiCall *c, int r);

/* Calls the route's handler, unless its client sends too many requests. */
void api_run(ApiCall *c);

/* done functions: answer with the first value of the first row as JSON, or with 404 if there is no row. */
void api_done_200(ApiCall *c, PGresult *res, int error);
/* The same without a body. */
void api_done_204(ApiCall *c, PGresult *res, int error);

/* The token after "Bearer" in the Authorization header; NULL if there is none. Borrowed. */
const char *api_bearer(ApiCall *c);

/* The kind of API tokens for token_new(). */
#define API_TOKEN_KIND "api"

uint64_t api_now(void); /* s since the epoch */

/* For the parameter actor of a statement that records an act (model/audit.h): who calls, by session or API token; or
 * with another proof (method; NULL: none, a stranger asks). NULL when out of memory, with which the statement fails. Lives as long as the call, or until it is
 * asked for again. */
const char *api_actor(ApiCall *c);
const char *api_actor_by(ApiCall *c, const char *method);

/* Records a refusal, concerning the account c->user if it is set. The texts are constants. */
void api_refused(ApiCall *c, const char *event, const char *outcome, const char *method);
