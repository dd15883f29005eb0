/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Administrators of the backend, and what they do with accounts: docs/adr/0060. An account is named by its public id or its e-mail
 * address. Callbacks as for backend_query(); actor: of audit_actor_text(). Who may ask is checked before: REST by the session's
 * account (@is_administrator), the bus by polkit. */

#include "model/act.h"

#define ACCOUNT_SEARCH_MAX 254

/* Columns of the one row of an act; none when there is no such account. */
enum {
        ADMINISTRATOR_ROW_ACCOUNT, /* public id */
        ADMINISTRATOR_ROW_LAST,    /* "t": refused, or there would be no administrator who can log in */
};

/* What is so already is no error, and is not recorded again. */
int administrator_grant(Backend *b, const char *account, const char *actor, db_callback_t done, void *userdata);
int administrator_revoke(Backend *b, const char *account, const char *actor, db_callback_t done, void *userdata);

/* Nobody logs in to a locked account: its sessions, login codes and streams end at once, its pending invitations are withdrawn, and its
 * API tokens are refused as long as it is locked. Its servers report, and its channels are notified, as before. */
int account_lock(Backend *b, const char *account, const char *actor, db_callback_t done, void *userdata);
int account_unlock(Backend *b, const char *account, const char *actor, db_callback_t done, void *userdata);

/* Requests a mail with which its owner chooses a new password; call notifier_kick() when it is done. One row with the public id and
 * whether a mail is on its way ("f": too many in the last hour), or none. */
int account_mail_reset(Backend *b, const char *account, const char *actor, db_callback_t done, void *userdata);
