/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admin/internal.h"
#include "model/account-email.h"
#include "model/rules.h"
#include "notify/notifier.h"

static void email_done(AdminCall *c, PGresult *res, int error)
{
        bool none = error >= 0 && PQntuples(res) == 0, done = error >= 0 && !none && *PQgetvalue(res, 0, 1) == 't';

        if (error < 0 && error != -EEXIST)
                admin_reply_failure(c, res, error);
        else if (none)
                admin_reply_no_user(c);
        else if (!done)
                admin_reply_error(c, "AlreadyExists", "An account with this address already exists.");
        else {
                notifier_kick(c->admin->backend->notifier);
                admin_reply(c, "");
        }
}

int admin_method_set_email(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *user, *email;
        Admin *a = userdata;
        AdminCall *c;
        int r;

        r = admin_method_begin(a, m, error, "ss", &user, &email);
        if (r != 0)
                return r;
        r = admin_read_no_options(m, error);
        if (r < 0)
                return r;
        if (!email_is_acceptable(email))
                return sd_bus_error_set(error, SERVER_ERROR_PREFIX "InvalidEmail",
                                        "That is not a valid e-mail address of ASCII characters.");
        r = admin_call_new(a, m, &c);
        if (r < 0)
                return r;
        admin_act_begin(c, email_done);
        admin_act_begun(c, account_email_set(a->backend, user, email, notifier_has_account_mail(a->backend->notifier),
                                             c->actor, admin_act_done, c));
        return 1;
}
