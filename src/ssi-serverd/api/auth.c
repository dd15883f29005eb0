/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/auth.h"
#include "auth/token.h"
#include "auth/key-ring.h"
#include "http/rate-limit.h"
#include "shared/time-util.h"
#include "api/auth.sql.h"

/* Two kinds of bearer:
 *
 * - An access token proves by its signature its user and session. Then one statement checks that the session is
 *   still alive: logging out, changing the password and deleting the account take effect at once, not when the token
 *   expires.
 * - An API token is looked up by its hash, and must have the scope of the route. */

/* A stream opened with an API token is closed, to be authorized again, after at most this time. */
#define STREAM_MAX_SEC (24 * 3600)

/* How long after the user has proved who they are the routes of API_RECENT ask for no new proof. */
#define RECENT_SEC 600

/* Made-up tokens cost a query each. Access tokens with a signature of ours are no guesses and never held up. */
static bool may_ask(ApiCall *c)
{
        RateLimit *l = c->backend->refusals;
        uint64_t wait = l ? rate_limit_check(l, c->network, 0, now_usec(CLOCK_MONOTONIC)) : 0;

        if (wait > 0)
                api_respond_busy(c, wait);
        return wait == 0;
}

static void respond_unauthorized(ApiCall *c)
{
        if (!may_ask(c))
                return;
        if (c->backend->refusals)
                rate_limit_count(c->backend->refusals, c->network, now_usec(CLOCK_MONOTONIC));
        (void) http_respond_add_header(c->req, "WWW-Authenticate", "Bearer");
        http_respond_problem(c->req, 401, "unauthorized", "Authenticate with a valid access token.");
}

static bool is_for_sessions(ApiAccess a)
{
        return a == API_ACCOUNT || a == API_RECENT || a == API_ADMIN || a == API_ADMIN_RECENT;
}

static void respond_forbidden(ApiCall *c)
{
        if (is_for_sessions(c->route->access)) {
                http_respond_problem(c->req, 403, "session-required",
                                     "No API token can do this, whatever its scopes: log in, and send the access token "
                                     "that you get.");
                return;
        }
        (void) http_respond_add_header(c->req, "WWW-Authenticate", "Bearer error=\"insufficient_scope\"");
        http_respond_problem(c->req, 403, "insufficient-scope", "The API token lacks the scope for this request.");
}

static bool may_use_replica(const ApiCall *c)
{
        return c->backend->replica && c->route->from_replica;
}

static void keep_position(ApiCall *c, PGresult *res, int column)
{
        snprintf(c->position, sizeof(c->position), "%s", PQgetvalue(res, 0, column));
}

/* ---- API tokens ---- */

/* The row: the user's id, the token's expiry or null, whether the token has the scope, its id and name, the position. */
static void api_token_found(ApiCall *c, PGresult *res, int error)
{
        uint64_t limit = api_now() + STREAM_MAX_SEC;

        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        if (PQntuples(res) == 0) {
                respond_unauthorized(c);
                api_refused(c, "api-token.refused", AUDIT_REFUSED, "token");
                return;
        }
        c->user = strdup(PQgetvalue(res, 0, 0));
        if (!streq(PQgetvalue(res, 0, 2), "t")) {
                respond_forbidden(c);
                api_refused(c, "api-token.no-scope", AUDIT_REFUSED, "token");
                return;
        }
        c->token_id = strdup(PQgetvalue(res, 0, 3));
        c->token_name = strdup(PQgetvalue(res, 0, 4));
        if (!c->user || !c->token_id || !c->token_name) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        keep_position(c, res, 5);
        c->token_expires = PQgetisnull(res, 0, 1) ? limit : MIN(limit, strtoull(PQgetvalue(res, 0, 1), NULL, 10));
        api_run(c);
}

