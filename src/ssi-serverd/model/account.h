/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What can be done to an account. An account is named by its public id or its e-mail address. Callbacks as backend_query()'s; passwords come
 * as hashes (auth/password.h). */

#include "model/act.h"

/* A row with public id and address; none when the address is taken. verify: asks by mail whether it is the owner's. */
int account_add(Backend *b, const char *email, const char *hash, bool verify, db_callback_t done, void *userdata);

/* A row with the public id; none when there is no such account. Its sessions end, but for the one of this public id (NULL: all of them do), and so do
 * the links by which it could get another password. */
int account_set_password(Backend *b, const char *account, const char *keep_session, const char *hash, db_callback_t done,
                         void *userdata);

/* The same by the hash of a token that was mailed; no row when the token does not do. */
int account_reset_password(Backend *b, const char *token_hash, const char *hash, db_callback_t done, void *userdata);

/* With its servers and all that it owns. A row for each server, or one: the account's public id, the server's or null; none when there is no such
 * account. */
int account_remove(Backend *b, const char *account, db_callback_t done, void *userdata);
