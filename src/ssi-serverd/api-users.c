#include "api-sql.h"
#include "api.h"
#include "auth-throttle.h"
#include "token.h"

#define EMAIL_MAX        254
#define PASSWORD_MIN     10
#define PASSWORD_MAX     1024
#define REFRESH_LIFETIME "interval '30 days'"

/* What can be an address at all; whether it is one, only a message to it shows. */
static bool email_is_plausible(const char *s)
{
        const char *at = strchr(s, '@');

        if (!at || at == s || at[1] == '\0' || strchr(at + 1, '@'))
                return false;
        for (; *s; s++)
                if ((unsigned char) *s <= 0x20 || *s == 0x7f)
                        return false;
        return true;
}

/* Both of the body's fields, checked. Returns false when it has answered. */
static bool parse_credentials(ApiCall *c, const char **ret_email, const char **ret_password, size_t password_min)
{
        json_object *body = http_request_json(c->req);

        if (!body)
                return false;
        *ret_email = api_body_string(c, body, "email", 1, EMAIL_MAX);
        if (!*ret_email)
                return false;
        *ret_password = api_body_string(c, body, "password", password_min, PASSWORD_MAX);
        if (!*ret_password)
                return false;
        if (!email_is_plausible(*ret_email)) {
                api_invalid(c, "email is not an e-mail address.");
                return false;
        }
        return true;
}

static void respond_busy(ApiCall *c, uint64_t seconds)
{
        char text[32];

        snprintf(text, sizeof(text), "%llu", (unsigned long long) seconds);
        (void) http_respond_add_header(c->req, "Retry-After", text);
        http_respond_problem(c->req, 429, "too-many-requests", "Too many attempts. Wait, then try again.");
}

/* Answers what password_hash() or password_verify() returned. */
static void respond_password_failure(ApiCall *c, int r)
{
        if (r == -EBUSY)
                respond_busy(c, 2);
        else
                api_fail(c, NULL, -ENOMEM);
}

/* text[0]: the e-mail address. */
static void register_inserted(ApiCall *c, PGresult *res, int error)
{
        if (error == -EEXIST)
                http_respond_problem(c->req, 409, "email-taken", "There is an account with this address already.");
        else if (error < 0)
                api_fail(c, res, error);
        else
                http_respond_data(c->req, 201, "application/json", PQgetvalue(res, 0, 0),
                                  (size_t) PQgetlength(res, 0, 0));
}

static void register_hashed(int r, const char *hash, void *userdata)
{
        ApiCall *c = userdata;
        HttpRequest *req = c->req;
        char id[ID_MAX];

        if (r < 0)
                respond_password_failure(c, r);
        else {
                id_new("usr", id);

                const char *params[] = { id, c->text[0], hash };

                api_query(c, "INSERT INTO users (public_id, email, password_hash) VALUES ($1, $2, $3)"
                             " RETURNING json_build_object('id', public_id, 'email', email)",
                          3, params, register_inserted);
        }
        http_request_unref(req);
}

static void register_user(ApiCall *c)
{
        const char *email, *password;
        int r;

        if (!parse_credentials(c, &email, &password, PASSWORD_MIN))
                return;
        c->text[0] = strdup(email);
        if (!c->text[0]) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        http_request_ref(c->req);
        r = password_hash(c->server->passwords, password, register_hashed, c);
        if (r < 0) {
                respond_password_failure(c, r);
                http_request_unref(c->req);
        }
}

/* Of login and refresh; text[1] is the new refresh token, user is set. */
static void respond_tokens(ApiCall *c)
{
        _cleanup_free_ char *token = NULL;
        _cleanup_json_ json_object *o = NULL;

        if (!c->server->have_key) {
                api_fail(c, NULL, -ENOTCONN);
                return;
        }
        o = json_object_new_object();
        if (!o || access_token_new(c->server->key, c->user, api_now(), &token) < 0 ||
            json_add_string(o, "access_token", token) < 0 || json_add_string(o, "refresh_token", c->text[1]) < 0 ||
            json_add_string(o, "token_type", "Bearer") < 0 ||
            json_add_int64(o, "expires_in", ACCESS_TOKEN_LIFETIME) < 0) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        (void) http_respond_add_header(c->req, "Cache-Control", "no-store");
        http_respond_json(c->req, 200, TAKE_PTR(o));
}

/* Makes the new refresh token and its hash. */
static bool make_refresh_token(ApiCall *c, char hash[static TOKEN_HASH_MAX])
{
        char token[TOKEN_MAX];

        token_new("refresh", token);
        token_hash(token, hash);
        c->text[1] = strdup(token);
        if (!c->text[1])
                api_fail(c, NULL, -ENOMEM);
        return c->text[1] != NULL;
}

static void tokens_done(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                http_respond_problem(c->req, 401, "bad-credentials", "The address or the password is wrong.");
        else
                respond_tokens(c);
}