static void authenticate_api_token(ApiCall *c, const char *token)
{
        static const char *const scopes[] = {
                [API_ACCOUNT] = "{}",      [API_RECENT] = "{}",
                [API_OPEN] = "{}",         [API_ADMIN] = "{}",
                [API_ADMIN_RECENT] = "{}", [API_READ] = "{read}",
                [API_WRITE] = "{write}",   [API_REGISTER] = "{write,servers:register}",
        };
        char hash[TOKEN_HASH_MAX];

        if (!may_ask(c))
                return;
        token_hash(token, hash);

        api_query(c,
                  SQL(authenticate_api_token, .hash = hash, .scopes = scopes[c->route->access],
                      .replica = sql_bool(may_use_replica(c))),
                  api_token_found);
}

/* ---- Access tokens ---- */

static void respond_reauthenticate(ApiCall *c)
{
        http_respond_problem(c->req, 403, "reauthentication-required",
                             "This needs your password again: send it to POST /api/v1/users/me/reauthenticate first.");
}

static bool needs_administrator(const ApiCall *c)
{
        return c->route->access == API_ADMIN || c->route->access == API_ADMIN_RECENT;
}

static bool needs_proof(const ApiCall *c)
{
        return c->route->access == API_RECENT || c->route->access == API_ADMIN_RECENT;
}

static void refuse_stranger(ApiCall *c)
{
        http_respond_problem(
                c->req, 403, "administrator-required",
                "Only administrators of this server may do this. \"ssictl server grant-admin\" makes one.");
        api_refused(c, "administration.refused", AUDIT_REFUSED, "session");
}

/* The row: whether the user has authenticated recently, the position, whether it is an administrator. */
static void session_found(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                respond_unauthorized(c);
        else if (needs_administrator(c) && !streq(PQgetvalue(res, 0, 2), "t"))
                refuse_stranger(c);
        else if (needs_proof(c) && !streq(PQgetvalue(res, 0, 0), "t"))
                respond_reauthenticate(c);
        else {
                keep_position(c, res, 1);
                api_run(c);
        }
}

static void look_up_session(ApiCall *c)
{
        api_query(c,
                  SQL(look_up_session, .session = c->session, .user = c->user, .recent = STRINGIFY(RECENT_SEC),
                      .replica = sql_bool(may_use_replica(c))),
                  session_found);
}

static void authenticate_access_token(ApiCall *c, const char *token, bool last);

static void on_keys_read(int error, void *userdata)
{
        ApiCall *c = userdata;
        HttpRequest *req = c->req;

        if (error < 0)
                api_fail(c, NULL, -ENOTCONN);
        else
                authenticate_access_token(c, api_bearer(c), true);
        http_request_unref(req);
}

static void authenticate_access_token(ApiCall *c, const char *token, bool last)
{
        AccessToken t;
        int r;

        if (!key_ring_is_ready(c->backend->keys)) {
                api_fail(c, NULL, -ENOTCONN);
                return;
        }
        r = key_ring_check(c->backend->keys, token, last, api_now(), &t);
        if (r == -EAGAIN) {
                if (!may_ask(c))
                        return;
                http_request_ref(c->req);
                r = key_ring_wait(c->backend->keys, c->network, on_keys_read, c);
                if (r < 0) {
                        api_respond_busy(c, 1);
                        http_request_unref(c->req);
                }
        } else if (r == -EACCES)
                respond_unauthorized(c);
        else if (r < 0)
                api_fail(c, NULL, r);
        else {
                c->user = t.user;
                c->session = t.session;
                c->token_expires = t.expires;
                look_up_session(c);
        }
}

const char *api_bearer(ApiCall *c)
{
        const char *header = http_request_authorization(c->req);

        return header && strncasecmp(header, "Bearer ", strlen("Bearer ")) == 0 ? header + strlen("Bearer ") : NULL;
}

void api_authenticate(ApiCall *c)
{
        const char *token = api_bearer(c);

        if (!token)
                respond_unauthorized(c);
        else if (startswith(token, "ssi_" API_TOKEN_KIND "_"))
                authenticate_api_token(c, token);
        else
                authenticate_access_token(c, token, false);
}
