/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/page.h"
#include "api/sql.h"
#include "api/api.h"
#include "auth/token.h"
#include "api/field.h"

/* Tokens for programs: made and withdrawn by a logged-in user, shown once. */

#define TOKENS_MAX      "100" /* per user */
#define NAME_MAX_BYTES  128
#define LIFETIME_MAX    (10 * INT64_C(31536000)) /* s */

#define SQL_TOKEN_PAIRS                                                                                         \
        "'id', k.public_id, 'name', k.name, 'scopes', to_json(k.scopes), 'created_at', " SQL_TIME("k.created_at")  \
        ", 'expires_at', " SQL_TIME("k.expires_at") ", 'last_used_at', " SQL_TIME("k.last_used_at")

static void list_tokens(ApiCall *c)
{
        ApiPage page;

        if (!api_page_parse(c, "n", &page))
                return;

        const char *params[] = { c->user, page.limit, page.keys[0] };

        api_query(c, "SELECT coalesce(json_agg(json_build_object(" SQL_TOKEN_PAIRS ") ORDER BY k.id DESC), '[]'),"
                     " count(*), json_build_array(min(k.id)::text)"
                     " FROM (SELECT * FROM api_tokens WHERE user_id = (SELECT id FROM users WHERE public_id = $1)"
                     "  AND id < coalesce($3::bigint, 9223372036854775807) ORDER BY id DESC LIMIT $2::int) k",
                  3, params, api_page_done);
}

static bool is_scope(const char *s)
{
        static const char *const scopes[] = { "read", "write", "servers:register" };

        for (size_t i = 0; s && i < ELEMENTSOF(scopes); i++)
                if (streq(s, scopes[i]))
                        return true;
        return false;
}

static bool parse_scopes(ApiCall *c, json_object *body, DbArray *ret)
{
        json_object *list = json_get_array(body, "scopes");
        size_t n = list ? json_object_array_length(list) : 0;

        for (size_t i = 0; i < n && n <= 3; i++) {
                const char *s = json_object_get_string(json_object_array_get_idx(list, i));

                if (!is_scope(s)) {
                        n = 0;
                        break;
                }
                db_array_text(ret, s);
        }
        if (n < 1 || n > 3)
                api_invalid(c, "scopes must be an array of 1 to 3 of \"read\", \"write\" and \"servers:register\".");
        return n >= 1 && n <= 3;
}

/* Seconds from now as text, empty when it is to last. */
static bool parse_lifetime(ApiCall *c, json_object *body, char ret[static 32])
{
        int64_t seconds = 0;
        int r;

        r = json_get_int64(body, "expires_in", &seconds);
        if (r == -EINVAL || (r >= 0 && (seconds < 1 || seconds > LIFETIME_MAX))) {
                api_invalid(c, "expires_in must be a number of seconds from 1 to %lld.", (long long) LIFETIME_MAX);
                return false;
        }
        if (r < 0)
                ret[0] = '\0';
        else
                snprintf(ret, 32, "%lld", (long long) seconds);
        return true;
}

static void token_made(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                http_respond_problem(c->req, 409, "too-many-tokens",
                                     "An account holds at most " TOKENS_MAX " API tokens.");
        else
                http_respond_data(c->req, 201, "application/json", PQgetvalue(res, 0, 0),
                                  (size_t) PQgetlength(res, 0, 0));
}

static void make_token(ApiCall *c)
{
        char id[ID_MAX], token[TOKEN_MAX], hash[TOKEN_HASH_MAX], lifetime[32];
        _cleanup_(db_array_free) DbArray scopes = {};
        json_object *body = http_request_json(c->req);
        const char *name, *scopes_text;

        if (!body)
                return;
        name = api_body_line(c, body, "name", 1, NAME_MAX_BYTES);
        if (!name || !parse_scopes(c, body, &scopes) || !parse_lifetime(c, body, lifetime))
                return;
        scopes_text = db_array_done(&scopes);
        if (!scopes_text) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        id_new("tok", id);
        token_new(API_TOKEN_KIND, token);
        token_hash(token, hash);

        const char *params[] = { c->user, id, hash, name, scopes_text, lifetime, token };

        api_query(c, "WITH k AS (INSERT INTO api_tokens (user_id, public_id, token_hash, name, scopes, expires_at)"
                     "  SELECT u.id, $2, $3::bytea, $4, ARRAY(SELECT DISTINCT unnest($5::text[])),"
                     "  now() + make_interval(secs => nullif($6, '')::float8) FROM users u WHERE u.public_id = $1"
                     "  AND (SELECT count(*) FROM api_tokens o WHERE o.user_id = u.id) < " TOKENS_MAX " RETURNING *)"
                     " SELECT json_build_object(" SQL_TOKEN_PAIRS ", 'token', $7::text) FROM k",
                  7, params, token_made);
}

static void token_deleted(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                api_respond_not_found(c);
        else {
                backend_publish_one(c->backend, CHANGE_ACCOUNT, c->user, "-", NULL);
                http_respond_empty(c->req, 204);
        }
}

static void delete_token(ApiCall *c)
{
        const char *params[] = { c->user, http_request_param(c->req, "token_id") };

        api_query(c, "DELETE FROM api_tokens k USING users u WHERE k.public_id = $2 AND u.public_id = $1"
                     " AND k.user_id = u.id RETURNING 1",
                  2, params, token_deleted);
}

const ApiRoute api_token_routes[] = {
        { "GET", "/api/v1/api-tokens", API_ACCOUNT, list_tokens },
        { "POST", "/api/v1/api-tokens", API_ACCOUNT, make_token },
        { "DELETE", "/api/v1/api-tokens/:token_id", API_ACCOUNT, delete_token },
        {},
};
