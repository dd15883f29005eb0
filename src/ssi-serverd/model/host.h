/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Operations on a watched host, which users call a server. Callbacks as for backend_query(). actor: of
 * audit_actor_text(). */

#include "model/act.h"

/* Who asks: an account with the role that it must have in the server's team (model/team.sql); NULL for an administrator of the
 * backend, who may also name the server by its name if that is unique. About which server; or for which team (owner, its public
 * id), which an administrator may also name by the address of the account whose personal one it is. */
typedef struct HostRef {
        const char *user, *role;
        const char *server, *owner;
} HostRef;

/* Columns of the row that describes a claim token. It is shown once and must be exchanged for an API key
 * within an hour. */
enum {
        HOST_CLAIM_SERVER,
        HOST_CLAIM_AGENT,
        HOST_CLAIM_EXPIRES,      /* RFC 3339 */
        HOST_CLAIM_EXPIRES_USEC, /* since the epoch */
        HOST_CLAIM_OWNER,        /* the team's public id */
};

/* Makes a claim token's text, which the caller frees; -ENOMEM. */
int host_claim_token_make(char **ret);

/* Adds a server to the team host->owner, pending until its token is claimed. labels: an
 * array literal (db/array.h). One row, whose server is null when the team may have no more; none
 * when the team does not exist or is not the caller's. */
int host_add(Backend *b, const HostRef *host, const char *name, const char *labels, const char *token,
             const char *actor, db_callback_t done, void *userdata);

/* Makes another token, for one that expired or a key that is lost or leaked. Unclaimed tokens become
 * invalid; the agent's key works until the new token is claimed. One row, or none when the server does not
 * exist. */
int host_new_claim_token(Backend *b, const HostRef *host, const char *token, const char *actor, db_callback_t done,
                         void *userdata);

/* Of two hosts that use its agent's identity, keeps one: the other stays refused until it is registered anew. refused: keeps the one
 * that is refused, and ends the session of the other. One row, with the columns below, or none when the server does not exist. */
enum {
        HOST_KEEP_OWNER,
        HOST_KEEP_SERVER,
        HOST_KEEP_EPOCH,
        HOST_KEEP_DONE, /* "t" if there were two */
};
/* "accepted" or "refused". -EINVAL if it is neither. */
int host_keep_parse(const char *keep, bool *ret_refused);
#define HOST_KEEP_FAULT "keep must be \"accepted\" or \"refused\"."
int host_keep(Backend *b, const HostRef *host, bool refused, const char *actor, db_callback_t done, void *userdata);

/* Removes it with its history. One row with the public ids of team and server, or none. */
int host_remove(Backend *b, const HostRef *host, const char *actor, db_callback_t done, void *userdata);
