/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/account.sql.h"
#include "api/api.h"
#include "api/field.h"
#include "api/mail.h"
#include "model/account-email.h"
#include "notify/notifier.h"

/* The caller's own account: how its owner reads times, and another address for it (docs/adr/0059). */

#define TIME_ZONE_BYTES 64

static void show_account(ApiCall *c)
{
        api_query(c, SQL(show_account, .user = c->user), api_done_200);
}

/* ---- Times ---- */

/* "UTC" or "Area/Place". PostgreSQL would also take POSIX rules such as "x5", which browsers do not know: they need a digit, which only
 * the zones of "Etc" have. */
static bool is_zone(const char *s)
{
        bool etc = startswith(s, "Etc/GMT");

        if (streq(s, "UTC"))
                return true;
        if (!strchr(s, '/') || strlen(s) > TIME_ZONE_BYTES)
                return false;
        for (; *s; s++)
                if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || strchr("/_-", *s) ||
                      (etc && strchr("+0123456789", *s))))
                        return false;
        return true;
}

static void respond_bad_zone(ApiCall *c)
{
        api_invalid(c, "time_zone must be a name of the tz database, such as \"Europe/Athens\", or null.");
}

static void account_changed(ApiCall *c, PGresult *res, int error)
{
        if (error == -EINVAL) {
                respond_bad_zone(c);
                return;
        }
        if (error == 0)
                backend_publish_one(c->backend, CHANGE_LOGIN, c->user, "-", NULL);
        api_done_200(c, res, error);
}

/* Absent: *ret stays. False: it has answered. */
static bool parse_language(ApiCall *c, json_object *body, const char **ret)
{
        static const char *const known[] = { "en", "en-GB", "en-US" };
        json_object *o;

        if (!json_object_object_get_ex(body, "language", &o))
                return true;
        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (streq_ptr(json_get_string(body, "language"), known[i])) {
                        *ret = known[i];
                        return true;
                }
        api_invalid(c, "language must be en, en-GB or en-US.");
        return false;
}

static bool parse_clock(ApiCall *c, json_object *body, const char **ret)
{
        json_object *o;
        int64_t n;

        if (!json_object_object_get_ex(body, "clock", &o))
                return true;
        if (json_get_int64(body, "clock", &n) < 0 || (n != 12 && n != 24)) {
                api_invalid(c, "clock must be 12 or 24.");
                return false;
        }
        *ret = n == 12 ? "12" : "24";
        return true;
}

static void change_account(ApiCall *c)
{
        json_object *body = http_request_json(c->req), *o = NULL;
        const char *zone = NULL, *language = NULL, *clock = NULL;
        bool has_zone;

        if (!body)
                return;
        has_zone = json_object_object_get_ex(body, "time_zone", &o);
        if (o) {
                zone = json_get_string(body, "time_zone");
                if (!zone || !is_zone(zone)) {
                        respond_bad_zone(c);
                        return;
                }
        }
        if (!parse_language(c, body, &language) || !parse_clock(c, body, &clock))
                return;
        api_query(c,
                  SQL(change_account, .user = c->user, .has_zone = sql_bool(has_zone), .time_zone = zone,
                      .language = language, .clock = clock, .actor = api_actor(c)),
                  account_changed);
}

/* ---- Another address ---- */

static void change_asked(ApiCall *c, PGresult *res, int error)
{
        if (error < 0 || PQntuples(res) == 0)
                api_fail(c, res, error < 0 ? error : -ENOTCONN);
        else if (*PQgetvalue(res, 0, 0) == 't')
                api_invalid(c, "This is the address of the account already.");
        else if (*PQgetvalue(res, 0, 1) != 't')
                api_respond_busy(c, 3600);
        else {
                notifier_kick(c->backend->notifier);
                http_respond_empty(c->req, 202);
        }
}

/* The answer does not reveal whether the new address has an account. */
static void ask_for_change(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        const char *email;

        if (!body)
                return;
        email = api_body_email(c, body, true);
        if (!email)
                return;
        if (!api_has_mail(c)) {
                http_respond_problem(
                        c->req, 409, "mail-not-configured",
                        "This server sends no mail, so it cannot ask the new address. An administrator can "
                        "change it: ssictl server set-email.");
                return;
        }
        api_act_begin(c, change_asked);
        api_act_begun(c, account_email_ask(c->backend, c->user, email, api_actor(c), api_act_done, c));
}

static void cancel_change(ApiCall *c)
{
        api_act_begin(c, api_done_204);
        api_act_begun(c, account_email_cancel(c->backend, c->user, api_actor(c), api_act_done, c));
}

static void change_confirmed(ApiCall *c, PGresult *res, int error)
{
        if (error < 0 && error != -EEXIST)
                api_fail(c, res, error);
        else if (error == 0 && PQntuples(res) == 0)
                api_respond_bad_mail_token(c);
        else if (error == -EEXIST || PQgetisnull(res, 0, 1))
                api_respond_email_taken(c);
        else {
                notifier_kick(c->backend->notifier);
                http_respond_empty(c->req, 204);
        }
}

static void confirm_change(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        char hash[TOKEN_HASH_MAX];

        if (!body || !api_body_mail_token(c, body, hash) || !api_may_try_mail_token(c))
                return;
        api_act_begin(c, change_confirmed);
        api_act_begun(c, account_email_confirm(c->backend, hash, api_actor_by(c, "mail link"), api_act_done, c));
}

const ApiRoute api_account_routes[] = {
        { "GET", "/api/v1/account", API_READ, show_account },
        { "PATCH", "/api/v1/account", API_ACCOUNT, change_account },
        { "POST", "/api/v1/account/email", API_RECENT, ask_for_change },
        { "DELETE", "/api/v1/account/email", API_ACCOUNT, cancel_change },
        { "POST", "/api/v1/account/email/confirm", API_OPEN, confirm_change },
        {},
};
