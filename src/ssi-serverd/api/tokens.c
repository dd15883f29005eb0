/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/mail.h"
#include "api/page.h"
#include "api/usage.h"
#include "api/api.h"
#include "auth/token.h"
#include "api/field.h"
#include "notify/notifier.h"
#include "api/tokens.sql.h"

/* Tokens for programs: a logged-in user creates and revokes them; each is shown once. */

#define NAME_MAX_BYTES 128
#define LIFETIME_MAX   (10 * INT64_C(31536000)) /* s */

static void list_tokens(ApiCall *c)
{
        ApiPage page;

        if (!api_page_parse(c, "n", &page))
                return;

        api_query(c, SQL(list_tokens, .user = c->user, .limit = page.limit, .after = page.keys[0]), api_page_done);
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

/* Seconds from now as text, empty for no expiry. */
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
                api_respond_quota_reached(c, "too-many-tokens", "API tokens");
        else {
                notifier_kick(c->backend->notifier);
                http_respond_data(c->req, 201, "application/json", PQgetvalue(res, 0, 0),
                                  (size_t) PQgetlength(res, 0, 0));
        }
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

        api_query(c,
                  SQL(make_token, .user = c->user, .id = id, .hash = hash, .name = name, .scopes_text = scopes_text,
                      .lifetime = lifetime, .token = token, .tell = sql_bool(api_has_mail(c)), .actor = api_actor(c)),
                  token_made);
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
        api_query(c,
                  SQL(delete_token, .user = c->user, .token_id = http_request_param(c->req, "token_id"),
                      .actor = api_actor(c)),
                  token_deleted);
}

const ApiRoute api_token_routes[] = {
        { "GET", "/api/v1/api-tokens", API_ACCOUNT, list_tokens },
        { "POST", "/api/v1/api-tokens", API_RECENT, make_token },
        { "DELETE", "/api/v1/api-tokens/:token_id", API_ACCOUNT, delete_token },
        {},
};
