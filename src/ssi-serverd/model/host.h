/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What can be done to a watched host, which users call a server. Callbacks as backend_query()'s. */

#include "model/act.h"

/* Who asks, and for which server: owner is the public id of the account whose it must be, or NULL for an administrator of the backend, who may
 * also name the server by a name that only one has. */
typedef struct HostRef {
        const char *owner;
        const char *server;
} HostRef;

/* Columns of the row that tells of a claim token, which is shown once, to be turned into an API key within the hour. */
enum {
        HOST_CLAIM_SERVER,
        HOST_CLAIM_AGENT,
        HOST_CLAIM_EXPIRES,      /* RFC 3339 */
        HOST_CLAIM_EXPIRES_USEC, /* since the epoch */
        HOST_CLAIM_OWNER,        /* the account's public id */
};

/* A claim token's text, which is the caller's; -ENOMEM. */
int host_claim_token_make(char **ret);

/* A new server of the account (by id or address), which is pending until its token is claimed. labels: an array's literal (db/array.h). One row; its
 * server is null when the account has SERVERS_MAX already; none when there is no such account. */
int host_add(Backend *b, const char *account, const char *name, const char *labels, const char *token,
             db_callback_t done, void *userdata);

/* Another token, for one that has expired or a key that is lost or known to others. The tokens before, if nobody has claimed them, do not do any
 * more; the agent's key does, until the new one is claimed. One row, or none when there is no such server. */
int host_new_claim_token(Backend *b, const HostRef *host, const char *token, db_callback_t done, void *userdata);

/* With its history. A row with the public ids of account and server, or none. */
int host_remove(Backend *b, const HostRef *host, db_callback_t done, void *userdata);
