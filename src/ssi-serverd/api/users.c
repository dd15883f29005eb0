/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/mail.h"
#include "api/session.h"
#include "notify/notifier.h"
#include "auth/token.h"
#include "auth/password.h"
#include "api/field.h"
#include "model/account.h"
#include "shared/time-util.h"
#include "api/users.sql.h"

/* Both fields of the body, checked. Returns false if it has answered. */
static bool parse_credentials(ApiCall *c, const char **ret_email, const char **ret_password)
{
        json_object *body = http_request_json(c->req);

        if (!body)
                return false;
        *ret_email = api_body_email(c, body, false);
        if (!*ret_email)
                return false;
        *ret_password = api_body_password(c, body, "password");
        return *ret_password != NULL;
}

void api_respond_bad_credentials(ApiCall *c)
{
        http_respond_problem(c->req, 401, "bad-credentials", "The address or the password is wrong.");
}

/* ---- Log-in ---- */

/* Of a password given at the log-in, or again. */
static void throttle(ApiCall *c, uint64_t wait)
{
        api_respond_busy(c, wait);
        api_refused(c, c->session ? "password.refused" : "login.refused", AUDIT_THROTTLED, "password");
}

/* Answers and returns false if there were too many wrong guesses. */
static bool begin_attempt(ApiCall *c, const char *email)
{
        _cleanup_free_ char *account = strdup(email);
        uint64_t wait;

        if (!account) {
                api_fail(c, NULL, -ENOMEM);
                return false;
        }
        email_fold(account);
        wait = login_attempt_new(c->backend->throttle, account, c->network, now_usec(CLOCK_MONOTONIC), &c->attempt);
        if (wait > 0)
                throttle(c, wait);
        return wait == 0;
}

static void end_attempt(ApiCall *c, bool failed)
{
        if (failed)
                login_attempt_failed(c->attempt, now_usec(CLOCK_MONOTONIC));
        c->attempt = login_attempt_free(c->attempt);
}

/* Checks the body's password (key) against the hash; NULL: there is no such account, which takes as long. */
static void verify_attempt(ApiCall *c, PasswordClass class, bool known, const char *hash, const char *key,
                           password_callback_t verified)
{
        const PasswordAsker asker = { .class = class,
                                      .network = c->network,
                                      .account = login_attempt_account(c->attempt) };
        uint64_t wait;
        int r;

        wait = login_attempt_admit(c->attempt, known, now_usec(CLOCK_MONOTONIC));
        if (wait > 0) {
                end_attempt(c, false);
                throttle(c, wait);
                return;
        }
        http_request_ref(c->req);
        r = password_verify(c->backend->passwords, &asker, hash,
                            strempty(json_get_string(http_request_json(c->req), key)), verified, c);
        if (r < 0) {
                end_attempt(c, false);
                api_respond_password_failure(c, r);
                http_request_unref(c->req);
        }
}

static void refuse_login(ApiCall *c)
{
        api_respond_bad_credentials(c);
        api_refused(c, "login.refused", AUDIT_REFUSED, "password");
}

/* Who knows the password learns why it is of no use. */
static void refuse_locked(ApiCall *c)
{
        http_respond_problem(c->req, 403, "account-locked",
                             "The account is locked. Ask an administrator of this server.");
        api_refused(c, "login.refused", AUDIT_REFUSED, "password");
}

/* text[0]: set if the account is locked. text[1]: the hash that the password was checked against. */
static void login_verified(int r, const char *hash, void *userdata)
{
        ApiCall *c = userdata;
        HttpRequest *req = c->req;

        end_attempt(c, r == -EACCES);
        if (r == -EACCES)
                refuse_login(c);
        else if (r < 0)
                api_respond_password_failure(c, r);
        else if (c->text[0])
                refuse_locked(c);
        else
                api_session_start(c, SQL_session_of_password, "password", c->user, c->text[1], refuse_login);
        http_request_unref(req);
}

static void login_found(ApiCall *c, PGresult *res, int error)
{
        bool known = false;

        if (error < 0) {
                end_attempt(c, false);
                api_fail(c, res, error);
                return;
        }
        if (PQntuples(res) > 0) {
                known = streq(PQgetvalue(res, 0, 2), "t");
                c->user = strdup(PQgetvalue(res, 0, 0));
                c->text[1] = strdup(PQgetvalue(res, 0, 1));
                if (*PQgetvalue(res, 0, 3) == 't')
                        c->text[0] = strdup("locked");
                if (!c->user || !c->text[1]) {
                        end_attempt(c, false);
                        api_fail(c, NULL, -ENOMEM);
                        return;
                }
        }
        verify_attempt(c, known ? PASSWORD_KNOWN : PASSWORD_LOGIN, known, c->text[1], "password", login_verified);
}

static void login(ApiCall *c)
{
        const char *email, *password;

        if (parse_credentials(c, &email, &password) && begin_attempt(c, email))
                api_query(c, SQL(login, .email = email, .network = c->network), login_found);
}

static void me(ApiCall *c)
{
        api_query(c, SQL(me, .user = c->user), api_done_200);
}

/* ---- Operations that require the password again ---- */

/* A wrong password counts as a failed login, so that a stolen session does not allow guessing. */
static void current_password_checked(int r, void (*go_on)(ApiCall *c), ApiCall *c)
{
        HttpRequest *req = c->req;

        end_attempt(c, r == -EACCES);
        if (r == -EACCES) {
                http_respond_problem(c->req, 403, "bad-credentials", "The password is wrong.");
                api_refused(c, "password.refused", AUDIT_REFUSED, "password");
        } else if (r < 0)
                api_respond_password_failure(c, r);
        else
                go_on(c);
        http_request_unref(req);
}

