/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/page.h"
#include "api/session.h"
#include "api/sql.h"
#include "auth/token.h"
#include "auth/key-ring.h"
#include "api/field.h"

/* A session is a chain of refresh tokens, each used once, of which only the last is good. Where a token that was used
 * before comes again it is in two hands, and nobody knows whose are the right ones: the session ends. One exception: for
 * REFRESH_GRACE the token that was replaced last gets its successor once more, since the page that asked first may have
 * been reloaded before it had the answer. This opens no second chain: both have the same successor then, and who comes
 * second with that ends the session. */

#define REFRESH_GRACE  "interval '30 seconds'"
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

/* The row: the user. text[0]: the refresh token. */
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
        backend_publish_one(c->backend, CHANGE_LOGIN, c->user, "-", NULL);
        respond_tokens(c, c->text[0]);
}

void api_session_start(ApiCall *c, const char *sql, const char *first, const char *second, void (*refuse)(ApiCall *c))
{
        _cleanup_free_ char *agent = NULL;
        char id[ID_MAX], token[TOKEN_MAX], hash[TOKEN_HASH_MAX];
        const char *user_agent = strempty(http_request_user_agent(c->req));

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

        const char *params[] = { first, id, hash, agent, http_request_peer(c->req), second };

        api_query(c, sql, second ? 6 : 5, params, session_made);
}

/* ---- Refresh and log-out ---- */

/* The body's refresh token; NULL when it has answered. */
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
        if (streq(verdict, "good") || (streq(verdict, "again") && token_open(PQgetvalue(res, 0, 3), old, successor) >= 0)) {
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
        http_respond_problem(c->req, 401, "bad-refresh-token",
                             "The refresh token is unknown, has been used or has expired.");
}

static void refresh(ApiCall *c)
{
        char old[TOKEN_HASH_MAX], new[TOKEN_MAX], new_hash[TOKEN_HASH_MAX], sealed[TOKEN_SEALED_MAX];
        const char *token;

        token = parse_refresh_token(c);
        if (!token)
                return;
        token_hash(token, old);
        token_new("refresh", new);
        token_hash(new, new_hash);
        token_seal(new, token, sealed);
        c->text[0] = strdup(new);
        if (!c->text[0]) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }

        const char *params[] = { old, new_hash, sealed, http_request_peer(c->req) };

        /* The session's row is locked, so that of two uses at once the second sees what the first did. */
        api_query(c, "WITH t AS (SELECT r.token_hash, r.session_id, l.user_id, l.public_id, l.successor,"
                     "   CASE WHEN l.revoked_at IS NOT NULL OR r.expires_at <= now() THEN 'bad'"
                     "    WHEN r.used_at IS NULL THEN 'good'"
                     "    WHEN l.replaced_hash = r.token_hash AND l.replaced_at > now() - " REFRESH_GRACE " THEN 'again'"
                     "    ELSE 'reused' END AS verdict"
                     "  FROM refresh_tokens r JOIN login_sessions l ON l.id = r.session_id"
                     "  WHERE r.token_hash = $1::bytea FOR UPDATE OF r, l),"
                     " used AS (UPDATE refresh_tokens r SET used_at = now() FROM t"
                     "  WHERE r.token_hash = t.token_hash AND t.verdict = 'good'),"
                     " added AS (INSERT INTO refresh_tokens (token_hash, session_id, expires_at)"
                     "  SELECT $2::bytea, session_id, now() + " SESSION_LIFETIME " FROM t WHERE verdict = 'good'),"
                     " renewed AS (UPDATE login_sessions l SET last_used_at = now(), address = $4,"
                     "   expires_at = now() + " SESSION_LIFETIME ", replaced_hash = t.token_hash, replaced_at = now(),"
                     "   successor = $3::bytea FROM t WHERE l.id = t.session_id AND t.verdict = 'good'),"
                     " ended AS (UPDATE login_sessions l SET revoked_at = now() FROM t"
                     "  WHERE l.id = t.session_id AND t.verdict = 'reused')"
                     " SELECT t.verdict, u.public_id, t.public_id, t.successor FROM t JOIN users u ON u.id = t.user_id",
                  4, params, refresh_done);
}

/* The row: the user whose sessions have ended. */
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
        char hash[TOKEN_HASH_MAX];

        if (!token)
                return;
        token_hash(token, hash);

        const char *params[] = { hash };

        api_query(c, "UPDATE login_sessions l SET revoked_at = now() FROM refresh_tokens r, users u"
                     " WHERE r.token_hash = $1::bytea AND l.id = r.session_id AND l.revoked_at IS NULL AND u.id = l.user_id"
                     " RETURNING u.public_id",
                  1, params, ended);
}

/* ---- The list ---- */

static void list_sessions(ApiCall *c)
{
        ApiPage page;

        if (!api_page_parse(c, "n", &page))
                return;

        const char *params[] = { c->user, c->session, page.limit, page.keys[0] };

        api_query(c, "SELECT coalesce(json_agg(json_build_object('id', l.public_id, 'created_at', " SQL_TIME("l.created_at")
                     ", 'last_used_at', " SQL_TIME("l.last_used_at") ", 'expires_at', " SQL_TIME("l.expires_at")
                     ", 'user_agent', l.user_agent, 'address', l.address, 'current', l.public_id = $2)"
                     " ORDER BY l.id DESC), '[]'), count(*), json_build_array(min(l.id)::text)"
                     " FROM (SELECT * FROM login_sessions WHERE user_id = (SELECT id FROM users WHERE public_id = $1)"
                     "  AND revoked_at IS NULL AND expires_at > now() AND id < coalesce($4::bigint, 9223372036854775807)"
                     "  ORDER BY id DESC LIMIT $3::int) l",
                  4, params, api_page_done);
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
        const char *params[] = { c->user, http_request_param(c->req, "session_id") };

        api_query(c, "UPDATE login_sessions l SET revoked_at = now() FROM users u WHERE l.public_id = $2"
                     " AND u.public_id = $1 AND l.user_id = u.id AND l.revoked_at IS NULL AND l.expires_at > now()"
                     " RETURNING u.public_id",
                  2, params, end_session_done);
}

static void end_all_sessions(ApiCall *c)
{
        const char *params[] = { c->user };

        api_query(c, "WITH l AS (UPDATE login_sessions l SET revoked_at = now() FROM users u WHERE u.public_id = $1"
                     "  AND l.user_id = u.id AND l.revoked_at IS NULL)"
                     " SELECT public_id FROM users WHERE public_id = $1",
                  1, params, ended);
}

const ApiRoute api_session_routes[] = {
        { "POST", "/api/v1/users/refresh", API_OPEN, refresh },
        { "POST", "/api/v1/users/logout", API_OPEN, logout },
        { "GET", "/api/v1/sessions", API_ACCOUNT, list_sessions },
        { "DELETE", "/api/v1/sessions", API_ACCOUNT, end_all_sessions },
        { "DELETE", "/api/v1/sessions/:session_id", API_ACCOUNT, end_session },
        {},
};
