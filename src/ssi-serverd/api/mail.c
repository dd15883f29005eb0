/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/mail.h"
#include "model/rules.h"
#include "notify/notifier.h"
#include "auth/token.h"
#include "auth/password.h"
#include "api/field.h"
#include "model/account.h"
#include "shared/time-util.h"
#include "api/mail.sql.h"

/* Mails to an account: to confirm its address, and to reset a forgotten password. Requests only write into
 * the outbox; the token is made together with the mail. */

#define TOKEN_BYTES 256

bool api_has_mail(ApiCall *c)
{
        return notifier_has_account_mail(c->backend->notifier);
}

bool api_require_mail(ApiCall *c)
{
        if (api_has_mail(c))
                return true;
        http_respond_problem(c->req, 409, "mail-not-configured",
                             "This server does not send mail (SSI_SMTP_URL, SSI_SMTP_FROM and SSI_PUBLIC_URL).");
        return false;
}

static void asked(ApiCall *c, PGresult *res, int error)
{
        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        notifier_kick(c->backend->notifier);
        http_respond_empty(c->req, 202);
}

/* The answer does not reveal whether the account exists. */
static void ask_for_reset(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        const char *email;

        if (!body || !api_require_mail(c))
                return;
        email = api_body_string(c, body, "email", 1, EMAIL_MAX);
        if (!email)
                return;

        api_query(c, SQL(ask_for_reset, .email = email, .actor = api_actor_by(c, NULL)), asked);
}

static void ask_to_verify(ApiCall *c)
{
        if (api_require_mail(c))
                api_query(c, SQL(ask_to_verify, .user = c->user, .actor = api_actor(c)), asked);
}

/* The hash of the body's token; returns false if it has answered. */
static bool parse_token(ApiCall *c, json_object *body, char hash[static TOKEN_HASH_MAX])
{
        const char *token = api_body_string(c, body, "token", 1, TOKEN_BYTES);

        if (token)
                token_hash(token, hash);
        return token;
}

static bool may_try_token(ApiCall *c)
{
        uint64_t wait = login_throttle_check_network(c->backend->throttle, c->network, now_usec(CLOCK_MONOTONIC));

        if (wait > 0) {
                api_respond_busy(c, wait);
                api_refused(c, "mail-link.refused", AUDIT_THROTTLED, "mail link");
        }
        return wait == 0;
}

static void respond_bad_token(ApiCall *c)
{
        login_throttle_network_failed(c->backend->throttle, c->network, now_usec(CLOCK_MONOTONIC));
        http_respond_problem(c->req, 400, "bad-mail-token",
                             "The token is unknown, used or expired; request a new mail.");
        api_refused(c, "mail-link.refused", AUDIT_REFUSED, "mail link");
}

static void verified(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                respond_bad_token(c);
        else
                http_respond_empty(c->req, 204);
}

static void verify_email(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        char hash[TOKEN_HASH_MAX];

        if (!body || !parse_token(c, body, hash) || !may_try_token(c))
                return;

        api_query(c, SQL(verify_email, .hash = hash, .actor = api_actor_by(c, "mail link")), verified);
}

/* ---- A new password ---- */

/* The second column: what was withdrawn, and what is left to be reviewed. */
static void password_reset(ApiCall *c, PGresult *res, int error)
{
        if (error < 0 || PQntuples(res) == 0) {
                verified(c, res, error);
                return;
        }
        notifier_kick(c->backend->notifier);
        http_respond_data(c->req, 200, "application/json", PQgetvalue(res, 0, 1), (size_t) PQgetlength(res, 0, 1));
}

/* text[0]: the token's hash. */
static void reset_hashed(int r, const char *password, void *userdata)
{
        ApiCall *c = userdata;
        HttpRequest *req = c->req;

        if (r < 0)
                api_respond_password_failure(c, r);
        else {
                api_act_begin(c, password_reset);
                api_act_begun(c, account_reset_password(c->backend, c->text[0], password, c->network,
                                                        api_actor_by(c, "mail link"), api_act_done, c));
        }
        http_request_unref(req);
}

/* Runs before the costly hash. */
static void reset_found(ApiCall *c, PGresult *res, int error)
{
        const PasswordAsker asker = { .class = PASSWORD_OPEN, .network = c->network };
        const char *password = strempty(json_get_string(http_request_json(c->req), "password"));
        int r;

        if (error < 0 || PQntuples(res) == 0) {
                verified(c, res, error);
                return;
        }
        if (!api_check_new_password(c, password, PQgetvalue(res, 0, 0)))
                return;
        http_request_ref(c->req);
        r = password_hash(c->backend->passwords, &asker, password, reset_hashed, c);
        if (r < 0) {
                api_respond_password_failure(c, r);
                http_request_unref(c->req);
        }
}

static void confirm_reset(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        char hash[TOKEN_HASH_MAX];

        if (!body || !parse_token(c, body, hash) || !api_body_new_password(c, body, "password", NULL) ||
            !may_try_token(c))
                return;
        c->text[0] = strdup(hash);
        if (!c->text[0]) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }

        api_query(c, SQL(confirm_reset, .hash = hash), reset_found);
}

const ApiRoute api_mail_routes[] = {
        { "POST", "/api/v1/users/password-reset", API_OPEN, ask_for_reset },
        { "POST", "/api/v1/users/password-reset/confirm", API_OPEN, confirm_reset },
        { "POST", "/api/v1/users/verify-email", API_OPEN, verify_email },
        { "POST", "/api/v1/users/verify-email/send", API_ACCOUNT, ask_to_verify },
        {},
};
