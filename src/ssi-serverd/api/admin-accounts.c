/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/admin-accounts.sql.h"
#include "api/api.h"
#include "api/field.h"
#include "api/mail.h"
#include "api/page.h"
#include "model/account.h"
#include "model/administrator.h"
#include "notify/notifier.h"

/* All accounts, for administrators (docs/adr/0060). org.ssi.Server1 has the same acts. */

typedef int (*act_t)(Backend *b, const char *account, const char *actor, db_callback_t done, void *userdata);

static const char *account_of(ApiCall *c)
{
        return http_request_param(c->req, "account_id");
}

static void list_accounts(ApiCall *c)
{
        static const char *const states[] = { "administrator", "locked", "unconfirmed", NULL };
        const char *search, *state = http_request_query(c->req, "state");
        ApiWords word;
        ApiPage page;

        if (!api_page_parse(c, "n", &page) || !api_query_line(c, "q", ACCOUNT_SEARCH_MAX, &search) ||
            !api_query_words(c, "state", states, &word))
                return;
        if (state && strchr(state, ',')) {
                api_invalid(c, "state takes one value.");
                return;
        }

        api_query(c,
                  SQL(list_accounts, .search = isempty(search) ? NULL : search, .state = state, .limit = page.limit,
                      .after = page.keys[0]),
                  api_page_done);
}

/* Administrators do not shut themselves out by accident. Answers and returns true if it is the own account. */
static bool is_own(ApiCall *c)
{
        if (!streq(account_of(c), c->user))
                return false;
        http_respond_problem(c->req, 409, "own-account",
                             "Nobody locks or removes the own account here. To delete it, use the account page.");
        return true;
}

static void done(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) > 0 && *PQgetvalue(res, 0, ADMINISTRATOR_ROW_LAST) == 't')
                http_respond_problem(c->req, 409, "last-administrator",
                                     "This is the last administrator: make another one first.");
        else
                api_done_204(c, res, error);
}

static void act(ApiCall *c, act_t f)
{
        api_act_begin(c, done);
        api_act_begun(c, f(c->backend, account_of(c), api_actor(c), api_act_done, c));
}

static void grant_administration(ApiCall *c)
{
        act(c, administrator_grant);
}

static void revoke_administration(ApiCall *c)
{
        act(c, administrator_revoke);
}

static void lock(ApiCall *c)
{
        if (!is_own(c))
                act(c, account_lock);
}

static void unlock(ApiCall *c)
{
        act(c, account_unlock);
}

static void remove_account(ApiCall *c)
{
        if (is_own(c))
                return;
        api_act_begin(c, api_done_204);
        api_act_begun(c, account_remove(c->backend, account_of(c), api_actor(c), api_act_done, c));
}

static void reset_asked(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                api_respond_not_found(c);
        else if (*PQgetvalue(res, 0, 1) != 't')
                api_respond_busy(c, 3600);
        else {
                notifier_kick(c->backend->notifier);
                http_respond_empty(c->req, 202);
        }
}

static void mail_reset(ApiCall *c)
{
        if (!api_need_mail(c))
                return;
        api_act_begin(c, reset_asked);
        api_act_begun(c, account_mail_reset(c->backend, account_of(c), api_actor(c), api_act_done, c));
}

const ApiRoute api_admin_account_routes[] = {
        { "GET", "/api/v1/admin/accounts", API_ADMIN, list_accounts },
        { "DELETE", "/api/v1/admin/accounts/:account_id", API_ADMIN_RECENT, remove_account },
        { "PUT", "/api/v1/admin/accounts/:account_id/administrator", API_ADMIN_RECENT, grant_administration },
        { "DELETE", "/api/v1/admin/accounts/:account_id/administrator", API_ADMIN_RECENT, revoke_administration },
        { "PUT", "/api/v1/admin/accounts/:account_id/lock", API_ADMIN_RECENT, lock },
        { "DELETE", "/api/v1/admin/accounts/:account_id/lock", API_ADMIN_RECENT, unlock },
        { "POST", "/api/v1/admin/accounts/:account_id/password-reset", API_ADMIN_RECENT, mail_reset },
        {},
};
