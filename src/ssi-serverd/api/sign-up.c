/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/mail.h"
#include "api/api.h"
#include "auth/password.h"
#include "auth/token.h"
#include "api/field.h"
#include "model/account.h"
#include "model/sign-up.h"
#include "notify/notifier.h"
#include "shared/time-util.h"

/* A new account:
 *
 * 1. who may make one is asked (model/sign-up.h), before anything that costs;
 * 2. address and password are checked, and registrations of the network counted;
 * 3. the password is hashed;
 * 4. the account is made, together with using up what admitted it, unless sign-up was closed meanwhile. */

#define CODE_BYTES 256

/* How the call was admitted: text[0] is the address, text[1] NULL, FIRST, or the hash of the invitation's token. */
#define FIRST ""

static void respond_created(ApiCall *c, const char *id, const char *email)
{
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || json_add_string(o, "id", id) < 0 || json_add_string(o, "email", email) < 0)
                api_fail(c, NULL, -ENOMEM);
        else
                http_respond_json(c->req, 201, TAKE_PTR(o));
}

void api_respond_email_taken(ApiCall *c)
{
        http_respond_problem(c->req, 409, "email-taken", "An account with this address already exists.");
}

static void respond_taken(ApiCall *c)
{
        api_refused(c, "account.refused", AUDIT_REFUSED, NULL);
        api_respond_email_taken(c);
}

/* Where there is mail, only the mail says whether the address was free. */
static void respond_mail(ApiCall *c)
{
        notifier_kick(c->backend->notifier);
        http_respond_empty(c->req, 202);
}

static void respond_closed(ApiCall *c)
{
        api_refused(c, "account.refused", AUDIT_REFUSED, NULL);
        http_respond_problem(c->req, 403, "sign-up-closed",
                             "Sign-up is closed. Ask an administrator of this server for an account or an invitation.");
}

static void count_guess(ApiCall *c)
{
        login_throttle_network_failed(c->backend->throttle, c->network, now_usec(CLOCK_MONOTONIC));
}

static void respond_bad_invitation(ApiCall *c)
{
        count_guess(c);
        api_refused(c, "account.refused", AUDIT_REFUSED, "invitation");
        http_respond_problem(
                c->req, 400, "bad-invitation",
                "The invitation is unknown, used or expired, or it is for another address. Ask for a new one.");
}

/* ---- The account ---- */

static void open_done(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                respond_closed(c);
        else if (api_has_mail(c)) {
                if (PQgetisnull(res, 0, 0))
                        api_refused(c, "account.refused", AUDIT_REFUSED, NULL);
                respond_mail(c);
        } else if (PQgetisnull(res, 0, 0))
                respond_taken(c);
        else
                respond_created(c, PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1));
}

static void first_done(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                respond_closed(c);
        else
                respond_created(c, PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1));
}

static void invited_done(ApiCall *c, PGresult *res, int error)
{
        bool made;

        if (error < 0 || PQntuples(res) == 0) {
                if (error < 0)
                        api_fail(c, res, error);
                else
                        respond_bad_invitation(c);
                return;
        }
        made = !PQgetisnull(res, 0, INVITED_ID);
        /* Who has the link of the mail learns nothing from this that the mailbox does not tell. */
        if (made && *PQgetvalue(res, 0, INVITED_CONFIRMED) == 't')
                respond_created(c, PQgetvalue(res, 0, INVITED_ID), PQgetvalue(res, 0, INVITED_EMAIL));
        else if (api_has_mail(c))
                respond_mail(c);
        else
                respond_taken(c);
}

static void register_hashed(int r, const char *hash, void *userdata)
{
        ApiCall *c = userdata;
        HttpRequest *req = c->req;
        const char *email = c->text[0], *admitted_by = c->text[1];

        if (r < 0)
                api_respond_password_failure(c, r);
        else if (!admitted_by) {
                api_act_begin(c, open_done);
                api_act_begun(c, account_add(c->backend, email, hash, api_has_mail(c),
                                             sign_up_modes_open(c->backend, http_request_is_local(c->req)),
                                             api_actor_by(c, NULL), api_act_done, c));
        } else if (streq(admitted_by, FIRST)) {
                api_act_begin(c, first_done);
                api_act_begun(
                        c, account_add_first(c->backend, email, hash, api_actor_by(c, "setup code"), api_act_done, c));
        } else {
                api_act_begin(c, invited_done);
                api_act_begun(c, account_add_invited(c->backend, email, hash, admitted_by, api_has_mail(c),
                                                     sign_up_modes_inviting(c->backend), api_actor_by(c, "invitation"),
                                                     api_act_done, c));
        }
        http_request_unref(req);
}

/* admitted_by: as text[1]. */
static void register_admitted(ApiCall *c, const char *admitted_by)
{
        const PasswordAsker asker = { .class = PASSWORD_OPEN, .network = c->network };
        json_object *body = http_request_json(c->req);
        const char *email, *password;
        uint64_t wait = 0;
        int r;

        email = api_body_email(c, body, true);
        if (!email)
                return;
        password = api_body_new_password(c, body, "password", email);
        if (!password)
                return;
        if (c->backend->rate_limit)
                wait = login_throttle_sign_up(c->backend->throttle, c->network, now_usec(CLOCK_MONOTONIC));
        if (wait > 0) {
                api_respond_busy(c, wait);
                api_refused(c, "account.refused", AUDIT_THROTTLED, NULL);
                return;
        }
        c->text[0] = strdup(email);
        c->text[1] = admitted_by ? strdup(admitted_by) : NULL;
        if (!c->text[0] || (admitted_by && !c->text[1])) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        http_request_ref(c->req);
        r = password_hash(c->backend->passwords, &asker, password, register_hashed, c);
        if (r < 0) {
                api_respond_password_failure(c, r);
                http_request_unref(c->req);
        }
}