static void login_verified(int r, const char *hash, void *userdata)
{
        ApiCall *c = userdata;
        HttpRequest *req = c->req;
        char token[TOKEN_HASH_MAX];

        if (r == -EACCES) {
                login_throttle_failed(c->server->throttle, c->text[0], strempty(http_request_peer(c->req)), api_now());
                http_respond_problem(c->req, 401, "bad-credentials", "The address or the password is wrong.");
        } else if (r < 0)
                respond_password_failure(c, r);
        else if (make_refresh_token(c, token)) {
                const char *params[] = { c->user, token };

                api_query(c, "WITH l AS (INSERT INTO login_sessions (user_id) SELECT id FROM users"
                             "  WHERE public_id = $1 RETURNING id)"
                             " INSERT INTO refresh_tokens (token_hash, session_id, expires_at)"
                             "  SELECT $2::bytea, l.id, now() + " REFRESH_LIFETIME " FROM l RETURNING 1",
                          2, params, tokens_done);
        }
        http_request_unref(req);
}

/* An unknown address costs as much time as a known one. */
static void login_found(ApiCall *c, PGresult *res, int error)
{
        const char *hash = NULL, *password = json_get_string(http_request_json(c->req), "password");
        int r;

        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        if (PQntuples(res) > 0) {
                hash = PQgetvalue(res, 0, 1);
                c->user = strdup(PQgetvalue(res, 0, 0));
                if (!c->user) {
                        api_fail(c, NULL, -ENOMEM);
                        return;
                }
        }
        http_request_ref(c->req);
        r = password_verify(c->server->passwords, hash, strempty(password), login_verified, c);
        if (r < 0) {
                respond_password_failure(c, r);
                http_request_unref(c->req);
        }
}

static void login(ApiCall *c)
{
        const char *email, *password;
        uint64_t wait;

        if (!parse_credentials(c, &email, &password, 1))
                return;
        wait = login_throttle_check(c->server->throttle, email, strempty(http_request_peer(c->req)), api_now());
        if (wait > 0) {
                respond_busy(c, wait);
                return;
        }
        c->text[0] = strdup(email);
        if (!c->text[0]) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }

        const char *params[] = { email };

        api_query(c, "SELECT public_id, password_hash FROM users WHERE lower(email) = lower($1)", 1, params,
                  login_found);
}

static void refresh_done(ApiCall *c, PGresult *res, int error)
{
        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        if (PQntuples(res) == 0) {
                http_respond_problem(c->req, 401, "bad-refresh-token",
                                     "The refresh token is unknown, has been used or has expired.");
                return;
        }
        c->user = strdup(PQgetvalue(res, 0, 0));
        if (c->user)
                respond_tokens(c);
        else
                api_fail(c, NULL, -ENOMEM);
}

/* The hash of the body's refresh token; false when it has answered. */
static bool parse_refresh_token(ApiCall *c, char hash[static TOKEN_HASH_MAX])
{
        json_object *body = http_request_json(c->req);
        const char *token;

        if (!body)
                return false;
        token = api_body_string(c, body, "refresh_token", 1, 256);
        if (!token)
                return false;
        token_hash(token, hash);
        return true;
}

static void refresh(ApiCall *c)
{
        char old[TOKEN_HASH_MAX], new[TOKEN_HASH_MAX];

        if (!parse_refresh_token(c, old) || !make_refresh_token(c, new))
                return;

        /* A token that was used before is in two hands, and nobody knows whose are the right ones: its whole session
         * ends. The session's row is locked, so that of two uses at once the second sees what the first did. */
        const char *params[] = { old, new };

        api_query(c, "WITH t AS (SELECT r.token_hash, r.session_id, r.used_at, l.user_id,"
                     "   r.used_at IS NULL AND l.revoked_at IS NULL AND r.expires_at > now() AS good"
                     "  FROM refresh_tokens r JOIN login_sessions l ON l.id = r.session_id"
                     "  WHERE r.token_hash = $1::bytea FOR UPDATE OF r, l),"
                     " used AS (UPDATE refresh_tokens r SET used_at = now() FROM t"
                     "  WHERE r.token_hash = t.token_hash AND t.good RETURNING t.session_id, t.user_id),"
                     " added AS (INSERT INTO refresh_tokens (token_hash, session_id, expires_at)"
                     "  SELECT $2::bytea, session_id, now() + " REFRESH_LIFETIME " FROM used),"
                     " ended AS (UPDATE login_sessions l SET revoked_at = now() FROM t"
                     "  WHERE l.id = t.session_id AND t.used_at IS NOT NULL AND l.revoked_at IS NULL)"
                     " SELECT u.public_id FROM used JOIN users u ON u.id = used.user_id",
                  2, params, refresh_done);
}

static void logout_done(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else
                http_respond_empty(c->req, 204);
}

static void logout(ApiCall *c)
{
        char hash[TOKEN_HASH_MAX];

        if (!parse_refresh_token(c, hash))
                return;

        const char *params[] = { hash };

        api_query(c, "UPDATE login_sessions l SET revoked_at = now() FROM refresh_tokens r"
                     " WHERE r.token_hash = $1::bytea AND l.id = r.session_id AND l.revoked_at IS NULL",
                  1, params, logout_done);
}

static void me(ApiCall *c)
{
        const char *params[] = { c->user };

        api_query(c, "SELECT json_build_object('id', public_id, 'email', email,"
                     " 'created_at', " SQL_TIME("created_at") ") FROM users WHERE public_id = $1",
                  1, params, api_done_200);
}

const ApiRoute api_user_routes[] = {
        { "POST", "/api/v1/users/register", true, register_user },
        { "POST", "/api/v1/users/login", true, login },
        { "POST", "/api/v1/users/refresh", true, refresh },
        { "POST", "/api/v1/users/logout", true, logout },
        { "GET", "/api/v1/users/me", false, me },
        {},
};
