/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/mail.h"
#include "api/session.h"
#include "api/sql.h"
#include "auth/throttle.h"
#include "notify/notifier.h"
#include "auth/token.h"
#include "auth/password.h"
#include "api/field.h"

/* Both of the body's fields, checked. Returns false when it has answered. */
static bool parse_credentials(ApiCall *c, bool new, const char **ret_email, const char **ret_password)
{
        json_object *body = http_request_json(c->req);

        if (!body)
                return false;
        *ret_email = api_body_email(c, body);
        if (!*ret_email)
                return false;
        *ret_password = new ? api_body_new_password(c, body, "password") : api_body_password(c, body, "password");
        return *ret_password != NULL;
}

/* Answers what password_hash() or password_verify() returned. */
static void respond_password_failure(ApiCall *c, int r)
{
        if (r == -EBUSY)
                api_respond_busy(c, 2);
        else
                api_fail(c, NULL, -ENOMEM);
}

/* text[0]: the e-mail address. */
static void register_inserted(ApiCall *c, PGresult *res, int error)
{
        if (error == -EEXIST)
                http_respond_problem(c->req, 409, "email-taken", "An account with this address already exists.");
        else if (error < 0)
                api_fail(c, res, error);
        else {
                notifier_kick(c->backend->notifier);
                http_respond_data(c->req, 201, "application/json", PQgetvalue(res, 0, 0),
                                  (size_t) PQgetlength(res, 0, 0));
        }
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

                const char *params[] = { id, c->text[0], hash, api_has_mail(c) ? "t" : "f" };

                /* The address is asked after at once. Whether the mail arrives is nothing to the account. */
                api_query(c, "WITH u AS (INSERT INTO users (public_id, email, password_hash) VALUES ($1, $2, $3) RETURNING *),"
                             " asked AS (" API_SQL_MAIL("verify", "u WHERE $4::bool") ")"
                             " SELECT json_build_object('id', public_id, 'email', email) FROM u",
                          4, params, register_inserted);
        }
        http_request_unref(req);
}

static void register_user(ApiCall *c)
{
        const char *email, *password;
        int r;

        if (!parse_credentials(c, true, &email, &password))
                return;
        c->text[0] = strdup(email);
        if (!c->text[0]) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        http_request_ref(c->req);
        r = password_hash(c->backend->passwords, password, register_hashed, c);
        if (r < 0) {
                respond_password_failure(c, r);
                http_request_unref(c->req);
        }
}

void api_respond_bad_credentials(ApiCall *c)
{
        http_respond_problem(c->req, 401, "bad-credentials", "The address or the password is wrong.");
}

/* The password may have been changed since it was looked at. */
static const char sql_session[] =
        API_SQL_SESSION("SELECT id AS user_id FROM users WHERE public_id = $1 AND password_hash = $6");

/* text[0]: the address. What came of the attempt says nothing to somebody who guesses. */
static void no_guess(ApiCall *c)
{
        login_throttle_take_back(c->backend->throttle, c->text[0], strempty(http_request_peer(c->req)), api_now());
}

/* text[0]: the address, text[1]: the hash that the password was held against. */
static void login_verified(int r, const char *hash, void *userdata)
{
        ApiCall *c = userdata;
        HttpRequest *req = c->req;

        if (r != -EACCES)
                no_guess(c);
        if (r == -EACCES)
                api_respond_bad_credentials(c);
        else if (r < 0)
                respond_password_failure(c, r);
        else
                api_session_start(c, sql_session, c->user, c->text[1], api_respond_bad_credentials);
        http_request_unref(req);
}

/* An unknown address costs as much time as a known one. */
static void login_found(ApiCall *c, PGresult *res, int error)
{
        const char *hash = NULL, *password = json_get_string(http_request_json(c->req), "password");
        int r;

        if (error < 0) {
                no_guess(c);
                api_fail(c, res, error);
                return;
        }
        if (PQntuples(res) > 0) {
                c->user = strdup(PQgetvalue(res, 0, 0));
                c->text[1] = strdup(PQgetvalue(res, 0, 1));
                hash = c->text[1];
                if (!c->user || !c->text[1]) {
                        no_guess(c);
                        api_fail(c, NULL, -ENOMEM);
                        return;
                }
        }
        http_request_ref(c->req);
        r = password_verify(c->backend->passwords, hash, strempty(password), login_verified, c);
        if (r < 0) {
                no_guess(c);
                respond_password_failure(c, r);
                http_request_unref(c->req);
        }
}

static void login(ApiCall *c)
{
        const char *email, *password;
        uint64_t wait;

        if (!parse_credentials(c, false, &email, &password))
                return;
        c->text[0] = strdup(email);
        if (!c->text[0]) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        wait = login_throttle_begin(c->backend->throttle, email, strempty(http_request_peer(c->req)), api_now());
        if (wait > 0) {
                api_respond_busy(c, wait);
                return;
        }

        const char *params[] = { email };

        api_query(c, "SELECT public_id, password_hash FROM users WHERE lower(email) = lower($1)", 1, params,
                  login_found);
}

static void me(ApiCall *c)
{
        const char *params[] = { c->user };

        api_query(c, "SELECT json_build_object('id', public_id, 'email', email,"
                     " 'created_at', " SQL_TIME("created_at") ") FROM users WHERE public_id = $1",
                  1, params, api_done_200);
}

/* ---- What asks for the password once more ---- */

