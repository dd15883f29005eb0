/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/page.h"
#include "api/server.h"
#include "api/sql.h"
#include "auth/token.h"
#include "api/field.h"

static void list_servers(ApiCall *c)
{
        static const char *const states[] = { API_SERVER_STATES, NULL };
        const char *label, *q;
        ApiWords state, status;
        ApiPage page;

        if (!api_page_parse(c, "tt", &page) || !api_query_words(c, "state", states, &state) ||
            !api_query_words(c, "status", api_statuses, &status) || !api_query_line(c, "label", LABEL_MAX, &label) ||
            !api_query_line(c, "q", SERVER_NAME_MAX, &q))
                return;

        const char *params[] = { c->user, page.limit, page.keys[0], page.keys[1], state.array, status.array, label, q };

        /* The comparison of rows and the order are the index's. */
        api_query(c, "SELECT coalesce(json_agg(x.json ORDER BY x.name, x.public_id), '[]'), count(*), json_build_array("
                     "  (array_agg(x.name ORDER BY x.name DESC, x.public_id DESC))[1],"
                     "  (array_agg(x.public_id ORDER BY x.name DESC, x.public_id DESC))[1])"
                     " FROM (SELECT " SQL_SERVER_JSON " AS json, lower(s.name) AS name, s.public_id"
                     "  FROM servers s" SQL_SERVER_COUNTS " WHERE " SQL_OWNED_BY("$1")
                     "  AND (lower(s.name), s.public_id) > (coalesce($3, ''), coalesce($4, ''))"
                     "  AND ($5::text[] IS NULL OR " SQL_SERVER_STATE " = ANY($5::text[]))"
                     "  AND ($6::service_status[] IS NULL OR n.worst = ANY($6::service_status[]))"
                     "  AND ($7::text IS NULL OR $7 = ANY(s.labels))"
                     "  AND ($8::text IS NULL OR strpos(lower(s.name), lower($8)) > 0)"
                     "  ORDER BY lower(s.name), s.public_id LIMIT $2::int) x",
                  8, params, api_page_done);
}

static void get_server(ApiCall *c)
{
        const char *params[] = { c->user, http_request_param(c->req, "server_id") };

        api_query(c, "SELECT " SQL_SERVER_JSON " FROM servers s" SQL_SERVER_COUNTS
                     " WHERE s.public_id = $2 AND " SQL_OWNED_BY("$1"),
                  2, params, api_done_200);
}

/* Answers with the row, the server, and tells the streams. */
static void server_changed(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) > 0)
                backend_publish_one(c->backend, CHANGE_SERVER, c->user, http_request_param(c->req, "server_id"), NULL);
        api_done_200(c, res, error);
}

static void patch_server(ApiCall *c)
{
        _cleanup_(db_array_free) DbArray labels = {};
        json_object *body = http_request_json(c->req);
        const char *name = NULL, *labels_text = NULL;

        if (!body || !api_body_labels(c, body, &labels))
                return;
        if (json_object_object_get_ex(body, "name", NULL)) {
                name = api_body_line(c, body, "name", 1, SERVER_NAME_MAX);
                if (!name)
                        return;
        }
        if (json_get_array(body, "labels")) {
                labels_text = db_array_done(&labels);
                if (!labels_text) {
                        api_fail(c, NULL, -ENOMEM);
                        return;
                }
        }
        if (!name && !labels_text) {
                api_invalid(c, "Nothing to change: give a name or labels.");
                return;
        }

        const char *params[] = { c->user, http_request_param(c->req, "server_id"), name, labels_text };

        api_query(c, "WITH s AS (UPDATE servers s SET name = coalesce($3, s.name), labels = coalesce($4::text[], s.labels)"
                     "  WHERE s.public_id = $2 AND " SQL_OWNED_BY("$1") " RETURNING s.*)"
                     " SELECT " SQL_SERVER_JSON " FROM s" SQL_SERVER_COUNTS,
                  4, params, server_changed);
}

static void delete_done(ApiCall *c, PGresult *res, int error)
{
        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        if (PQntuples(res) == 0) {
                api_respond_not_found(c);
                return;
        }
        backend_publish_one(c->backend, CHANGE_SERVER_REMOVED, c->user, PQgetvalue(res, 0, 0), NULL);
        http_respond_empty(c->req, 204);
}

static void delete_server(ApiCall *c)
{
        const char *params[] = { c->user, http_request_param(c->req, "server_id") };

        api_query(c, "WITH gone AS (DELETE FROM servers s WHERE s.public_id = $2 AND " SQL_OWNED_BY("$1")
                     " RETURNING s.id, s.public_id),"
                     " history AS (DELETE FROM events e USING gone WHERE e.server_id = gone.id)"
                     " SELECT public_id FROM gone",
                  2, params, delete_done);
}

static void claim_token_made(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                api_respond_not_found(c);
        else
                http_respond_data(c->req, 201, "application/json", PQgetvalue(res, 0, 0),
                                  (size_t) PQgetlength(res, 0, 0));
}

/* For a server whose token has expired, or whose key is lost or known: the old key is good until the token is claimed. */
static void make_claim_token(ApiCall *c)
{
        char token[TOKEN_MAX], hash[TOKEN_HASH_MAX];

        token_new("claim", token);
        token_hash(token, hash);

        const char *params[] = { c->user, http_request_param(c->req, "server_id"), hash, token };

        api_query(c, "WITH s AS (SELECT s.id, s.public_id, s.agent_id FROM servers s WHERE s.public_id = $2"
                     "  AND " SQL_OWNED_BY("$1") " FOR UPDATE),"
                     " old AS (DELETE FROM claim_tokens t USING s WHERE t.server_id = s.id AND t.used_at IS NULL),"
                     " t AS (INSERT INTO claim_tokens (token_hash, server_id, expires_at)"
                     "  SELECT $3::bytea, s.id, now() + " CLAIM_LIFETIME " FROM s RETURNING expires_at)"
                     " SELECT json_build_object('agent_id', s.agent_id, 'server_id', s.public_id, 'claim_token', $4::text,"
                     "  'expires_at', " SQL_TIME("t.expires_at") ") FROM s, t",
                  4, params, claim_token_made);
}

const ApiRoute api_server_routes[] = {
        { "GET", "/api/v1/servers", API_READ, list_servers },
        { "GET", "/api/v1/servers/:server_id", API_READ, get_server },
        { "PATCH", "/api/v1/servers/:server_id", API_WRITE, patch_server },
        { "DELETE", "/api/v1/servers/:server_id", API_WRITE, delete_server },
        { "POST", "/api/v1/servers/:server_id/claim-token", API_WRITE, make_claim_token },
        {},
};
