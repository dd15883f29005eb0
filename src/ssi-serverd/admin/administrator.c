/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/administrator.h"
#include "admin/internal.h"
#include "notify/notifier.h"

/* Administrators, and what they do with accounts. */

/* -ENXIO: no mail can be sent. */
static int mail_reset(Backend *b, const char *account, const char *actor, db_callback_t done, void *userdata)
{
        return notifier_has_account_mail(b->notifier) ? account_mail_reset(b, account, actor, done, userdata) : -ENXIO;
}

static void done(AdminCall *c, PGresult *res, int error)
{
        if (error < 0)
                admin_reply_failure(c, res, error);
        else if (PQntuples(res) == 0)
                admin_reply_no_user(c);
        else if (*PQgetvalue(res, 0, ADMINISTRATOR_ROW_LAST) == 't')
                admin_reply_error(c, "LastAdministrator",
                                  "This is the last administrator: make another one first, with \"ssictl server "
                                  "grant-admin\".");
        else
                admin_reply(c, "");
}

int admin_method_grant_administration(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return admin_method_act(userdata, m, error, administrator_grant, done);
}

int admin_method_revoke_administration(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return admin_method_act(userdata, m, error, administrator_revoke, done);
}

int admin_method_lock_user(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return admin_method_act(userdata, m, error, account_lock, done);
}

int admin_method_unlock_user(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return admin_method_act(userdata, m, error, account_unlock, done);
}

static void mail_asked(AdminCall *c, PGresult *res, int error)
{
        if (error == -ENXIO)
                admin_reply_error(
                        c, "NoMail",
                        "The backend sends no mail; configure SSI_SMTP_URL, SSI_SMTP_FROM and SSI_PUBLIC_URL, or use "
                        "\"ssictl server passwd\".");
        else if (error < 0)
                admin_reply_failure(c, res, error);
        else if (PQntuples(res) == 0)
                admin_reply_no_user(c);
        else if (*PQgetvalue(res, 0, 1) != 't')
                admin_reply_error(c, "TooManyMails",
                                  "The account got too many of these mails in the last hour; try again later.");
        else {
                notifier_kick(c->admin->backend->notifier);
                admin_reply(c, "");
        }
}

int admin_method_mail_password_reset(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return admin_method_act(userdata, m, error, mail_reset, mail_asked);
}
