/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>

#include "agent/session-internal.h"
#include "agent/auth.sql.h"
#include "auth/token.h"
#include "model/audit.h"
#include "shared/json-util.h"

/* A new key for an agent, at its request. It is stored beside the key that is valid, which ends only when the agent has
 * authenticated with the new one (auth.sql): so the agent has a valid key, wherever it or the backend is interrupted. A key that
 * did not arrive is replaced by the next one. */

typedef struct Rotation {
        AgentSession *session; /* it stays while it is `querying` */
        char key[TOKEN_MAX];
} Rotation;

static void send_key(AgentSession *s, const char *key)
{
        json_object *payload = json_object_new_object();

        if (payload)
                (void) json_add_string(payload, "api_key", key);
        agent_session_send(s, "new_key", payload);
}

static void rotated(PGresult *res, int error, void *userdata)
{
        Rotation *r = userdata;
        AgentSession *s = r->session;

        s->querying = false;
        if (error == 0)
                audit_journal(res);
        if (error == 0 && PQntuples(res) > 0 && s->state == SESSION_READY)
                send_key(s, r->key);
        else if (error < 0)
                agent_session_refuse(s, CLOSE_UNAVAILABLE, "unavailable", "The database is not available.");
        agent_session_collect(s);
        sodium_memzero(r->key, sizeof(r->key));
        free(r);
}

void agent_session_rotate_key(AgentSession *s)
{
        const AuditActor by = { .who = s->server, .address = ws_peer(s->ws), .method = "agent key" };
        char hash[TOKEN_HASH_MAX], id[32], epoch[32];
        _cleanup_free_ char *actor = NULL;
        Rotation *r;

        /* One at a time: asking costs a statement. */
        if (s->querying)
                return;
        r = calloc(1, sizeof(*r));
        if (!r) {
                agent_session_refuse(s, CLOSE_UNAVAILABLE, "unavailable", "Out of memory.");
                return;
        }
        r->session = s;
        token_new("key", r->key);
        token_hash(r->key, hash);
        snprintf(id, sizeof(id), "%lld", (long long) s->id);
        snprintf(epoch, sizeof(epoch), "%lld", (long long) s->epoch);
        actor = audit_actor_text(&by);
        s->querying = true;
        if (backend_query(s->owner->backend, SQL(rotate_key, .id = id, .epoch = epoch, .hash = hash, .actor = actor),
                          rotated, r) < 0)
                rotated(NULL, -ENOTCONN, r);
}
