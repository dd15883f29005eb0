/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Operations on accounts. An account is named by its public id or its e-mail address. Callbacks as for
 * backend_query(); actor: of audit_actor_text(); passwords are passed as hashes (auth/password.h). */

#include "model/act.h"

/* One row with public id and address, both null when the address is taken. verify: send a mail to confirm the address, before
 * which nobody can log in, or to say that it is taken. modes: NULL, or of sign_up_modes_open(); no row when sign-up is in none of
 * them. */
int account_add(Backend *b, const char *email, const char *hash, bool verify, const char *modes, const char *actor,
                db_callback_t done, void *userdata);

/* The first account, with the setup code: it is an administrator, the address counts as confirmed, and sign-up is closed from now on. One row with
 * public id and address; none when there is an account, or when it was set up in another way. */
int account_add_first(Backend *b, const char *email, const char *hash, const char *actor, db_callback_t done,
                      void *userdata);

/* Columns of account_add_invited(). The first two are null when there is no new account. */
enum {
        INVITED_ID,
        INVITED_EMAIL,
        INVITED_TAKEN,     /* "t": the address has an account */
        INVITED_CONFIRMED, /* "t": the new account can be used at once */
};

/* As account_add(), with an invitation, which it uses up: invitation is the token's hash. A link of a mail confirms the
 * address. With verify, it is used up even if the address is taken, or trying again would tell. One row; none when
 * the invitation cannot be used. modes: of sign_up_modes_inviting(), for an invitation of an account. */
int account_add_invited(Backend *b, const char *email, const char *hash, const char *invitation, bool verify,
                        const char *modes, const char *actor, db_callback_t done, void *userdata);

/* A new password. What somebody who had the account may have left behind ends with the old one. */
typedef struct AccountPassword {
        const char *hash;
        const char *was;          /* the hash that the user's password was checked against; NULL: it was not */
        const char *keep_session; /* its public id; NULL: ends all. Login codes end, too */
        bool withdraw;            /* API tokens and all pending links; otherwise only links to reset the password */
        bool tell;                /* send a mail */
} AccountPassword;

/* One row with the public id, and as JSON what was withdrawn and what else is to be reviewed; none when the account does
 * not exist, or has another password than it was. */
int account_set_password(Backend *b, const char *account, const AccountPassword *password, const char *actor,
                         db_callback_t done, void *userdata);

/* The same by the hash of a mailed token, with everything withdrawn; no row when the token is not valid. From now on, the account is known in this
 * network. */
int account_reset_password(Backend *b, const char *token_hash, const char *hash, const char *network, const char *actor,
                           db_callback_t done, void *userdata);

/* Removes the account with its servers and all else it owns, and the teams of which it is the only member. One row per server, or
 * one row, with the public ids of the account, and of the server and its team or null, and whether it was done: if a team would
 * have no owner any more, nothing is. None when the account does not exist. */
#define ACCOUNT_REMOVED_DONE 3
#define ACCOUNT_IS_LAST_OWNER \
        "The account is the only owner of a team that has other members: make one of them an owner, or delete the team, first."
int account_remove(Backend *b, const char *account, const char *actor, db_callback_t done, void *userdata);
