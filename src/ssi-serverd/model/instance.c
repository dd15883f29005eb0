/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "auth/token.h"
#include "model/instance.h"
#include "model/instance.sql.h"

int instance_list(Backend *b, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(instance_list), NULL, done, userdata);
}

int join_token_make(char **ret)
{
        char token[TOKEN_MAX];

        token_new("join", token);
        *ret = strdup(token);
        return *ret ? 0 : -ENOMEM;
}

int join_token_add(Backend *b, const char *token, unsigned lifetime, const char *actor, db_callback_t done,
                   void *userdata)
{
        char id[ID_MAX], hash[TOKEN_HASH_MAX], text[16];

        id_new("jtk", id);
        token_hash(token, hash);
        snprintf(text, sizeof(text), "%u", lifetime);

        return act_query(b, SQL(join_token_add, .id = id, .hash = hash, .lifetime = text, .actor = actor), NULL, done,
                         userdata);
}

int join_token_list(Backend *b, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(join_token_list), NULL, done, userdata);
}

int join_token_remove(Backend *b, const char *id, const char *actor, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(join_token_remove, .id = id, .actor = actor), NULL, done, userdata);
}

int join_token_look(Backend *b, const char *token, db_callback_t done, void *userdata)
{
        char hash[TOKEN_HASH_MAX];

        token_hash(token, hash);
        return act_query(b, SQL(join_token_look, .hash = hash), NULL, done, userdata);
}

int join_token_use(Backend *b, const char *token, const JoiningHost *h, const char *actor, db_callback_t done,
                   void *userdata)
{
        char hash[TOKEN_HASH_MAX];

        token_hash(token, hash);
        return act_query(b, SQL(join_token_use, .hash = hash, .host = h->host, .hostname = h->hostname, .actor = actor),
                         NULL, done, userdata);
}

int instance_renew_look(Backend *b, const char *host, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(instance_renew_look, .host = host), NULL, done, userdata);
}

int instance_renewed(Backend *b, const char *host, const char *actor, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(instance_renewed, .host = host, .actor = actor), NULL, done, userdata);
}

int instance_leave(Backend *b, const char *actor, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(instance_leave, .host = b->host, .actor = actor), NULL, done, userdata);
}

int instance_remove_host(Backend *b, const char *host, const char *actor, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(instance_remove_host, .host = host, .actor = actor), NULL, done, userdata);
}
