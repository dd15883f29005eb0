/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/mail.h"
#include "api/page.h"
#include "api/session.h"
#include "auth/token.h"
#include "auth/key-ring.h"
#include "api/field.h"
#include "notify/notifier.h"
#include "api/sessions.sql.h"

/* A session is a chain of refresh tokens, each used once, of which only the last is valid. If a used token
 * comes again, two parties have it, and we cannot tell which is legitimate: the session ends. One exception:
 * for 30 seconds, the token that was replaced last gets its successor again, since the page may have been
 * reloaded before it received the answer. This opens no second chain: both parties then have the same
 * successor, and the second use of that ends the session. */

#define USER_AGENT_MAX 200

static void respond_tokens(ApiCall *c, const char *refresh_token)
{
        _cleanup_free_ char *token = NULL;
        _cleanup_json_ json_object *o = NULL;

        o = json_object_new_object();
        if (!o || key_ring_sign(c->backend->keys, c->user, c->session, api_now(), &token) < 0 ||
            json_add_string(o, "access_token", token) < 0 || json_add_string(o, "refresh_token", refresh_token) < 0 ||
            json_add_string(o, "token_type", "Bearer") < 0 ||
            json_add_int64(o, "expires_in", ACCESS_TOKEN_LIFETIME) < 0) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        http_respond_json(c->req, 200, TAKE_PTR(o));
}

/* ---- Login ---- */

/* The row: the user, and whether others of their sessions had to end. text[0]: the refresh token. */
static void session_made(ApiCall *c, PGresult *res, int error)
{
        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        if (PQntuples(res) == 0) {
                c->refuse(c);
                return;
        }
        free(c->user);
        c->user = strdup(PQgetvalue(res, 0, 0));
        if (!c->user) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        notifier_kick(c->backend->notifier);
        if (*PQgetvalue(res, 0, 1) == 't')
                backend_publish_one(c->backend, CHANGE_ACCOUNT, c->user, "-", NULL);
        backend_publish_one(c->backend, CHANGE_LOGIN, c->user, "-", NULL);
        respond_tokens(c, c->text[0]);
}

void api_session_start(ApiCall *c, const char *sql, const char *method, const char *proof, const char *second,
                       void (*refuse)(ApiCall *c))
{
        _cleanup_free_ char *agent = NULL;
        char id[ID_MAX], token[TOKEN_MAX], hash[TOKEN_HASH_MAX];
        const char *user_agent = strempty(http_request_user_agent(c->req)), *actor = api_actor_by(c, method);

        id_new("ses", id);
        token_new("refresh", token);
        token_hash(token, hash);
        agent = utf8_sanitize(user_agent, strlen(user_agent), USER_AGENT_MAX, NULL);
        free(c->text[0]);
        c->text[0] = strdup(token);
        c->session = strdup(id);
        c->refuse = refuse;
        if (!agent || !c->text[0] || !c->session) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }

        const char *params[] = {
                proof, id, hash, agent, http_request_peer(c->req), c->network, sql_bool(api_has_mail(c)), actor, second
        };

        api_query(c, sql, second ? 9 : 8, params, session_made);
}

/* ---- Refresh and log-out ---- */

/* The body's refresh token; NULL if it has answered. */
static const char *parse_refresh_token(ApiCall *c)
{
        json_object *body = http_request_json(c->req);

        return body ? api_body_string(c, body, "refresh_token", 1, 256) : NULL;
}

