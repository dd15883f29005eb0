/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "auth/token.h"
#include "model/host.h"
#include "model/rules.h"
#include "model/host.sql.h"

#define HOST_CALLER(h) .user = (h)->user, .role = (h)->role

int host_claim_token_make(char **ret)
{
        char token[TOKEN_MAX];

        token_new("claim", token);
        *ret = strdup(token);
        return *ret ? 0 : -ENOMEM;
}

static void publish_added(Backend *b, PGresult *res)
{
        if (!PQgetisnull(res, 0, HOST_CLAIM_SERVER))
                backend_publish_one(b, CHANGE_SERVER, PQgetvalue(res, 0, HOST_CLAIM_OWNER),
                                    PQgetvalue(res, 0, HOST_CLAIM_SERVER), NULL);
}

int host_add(Backend *b, const HostRef *host, const char *name, const char *labels, const char *token,
             const char *actor, db_callback_t done, void *userdata)
{
        char server[ID_MAX], agent[ID_MAX], hash[TOKEN_HASH_MAX];

        id_new("srv", server);
        id_new("agt", agent);
        token_hash(token, hash);

        return act_query(b,
                         SQL(host_add, HOST_CALLER(host), .owner = host->owner, .server = server, .agent = agent,
                             .name = name, .labels = labels, .hash = hash, .actor = actor),
                         publish_added, done, userdata);
}

int host_new_claim_token(Backend *b, const HostRef *host, const char *token, const char *actor, db_callback_t done,
                         void *userdata)
{
        char hash[TOKEN_HASH_MAX];

        token_hash(token, hash);

        /* The statement locks the server: of two concurrent calls, the later one's token is valid. */
        return act_query(
                b, SQL(host_new_claim_token, HOST_CALLER(host), .server = host->server, .hash = hash, .actor = actor),
                NULL, done, userdata);
}

static void publish_kept(Backend *b, PGresult *res)
{
        const char *owner = PQgetvalue(res, 0, HOST_KEEP_OWNER), *server = PQgetvalue(res, 0, HOST_KEEP_SERVER);

        if (*PQgetvalue(res, 0, HOST_KEEP_DONE) != 't')
                return;
        backend_publish_one(b, CHANGE_SESSION, owner, server, PQgetvalue(res, 0, HOST_KEEP_EPOCH));
        backend_publish_one(b, CHANGE_SERVER, owner, server, NULL);
}

int host_keep_parse(const char *keep, bool *ret_refused)
{
        bool refused = streq_ptr(keep, "refused");

        if (!refused && !streq_ptr(keep, "accepted"))
                return -EINVAL;
        *ret_refused = refused;
        return 0;
}

int host_keep(Backend *b, const HostRef *host, bool refused, const char *actor, db_callback_t done, void *userdata)
{
        return act_query(
                b,
                SQL(host_keep, HOST_CALLER(host), .server = host->server, .refused = sql_bool(refused), .actor = actor),
                publish_kept, done, userdata);
}

static void publish_removed(Backend *b, PGresult *res)
{
        backend_publish_one(b, CHANGE_SERVER_REMOVED, PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1), NULL);
}

int host_remove(Backend *b, const HostRef *host, const char *actor, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(host_remove, HOST_CALLER(host), .server = host->server, .actor = actor),
                         publish_removed, done, userdata);
}