/* ---- Who may make one ---- */

/* An optional secret; false if it has answered. */
static bool parse_code(ApiCall *c, json_object *body, const char *key, const char **ret)
{
        json_object *o = NULL;

        *ret = NULL;
        if (!json_object_object_get_ex(body, key, &o) || !o)
                return true;
        *ret = api_body_string(c, body, key, 1, CODE_BYTES);
        return *ret;
}

/* hash: room for that of the invitation's token. */
static bool parse_newcomer(ApiCall *c, json_object *body, char hash[static TOKEN_HASH_MAX], Newcomer *ret)
{
        const char *invitation, *code;

        if (!parse_code(c, body, "invitation", &invitation) || !parse_code(c, body, "setup_code", &code))
                return false;
        if (invitation)
                token_hash(invitation, hash);
        *ret = (Newcomer){
                .email = json_get_string(body, "email"),
                .invitation = invitation ? hash : NULL,
                .setup_code = code,
                .local = http_request_is_local(c->req),
        };
        return true;
}

static void respond_not_set_up(ApiCall *c)
{
        api_refused(c, "account.refused", AUDIT_REFUSED, NULL);
        http_respond_problem(c->req, 403, "sign-up-closed",
                             c->backend->config->setup_code ?
                                     "This server is not set up yet. The first account needs the setup code, which is "
                                     "SSI_SETUP_CODE in the server's configuration." :
                                     "This server is not set up yet. To make the first account, run \"ssictl server "
                                     "setup\" on its host, or set SSI_SETUP_CODE or SSI_SIGN_UP.");
}

static void asked(ApiCall *c, PGresult *res, int error)
{
        json_object *body = http_request_json(c->req);
        char hash[TOKEN_HASH_MAX];
        Newcomer n;

        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        if (!parse_newcomer(c, body, hash, &n))
                return;
        switch (sign_up_admit(c->backend, res, &n)) {
        case ADMISSION_OPEN:
                register_admitted(c, NULL);
                break;
        case ADMISSION_FIRST:
                register_admitted(c, FIRST);
                break;
        case ADMISSION_INVITED:
                register_admitted(c, hash);
                break;
        case ADMISSION_BAD_INVITATION:
                respond_bad_invitation(c);
                break;
        case ADMISSION_BAD_SETUP_CODE:
                count_guess(c);
                api_refused(c, "account.refused", AUDIT_REFUSED, "setup code");
                http_respond_problem(c->req, 403, "bad-setup-code",
                                     "The setup code is wrong; it is SSI_SETUP_CODE in the server's configuration.");
                break;
        case ADMISSION_INVITATION_NEEDED:
                api_refused(c, "account.refused", AUDIT_REFUSED, NULL);
                http_respond_problem(
                        c->req, 403, "invitation-needed",
                        "A new account needs an invitation. Ask somebody who has an account on this server.");
                break;
        case ADMISSION_NOT_SET_UP:
                respond_not_set_up(c);
                break;
        default:
                respond_closed(c);
        }
}

static void register_user(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        char hash[TOKEN_HASH_MAX];
        uint64_t wait = 0;
        Newcomer n;

        if (!body || !parse_newcomer(c, body, hash, &n))
                return;
        if (n.invitation || n.setup_code)
                wait = login_throttle_check_network(c->backend->throttle, c->network, now_usec(CLOCK_MONOTONIC));
        if (wait > 0) {
                api_respond_busy(c, wait);
                api_refused(c, "account.refused", AUDIT_THROTTLED, NULL);
                return;
        }
        api_act_begin(c, asked);
        api_act_begun(c, sign_up_ask(c->backend, &n, api_act_done, c));
}

/* ---- What the pages before the login need to know ---- */

static void features_asked(ApiCall *c, PGresult *res, int error)
{
        _cleanup_json_ json_object *o = NULL;
        const Newcomer somebody = { .local = http_request_is_local(c->req) };
        const char *sign_up;

        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        switch (sign_up_admit(c->backend, res, &somebody)) {
        case ADMISSION_OPEN:
                sign_up = "open";
                break;
        case ADMISSION_INVITATION_NEEDED:
                sign_up = "invite";
                break;
        case ADMISSION_NOT_SET_UP:
                sign_up = c->backend->config->setup_code ? "setup-code" : "not-set-up";
                break;
        default:
                sign_up = "closed";
        }
        o = json_object_new_object();
        if (!o || json_add_bool(o, "mail", delivery_has_mail(notifier_config(c->backend->notifier))) < 0 ||
            json_add_bool(o, "push", notifier_push_key(c->backend->notifier) != NULL) < 0 ||
            json_add_string(o, "sign_up", sign_up) < 0)
                api_fail(c, NULL, -ENOMEM);
        else
                http_respond_json(c->req, 200, TAKE_PTR(o));
}

static void get_features(ApiCall *c)
{
        api_act_begin(c, features_asked);
        api_act_begun(c, sign_up_ask(c->backend, NULL, api_act_done, c));
}

const ApiRoute api_sign_up_routes[] = {
        { "POST", "/api/v1/users/register", API_OPEN, register_user },
        { "GET", "/api/v1/features", API_OPEN, get_features },
        {},
};