/* The row: verdict, user, session, the sealed successor. text[0]: the new token. */
static void refresh_done(ApiCall *c, PGresult *res, int error)
{
        const char *verdict, *old = json_get_string(http_request_json(c->req), "refresh_token");
        char successor[TOKEN_MAX];

        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        verdict = PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : "unknown";
        if (streq(verdict, "good") ||
            (streq(verdict, "again") && token_open(PQgetvalue(res, 0, 3), old, successor) >= 0)) {
                c->user = strdup(PQgetvalue(res, 0, 1));
                c->session = strdup(PQgetvalue(res, 0, 2));
                if (c->user && c->session)
                        respond_tokens(c, streq(verdict, "good") ? c->text[0] : successor);
                else
                        api_fail(c, NULL, -ENOMEM);
                return;
        }
        if (streq(verdict, "reused"))
                backend_publish_one(c->backend, CHANGE_ACCOUNT, PQgetvalue(res, 0, 1), "-", NULL);
        else if (streq(verdict, "unknown"))
                api_refused(c, "session.refused", AUDIT_REFUSED, "refresh token");
        http_respond_problem(c->req, 401, "bad-refresh-token",
                             "The refresh token is unknown, used or expired; log in again.");
}

static void refresh(ApiCall *c)
{
        char old[TOKEN_HASH_MAX], chain[TOKEN_HASH_MAX], new[TOKEN_MAX], new_hash[TOKEN_HASH_MAX],
                sealed[TOKEN_SEALED_MAX];
        const char *token;

        token = parse_refresh_token(c);
        if (!token)
                return;
        token_hash(token, old);
        token_chain_hash(token, chain);
        token_new("refresh", new);
        token_chain(new, token);
        token_hash(new, new_hash);
        token_seal(new, token, sealed);
        c->text[0] = strdup(new);
        if (!c->text[0]) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }

        /* The session's row is locked, so of two concurrent uses the second sees the effect of the first. */
        api_query(c,
                  SQL(refresh, .old = old, .chain = chain, .new_hash = new_hash, .sealed = sealed,
                      .address = http_request_peer(c->req), .actor = api_actor_by(c, "refresh token")),
                  refresh_done);
}

/* The row: the user whose sessions ended. */
static void ended(ApiCall *c, PGresult *res, int error)
{
        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        if (PQntuples(res) > 0)
                backend_publish_one(c->backend, CHANGE_ACCOUNT, PQgetvalue(res, 0, 0), "-", NULL);
        http_respond_empty(c->req, 204);
}

static void logout(ApiCall *c)
{
        const char *token = parse_refresh_token(c);
        char hash[TOKEN_HASH_MAX], chain[TOKEN_HASH_MAX];

        if (!token)
                return;
        token_hash(token, hash);
        token_chain_hash(token, chain);

        api_query(c, SQL(logout, .hash = hash, .chain = chain, .actor = api_actor_by(c, "refresh token")), ended);
}

/* ---- The list ---- */

static void list_sessions(ApiCall *c)
{
        ApiPage page;

        if (!api_page_parse(c, "n", &page))
                return;

        api_query(
                c,
                SQL(list_sessions, .user = c->user, .session = c->session, .limit = page.limit, .after = page.keys[0]),
                api_page_done);
}

static void end_session_done(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) == 0)
                api_respond_not_found(c);
        else
                ended(c, res, error);
}

static void end_session(ApiCall *c)
{
        api_query(c,
                  SQL(end_session, .user = c->user, .session_id = http_request_param(c->req, "session_id"),
                      .actor = api_actor(c)),
                  end_session_done);
}

static void end_all_sessions(ApiCall *c)
{
        static const char *const known[] = { "current", NULL };
        ApiWords keep;

        if (!api_query_words(c, "keep", known, &keep))
                return;
        api_query(c,
                  SQL(end_all_sessions, .user = c->user, .keep = keep.array ? c->session : NULL, .actor = api_actor(c)),
                  ended);
}

const ApiRoute api_session_routes[] = {
        { "POST", "/api/v1/users/refresh", API_OPEN, refresh },
        { "POST", "/api/v1/users/logout", API_OPEN, logout },
        { "GET", "/api/v1/sessions", API_ACCOUNT, list_sessions },
        { "DELETE", "/api/v1/sessions", API_ACCOUNT, end_all_sessions },
        { "DELETE", "/api/v1/sessions/:session_id", API_ACCOUNT, end_session },
        {},
};