/* Then text[0] is the hash that the password is checked against. */
static void check_current_password(ApiCall *c, PGresult *res, int error, const char *key, password_callback_t checked)
{
        if (error < 0 || PQntuples(res) == 0) {
                api_fail(c, res, error < 0 ? error : -ENOTCONN);
                return;
        }
        c->text[0] = strdup(PQgetvalue(res, 0, 1));
        if (!c->text[0]) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        if (begin_attempt(c, PQgetvalue(res, 0, 0)))
                verify_attempt(c, PASSWORD_ACCOUNT, streq(PQgetvalue(res, 0, 2), "t"), c->text[0], key, checked);
}

static void answer_204(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else
                http_respond_empty(c->req, 204);
}

/* No row: the password has changed since it was checked. */
static void answer_if_proved(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) == 0)
                http_respond_problem(c->req, 403, "bad-credentials", "The password is wrong.");
        else
                answer_204(c, res, error);
}

/* Optional. False: it has answered. */
static bool parse_withdraw(ApiCall *c, json_object *body, bool *ret)
{
        int r = json_get_bool(body, "withdraw_tokens", ret);

        if (r == -EINVAL)
                api_invalid(c, "withdraw_tokens must be true or false.");
        else if (r < 0)
                *ret = false;
        return r != -EINVAL;
}

static void password_changed(ApiCall *c, PGresult *res, int error)
{
        if (error >= 0)
                notifier_kick(c->backend->notifier);
        answer_if_proved(c, res, error);
}

static void new_password_hashed(int r, const char *hash, void *userdata)
{
        ApiCall *c = userdata;
        HttpRequest *req = c->req;
        bool withdraw;

        if (r < 0)
                api_respond_password_failure(c, r);
        else if (parse_withdraw(c, http_request_json(c->req), &withdraw)) {
                const AccountPassword password = { .hash = hash,
                                                   .was = c->text[0],
                                                   .keep_session = c->session,
                                                   .withdraw = withdraw,
                                                   .tell = api_has_mail(c) };

                api_act_begin(c, password_changed);
                api_act_begun(c, account_set_password(c->backend, c->user, &password, api_actor_by(c, "password"),
                                                      api_act_done, c));
        }
        http_request_unref(req);
}

static void hash_new_password(ApiCall *c)
{
        const PasswordAsker asker = { .class = PASSWORD_ACCOUNT, .network = c->network, .account = c->user };
        int r;

        http_request_ref(c->req);
        r = password_hash(c->backend->passwords, &asker, json_get_string(http_request_json(c->req), "new_password"),
                          new_password_hashed, c);
        if (r < 0) {
                api_respond_password_failure(c, r);
                http_request_unref(c->req);
        }
}

static void change_checked(int r, const char *hash, void *userdata)
{
        current_password_checked(r, hash_new_password, userdata);
}

static void change_found(ApiCall *c, PGresult *res, int error)
{
        const char *password = json_get_string(http_request_json(c->req), "new_password");

        if (error >= 0 && PQntuples(res) > 0 && !api_check_new_password(c, password, PQgetvalue(res, 0, 0)))
                return;
        check_current_password(c, res, error, "current_password", change_checked);
}

static void change_password(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        bool withdraw;

        if (!body || !parse_withdraw(c, body, &withdraw) || !api_body_password(c, body, "current_password") ||
            !api_body_new_password(c, body, "new_password", NULL))
                return;
        api_query(c, SQL(credentials, .user = c->user, .network = c->network), change_found);
}

static void deleted(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) > 0 && *PQgetvalue(res, 0, ACCOUNT_REMOVED_DONE) != 't')
                http_respond_problem(c->req, 409, "last-owner", ACCOUNT_IS_LAST_OWNER);
        else
                answer_204(c, res, error);
}

static void delete_account_now(ApiCall *c)
{
        api_act_begin(c, deleted);
        api_act_begun(c, account_remove(c->backend, c->user, api_actor_by(c, "password"), api_act_done, c));
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

        if (!body || !api_body_password(c, body, "password"))
                return;
        api_query(c, SQL(credentials, .user = c->user, .network = c->network), delete_found);
}

/* ---- Step-up: the password again, for the routes of API_RECENT ---- */

static void mark_session(ApiCall *c)
{
        api_query(c,
                  SQL(reauthenticate, .session = c->session, .user = c->user, .hash = c->text[0],
                      .actor = api_actor_by(c, "password")),
                  answer_if_proved);
}

static void reauthenticate_checked(int r, const char *hash, void *userdata)
{
        current_password_checked(r, mark_session, userdata);
}

static void reauthenticate_found(ApiCall *c, PGresult *res, int error)
{
        check_current_password(c, res, error, "password", reauthenticate_checked);
}

static void reauthenticate(ApiCall *c)
{
        json_object *body = http_request_json(c->req);

        if (!body || !api_body_password(c, body, "password"))
                return;
        api_query(c, SQL(credentials, .user = c->user, .network = c->network), reauthenticate_found);
}

const ApiRoute api_user_routes[] = {
        { "POST", "/api/v1/users/login", API_OPEN, login },
        { "GET", "/api/v1/users/me", API_READ, me },
        { "DELETE", "/api/v1/users/me", API_ACCOUNT, delete_account },
        { "POST", "/api/v1/users/me/password", API_ACCOUNT, change_password },
        { "POST", "/api/v1/users/me/reauthenticate", API_ACCOUNT, reauthenticate },
        {},
};