/* text[0]: the address. A wrong password counts as a failed login, so that a stolen session is no place to guess. */
static void current_password_checked(int r, void (*go_on)(ApiCall *c), ApiCall *c)
{
        HttpRequest *req = c->req;

        if (r != -EACCES)
                no_guess(c);
        if (r == -EACCES)
                http_respond_problem(c->req, 403, "bad-credentials", "The password is wrong.");
        else if (r < 0)
                respond_password_failure(c, r);
        else
                go_on(c);
        http_request_unref(req);
}

static void check_current_password(ApiCall *c, PGresult *res, int error, const char *key, password_callback_t checked)
{
        uint64_t wait;
        int r;

        if (error < 0 || PQntuples(res) == 0) {
                api_fail(c, res, error < 0 ? error : -ENOTCONN);
                return;
        }
        c->text[0] = strdup(PQgetvalue(res, 0, 0));
        if (!c->text[0]) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        wait = login_throttle_begin(c->backend->throttle, c->text[0], strempty(http_request_peer(c->req)), api_now());
        if (wait > 0) {
                api_respond_busy(c, wait);
                return;
        }
        http_request_ref(c->req);
        r = password_verify(c->backend->passwords, PQgetvalue(res, 0, 1), json_get_string(http_request_json(c->req), key),
                            checked, c);
        if (r < 0) {
                no_guess(c);
                respond_password_failure(c, r);
                http_request_unref(c->req);
        }
}

static const char sql_credentials[] = "SELECT email, password_hash FROM users WHERE public_id = $1";

static void password_changed(ApiCall *c, PGresult *res, int error)
{
        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        backend_publish_one(c->backend, CHANGE_ACCOUNT, c->user, "-", NULL);
        http_respond_empty(c->req, 204);
}

static void new_password_hashed(int r, const char *hash, void *userdata)
{
        ApiCall *c = userdata;
        HttpRequest *req = c->req;

        if (r < 0)
                respond_password_failure(c, r);
        else {
                const char *params[] = { c->user, c->session, hash };

                api_query(c, "WITH u AS (UPDATE users SET password_hash = $3 WHERE public_id = $1 RETURNING id)"
                             " UPDATE login_sessions l SET revoked_at = now() FROM u"
                             "  WHERE l.user_id = u.id AND l.public_id <> $2 AND l.revoked_at IS NULL",
                          3, params, password_changed);
        }
        http_request_unref(req);
}

static void hash_new_password(ApiCall *c)
{
        int r;

        http_request_ref(c->req);
        r = password_hash(c->backend->passwords, json_get_string(http_request_json(c->req), "new_password"),
                          new_password_hashed, c);
        if (r < 0) {
                respond_password_failure(c, r);
                http_request_unref(c->req);
        }
}

static void change_checked(int r, const char *hash, void *userdata)
{
        current_password_checked(r, hash_new_password, userdata);
}

static void change_found(ApiCall *c, PGresult *res, int error)
{
        check_current_password(c, res, error, "current_password", change_checked);
}

static void change_password(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        const char *params[] = { c->user };

        if (!body || !api_body_password(c, body, "current_password") || !api_body_new_password(c, body, "new_password"))
                return;
        api_query(c, sql_credentials, 1, params, change_found);
}

/* A row for each server, or one with null. */
static void account_deleted(ApiCall *c, PGresult *res, int error)
{
        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        for (int i = 0; i < PQntuples(res); i++)
                if (!PQgetisnull(res, i, 0))
                        backend_publish_one(c->backend, CHANGE_SERVER_REMOVED, c->user, PQgetvalue(res, i, 0), NULL);
        backend_publish_one(c->backend, CHANGE_ACCOUNT, c->user, "-", NULL);
        /* That the services have gone is recorded by the deletion itself, for nobody now. */
        (void) backend_query(c->backend, "DELETE FROM transitions t WHERE NOT EXISTS"
                                       " (SELECT FROM servers s WHERE s.id = t.server_id)", 0, NULL, NULL, NULL);
        http_respond_empty(c->req, 204);
}

/* What has a foreign key goes with the user. */
static void delete_account_now(ApiCall *c)
{
        const char *params[] = { c->user };

        api_query(c, "WITH s AS (SELECT s.id, s.public_id FROM servers s JOIN users u ON u.id = s.user_id"
                     "  WHERE u.public_id = $1),"
                     " history AS (DELETE FROM events e USING s WHERE e.server_id = s.id),"
                     " told AS (DELETE FROM transitions t USING s WHERE t.server_id = s.id),"
                     " gone AS (DELETE FROM users WHERE public_id = $1 RETURNING id)"
                     " SELECT s.public_id FROM gone LEFT JOIN s ON true",
                  1, params, account_deleted);
}

static void delete_checked(int r, const char *hash, void *userdata)
{
        current_password_checked(r, delete_account_now, userdata);
}

static void delete_found(ApiCall *c, PGresult *res, int error)
{
        check_current_password(c, res, error, "password", delete_checked);
}

static void delete_account(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        const char *params[] = { c->user };

        if (!body || !api_body_password(c, body, "password"))
                return;
        api_query(c, sql_credentials, 1, params, delete_found);
}

const ApiRoute api_user_routes[] = {
        { "POST", "/api/v1/users/register", API_OPEN, register_user },
        { "POST", "/api/v1/users/login", API_OPEN, login },
        { "GET", "/api/v1/users/me", API_READ, me },
        { "DELETE", "/api/v1/users/me", API_ACCOUNT, delete_account },
        { "POST", "/api/v1/users/me/password", API_ACCOUNT, change_password },
        {},
};
