/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "auth/token.h"
#include "model/account.h"
#include "model/account.sql.h"

/* Sessions end on every instance, which closes their open streams. */
static void publish_account(Backend *b, PGresult *res)
{
        backend_publish_one(b, CHANGE_ACCOUNT, PQgetvalue(res, 0, 0), "-", NULL);
}

int account_add(Backend *b, const char *email, const char *hash, bool verify, const char *modes, const char *actor,
                db_callback_t done, void *userdata)
{
        char id[ID_MAX];

        id_new("usr", id);

        /* Asks for the confirmation mail at once. The account does not depend on its delivery. */
        return act_query(b,
                         SQL(account_add, .id = id, .email = email, .hash = hash, .verify = sql_bool(verify),
                             .modes = modes, .actor = actor),
                         NULL, done, userdata);
}

int account_add_first(Backend *b, const char *email, const char *hash, const char *actor, db_callback_t done,
                      void *userdata)
{
        char id[ID_MAX];

        id_new("usr", id);

        /* Of two at once, only one gets to keep the setting. */
        return act_query(b, SQL(account_add_first, .id = id, .email = email, .hash = hash, .actor = actor), NULL, done,
                         userdata);
}

int account_add_invited(Backend *b, const char *email, const char *hash, const char *invitation, bool verify,
                        const char *modes, const char *actor, db_callback_t done, void *userdata)
{
        char id[ID_MAX];

        id_new("usr", id);

        return act_query(b,
                         SQL(account_add_invited, .id = id, .email = email, .hash = hash, .invitation = invitation,
                             .verify = sql_bool(verify), .modes = modes, .actor = actor),
                         NULL, done, userdata);
}

int account_set_password(Backend *b, const char *account, const AccountPassword *password, const char *actor,
                         db_callback_t done, void *userdata)
{
        return act_query(b,
                         SQL(account_set_password, .account = account, .keep_session = password->keep_session,
                             .hash = password->hash, .was = password->was, .withdraw = sql_bool(password->withdraw),
                             .tell = sql_bool(password->tell), .actor = actor),
                         publish_account, done, userdata);
}

int account_reset_password(Backend *b, const char *token_hash, const char *hash, const char *network, const char *actor,
                           db_callback_t done, void *userdata)
{
        /* Deletes all of the account's tokens for this purpose: of several mails one is enough. */
        return act_query(
                b,
                SQL(account_reset_password, .token_hash = token_hash, .hash = hash, .network = network, .actor = actor),
                publish_account, done, userdata);
}

static void publish_removed(Backend *b, PGresult *res)
{
        if (*PQgetvalue(res, 0, ACCOUNT_REMOVED_DONE) != 't')
                return;
        for (int i = 0; i < PQntuples(res); i++)
                if (!PQgetisnull(res, i, 1))
                        backend_publish_one(b, CHANGE_SERVER_REMOVED, PQgetvalue(res, i, 2), PQgetvalue(res, i, 1),
                                            NULL);
        publish_account(b, res);
        /* The deletion itself records transitions for the removed services, which nobody needs now. */
        (void) backend_query(b, SQL(forget_removed), NULL, NULL);
}

int account_remove(Backend *b, const char *account, const char *actor, db_callback_t done, void *userdata)
{
        /* Foreign keys delete what belongs to the user. */
        return act_query(b, SQL(account_remove, .account = account, .actor = actor), publish_removed, done, userdata);
}
