/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Another address for an account: docs/adr/0059. Callbacks as for backend_query(). Undoing it is account_reset_password(), with the
 * token of the mail to the old address. */

#include "model/act.h"

#define EMAIL_CHANGE_LIFETIME     86400 /* s, to confirm it */
#define EMAIL_CHANGE_MAILS_TO_MAX 3     /* a day, to an address */

/* Asks both addresses: call notifier_kick() when it is done. Replaces a change that waits. Does not tell whether the new address has an
 * account. One row: whether it is the account's address already, and whether it was done; if neither, too many mails were asked
 * for. */
int account_email_ask(Backend *b, const char *account, const char *email, const char *actor, db_callback_t done,
                      void *userdata);

/* Gives up the change that waits. One row, or none. */
int account_email_cancel(Backend *b, const char *account, const char *actor, db_callback_t done, void *userdata);

/* By the hash of the token that was mailed to the new address. One row: the account's public id, and its new address or null if
 * somebody else has it by now; none when the token is not valid. Call notifier_kick(). */
int account_email_confirm(Backend *b, const char *token_hash, const char *actor, db_callback_t done, void *userdata);

/* By an administrator: at once. tell: send a mail to the old address. One row with the public id and whether it was done, which
 * is not so when another account has the address (or -EEXIST, when it has just got it); none when there is no such account. */
int account_email_set(Backend *b, const char *account, const char *email, bool tell, const char *actor,
                      db_callback_t done, void *userdata);
