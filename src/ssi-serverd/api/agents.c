/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/server.h"
#include "api/usage.h"
#include "db/array.h"
#include "auth/token.h"
#include "api/field.h"
#include "model/host.h"
#include "api/agents.sql.h"

/* text[0]: the token. */
static void register_done(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) > 0 && PQgetisnull(res, 0, HOST_CLAIM_SERVER))
                api_respond_quota_reached(c, "too-many-servers", "servers");
        else
                api_respond_claim_token(c, res, error);
}

static void register_agent(ApiCall *c)
{
        _cleanup_(db_array_free) DbArray labels = {};
        json_object *body = http_request_json(c->req);
        const char *name, *labels_text;
        HostRef owner = { .user = c->user, .role = c->role };

        if (!body || !api_body_team(c, body))
                return;
        owner.owner = c->about_team ?: c->user;
        name = api_body_server_name(c, body, "server_name");
        if (!name || !api_body_labels(c, body, &labels))
                return;
        labels_text = db_array_done(&labels);
        if (!labels_text || host_claim_token_make(&c->text[0]) < 0) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        api_act_begin(c, register_done);
        api_act_begun(c, host_add(c->backend, &owner, name, labels_text, c->text[0], api_actor(c), api_act_done, c));
}

static void claim_done(ApiCall *c, PGresult *res, int error)
{
        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        if (PQntuples(res) == 0) {
                http_respond_problem(c->req, 401, "bad-claim-token",
                                     "The claim token is unknown, used or expired; create a new one.");
                api_refused(c, "server.claim-refused", AUDIT_REFUSED, "claim token");
                return;
        }
        /* Disconnects an agent that still uses the previous key. */
        backend_publish_one(c->backend, CHANGE_SESSION, PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2),
                            PQgetvalue(res, 0, 3));
        backend_publish_one(c->backend, CHANGE_SERVER, PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2), NULL);
        http_respond_data(c->req, 200, "application/json", PQgetvalue(res, 0, 0), (size_t) PQgetlength(res, 0, 0));
}

static void claim_agent(ApiCall *c)
{
        char key[TOKEN_MAX], key_hash[TOKEN_HASH_MAX], hash[TOKEN_HASH_MAX];
        json_object *body = http_request_json(c->req);
        const char *token;

        if (!body)
                return;
        token = api_body_string(c, body, "claim_token", 1, 256);
        if (!token)
                return;
        token_hash(token, hash);
        token_new("key", key);
        token_hash(key, key_hash);

        /* Of concurrent claims, the first to lock the row wins; the others then see a used token. */
        api_query(c,
                  SQL(claim_agent, .hash = hash, .key_hash = key_hash, .key = key,
                      .actor = api_actor_by(c, "claim token")),
                  claim_done);
}

const ApiRoute api_agent_routes[] = {
        { "POST", "/api/v1/agents/register", API_REGISTER, register_agent },
        { "POST", "/api/v1/agents/claim", API_OPEN, claim_agent },
        {},
};
