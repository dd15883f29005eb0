/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/session.h"
#include "auth/token.h"
#include "api/field.h"
#include "shared/time-util.h"
#include "api/login-code.sql.h"

/* Logs in a second device without the password: a logged-in browser requests a code and shows it as a QR
 * code, which the other device exchanges for its own session. A session has one code at a time, which can be
 * used once; the code ends with the session, so logging out or changing the password revokes it, too. */

#define CODE_LIFETIME 120 /* s */
#define CODE_BYTES    256

/* text[0]: the code. */
static void code_made(ApiCall *c, PGresult *res, int error)
{
        _cleanup_json_ json_object *o = NULL;

        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        o = json_object_new_object();
        if (!o || json_add_string(o, "code", c->text[0]) < 0 || json_add_int64(o, "expires_in", CODE_LIFETIME) < 0)
                api_fail(c, NULL, -ENOMEM);
        else
                http_respond_json(c->req, 201, TAKE_PTR(o));
}

static void make_code(ApiCall *c)
{
        char code[TOKEN_MAX], hash[TOKEN_HASH_MAX], lifetime[16];

        token_new("login", code);
        token_hash(code, hash);
        snprintf(lifetime, sizeof(lifetime), "%d", CODE_LIFETIME);
        c->text[0] = strdup(code);
        if (!c->text[0]) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }

        api_query(c, SQL(make_code, .session = c->session, .hash = hash, .lifetime = lifetime, .actor = api_actor(c)),
                  code_made);
}

static void refuse_code(ApiCall *c)
{
        login_throttle_network_failed(c->backend->throttle, c->network, now_usec(CLOCK_MONOTONIC));
        http_respond_problem(c->req, 401, "bad-login-code", "The code is unknown, used or expired; request a new one.");
        api_refused(c, "login.refused", AUDIT_REFUSED, "login code");
}

static void use_code(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        char hash[TOKEN_HASH_MAX];
        const char *code;
        uint64_t wait;

        if (!body)
                return;
        code = api_body_string(c, body, "code", 1, CODE_BYTES);
        if (!code)
                return;
        wait = login_throttle_check_network(c->backend->throttle, c->network, now_usec(CLOCK_MONOTONIC));
        if (wait > 0) {
                api_respond_busy(c, wait);
                api_refused(c, "login.refused", AUDIT_THROTTLED, "login code");
                return;
        }
        token_hash(code, hash);
        api_session_start(c, SQL_session_of_code, "login code", hash, NULL, refuse_code);
}

const ApiRoute api_login_code_routes[] = {
        { "POST", "/api/v1/users/login-codes", API_RECENT, make_code },
        { "POST", "/api/v1/users/login-code", API_OPEN, use_code },
        {},
};
