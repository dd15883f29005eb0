/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/administrator.h"
#include "model/administrator.sql.h"

/* Streams are opened again by who still may. */
static void publish_account(Backend *b, PGresult *res)
{
        backend_publish_one(b, CHANGE_ACCOUNT, PQgetvalue(res, 0, ADMINISTRATOR_ROW_ACCOUNT), "-", NULL);
}

int administrator_grant(Backend *b, const char *account, const char *actor, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(administrator_grant, .account = account, .actor = actor), publish_account, done,
                         userdata);
}

int administrator_revoke(Backend *b, const char *account, const char *actor, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(administrator_revoke, .account = account, .actor = actor), publish_account, done,
                         userdata);
}

int account_lock(Backend *b, const char *account, const char *actor, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(account_lock, .account = account, .actor = actor), publish_account, done, userdata);
}

int account_unlock(Backend *b, const char *account, const char *actor, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(account_unlock, .account = account, .actor = actor), NULL, done, userdata);
}

int account_mail_reset(Backend *b, const char *account, const char *actor, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(account_mail_reset, .account = account, .actor = actor), NULL, done, userdata);
}
