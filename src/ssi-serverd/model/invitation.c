/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "auth/token.h"
#include "model/invitation.h"
#include "model/invitation.sql.h"

int invitation_token_make(char **ret)
{
        char token[TOKEN_MAX];

        token_new("invite", token);
        *ret = strdup(token);
        return *ret ? 0 : -ENOMEM;
}

int invitation_add(Backend *b, const InvitationNew *new, const char *token, const char *actor, db_callback_t done,
                   void *userdata)
{
        char id[ID_MAX], hash[TOKEN_HASH_MAX], lifetime[16];

        id_new("inv", id);
        token_hash(token, hash);
        snprintf(lifetime, sizeof(lifetime), "%u", new->lifetime);

        return act_query(b,
                         SQL(invitation_add, .account = new->account, .user = new->account, .role = new->role,
                             .team = new->team, .to = new->to, .id = id, .hash = hash, .email = new->email,
                             .lifetime = lifetime, .mail = sql_bool(new->mail), .actor = actor),
                         NULL, done, userdata);
}

int invitation_remove(Backend *b, const char *account, const char *team, const char *role, const char *id,
                      const char *actor, db_callback_t done, void *userdata)
{
        return act_query(b,
                         SQL(invitation_remove, .account = account, .user = account, .team = team, .role = role,
                             .id = id, .actor = actor),
                         NULL, done, userdata);
}
