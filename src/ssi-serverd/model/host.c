/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "auth/token.h"
#include "model/host.h"
#include "model/rules.h"
#include "model/sql.h"

#define CLAIM_LIFETIME "interval '1 hour'"

#define STRING_OF_(x) #x
#define STRING_OF(x)  STRING_OF_(x)

/* Servers s that a HostRef names; $1 owner, $2 server. */
#define HOST_IS                                                                                                        \
        "(($1::text IS NULL AND s.name = $2 AND NOT EXISTS (SELECT FROM servers o WHERE o.name = $2 AND o.id <> s.id))" \
        " OR (s.public_id = $2 AND ($1::text IS NULL OR s.user_id = (SELECT u.id FROM users u WHERE u.public_id = $1))))"

/* Of HOST_CLAIM_…; from servers s, their users u, and claim tokens t. */
#define CLAIM_COLUMNS "s.public_id, s.agent_id, " SQL_TIME("t.expires_at") ", " SQL_USEC("t.expires_at") ", u.public_id"

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
                backend_publish_one(b, CHANGE_SERVER, PQgetvalue(res, 0, HOST_CLAIM_OWNER), PQgetvalue(res, 0, HOST_CLAIM_SERVER), NULL);
}

int host_add(Backend *b, const char *account, const char *name, const char *labels, const char *token,
             db_callback_t done, void *userdata)
{
        char server[ID_MAX], agent[ID_MAX], hash[TOKEN_HASH_MAX];

        id_new("srv", server);
        id_new("agt", agent);
        token_hash(token, hash);

        const char *params[] = { account, server, agent, name, labels, hash };

        return act_query(b,
                         "WITH u AS (SELECT id, public_id FROM users WHERE public_id = $1 OR lower(email) = lower($1)),"
                         " s AS (INSERT INTO servers (user_id, public_id, agent_id, name, labels)"
                         "  SELECT u.id, $2, $3, $4, $5::text[] FROM u"
                         "  WHERE (SELECT count(*) FROM servers o WHERE o.user_id = u.id) < " STRING_OF(SERVERS_MAX)
                         "  RETURNING id, public_id, agent_id),"
                         " t AS (INSERT INTO claim_tokens (token_hash, server_id, expires_at)"
                         "  SELECT $6::bytea, s.id, now() + " CLAIM_LIFETIME " FROM s RETURNING expires_at)"
                         " SELECT " CLAIM_COLUMNS " FROM u LEFT JOIN s ON true LEFT JOIN t ON true",
                         6, params, publish_added, done, userdata);
}

int host_new_claim_token(Backend *b, const HostRef *host, const char *token, db_callback_t done, void *userdata)
{
        char hash[TOKEN_HASH_MAX];

        token_hash(token, hash);

        const char *params[] = { host->owner, host->server, hash };

        /* The lock: of two at once the later one's token is the one that does. */
        return act_query(b,
                         "WITH s AS (SELECT s.id, s.public_id, s.agent_id, s.user_id FROM servers s WHERE " HOST_IS " FOR UPDATE),"
                         " old AS (DELETE FROM claim_tokens t USING s WHERE t.server_id = s.id AND t.used_at IS NULL),"
                         " t AS (INSERT INTO claim_tokens (token_hash, server_id, expires_at)"
                         "  SELECT $3::bytea, s.id, now() + " CLAIM_LIFETIME " FROM s RETURNING expires_at)"
                         " SELECT " CLAIM_COLUMNS " FROM s JOIN users u ON u.id = s.user_id, t",
                         3, params, NULL, done, userdata);
}

static void publish_removed(Backend *b, PGresult *res)
{
        backend_publish_one(b, CHANGE_SERVER_REMOVED, PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1), NULL);
}

int host_remove(Backend *b, const HostRef *host, db_callback_t done, void *userdata)
{
        const char *params[] = { host->owner, host->server };

        return act_query(b,
                         "WITH gone AS (DELETE FROM servers s WHERE " HOST_IS " RETURNING s.id, s.public_id, s.user_id),"
                         " history AS (DELETE FROM events e USING gone WHERE e.server_id = gone.id)"
                         " SELECT u.public_id, gone.public_id FROM gone JOIN users u ON u.id = gone.user_id",
                         2, params, publish_removed, done, userdata);
}
