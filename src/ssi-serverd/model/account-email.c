/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "auth/token.h"
#include "model/account-email.h"
#include "model/account-email.sql.h"

/* Pages that show the account read it again. */
static void publish_shown(Backend *b, PGresult *res)
{
        backend_publish_one(b, CHANGE_LOGIN, PQgetvalue(res, 0, 0), "-", NULL);
}

int account_email_ask(Backend *b, const char *account, const char *email, const char *actor, db_callback_t done,
                      void *userdata)
{
        char id[ID_MAX];

        id_new("chg", id);
        return act_query(b, SQL(account_email_ask, .account = account, .id = id, .email = email, .actor = actor), NULL,
                         done, userdata);
}

int account_email_cancel(Backend *b, const char *account, const char *actor, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(account_email_cancel, .account = account, .actor = actor), publish_shown, done,
                         userdata);
}

int account_email_confirm(Backend *b, const char *token_hash, const char *actor, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(account_email_confirm, .token_hash = token_hash, .actor = actor), publish_shown, done,
                         userdata);
}

int account_email_set(Backend *b, const char *account, const char *email, bool tell, const char *actor,
                      db_callback_t done, void *userdata)
{
        return act_query(
                b, SQL(account_email_set, .account = account, .email = email, .tell = sql_bool(tell), .actor = actor),
                publish_shown, done, userdata);
}
