/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/page.h"
#include "api/server.h"
#include "auth/token.h"
#include "api/field.h"
#include "model/host.h"
#include "api/servers.sql.h"

static void list_servers(ApiCall *c)
{
        static const char *const states[] = { API_SERVER_STATES, NULL };
        const char *label, *q, *team;
        ApiWords state, status;
        ApiPage page;

        if (!api_page_parse(c, "tt", &page) || !api_query_words(c, "state", states, &state) ||
            !api_query_words(c, "status", api_statuses, &status) || !api_query_line(c, "label", LABEL_MAX, &label) ||
            !api_query_line(c, "q", SERVER_NAME_MAX, &q) || !api_query_team(c, &team))
                return;

        /* The row comparison and the order match the index. */
        api_query(c,
                  SQL(list_servers, API_CALLER(c), .limit = page.limit, .after = page.keys[0], .after_id = page.keys[1],
                      .state = state.array, .status = status.array, .label = label, .q = q, .team = team),
                  api_page_done);
}

static void get_server(ApiCall *c)
{
        api_query(c, SQL(get_server, API_CALLER(c), .server_id = http_request_param(c->req, "server_id")),
                  api_done_200);
}

/* Answers with the row: the server, and its team, whose streams are notified. */
static void server_changed(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) > 0)
                backend_publish_one(c->backend, CHANGE_SERVER, PQgetvalue(res, 0, 1),
                                    http_request_param(c->req, "server_id"), NULL);
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
                name = api_body_server_name(c, body, "name");
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
                api_invalid(c, "Nothing to change: specify a name or labels.");
                return;
        }

        api_query(c,
                  SQL(patch_server, API_CALLER(c), .server_id = http_request_param(c->req, "server_id"), .name = name,
                      .labels_text = labels_text, .actor = api_actor(c)),
                  server_changed);
}

static HostRef named_server(ApiCall *c)
{
        return (HostRef){ .user = c->user, .role = c->role, .server = http_request_param(c->req, "server_id") };
}

static void delete_server(ApiCall *c)
{
        const HostRef host = named_server(c);

        api_act_begin(c, api_done_204);
        api_act_begun(c, host_remove(c->backend, &host, api_actor(c), api_act_done, c));
}

/* text[0]: the token. */
void api_respond_claim_token(ApiCall *c, PGresult *res, int error)
{
        _cleanup_json_ json_object *o = NULL;

        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                api_respond_not_found(c);
        else if (!(o = json_object_new_object()) ||
                 json_add_string(o, "agent_id", PQgetvalue(res, 0, HOST_CLAIM_AGENT)) < 0 ||
                 json_add_string(o, "server_id", PQgetvalue(res, 0, HOST_CLAIM_SERVER)) < 0 ||
                 json_add_string(o, "claim_token", c->text[0]) < 0 ||
                 json_add_string(o, "expires_at", PQgetvalue(res, 0, HOST_CLAIM_EXPIRES)) < 0)
                api_fail(c, NULL, -ENOMEM);
        else
                http_respond_json(c->req, 201, TAKE_PTR(o));
}

static void make_claim_token(ApiCall *c)
{
        const HostRef host = named_server(c);

        if (host_claim_token_make(&c->text[0]) < 0) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        api_act_begin(c, api_respond_claim_token);
        api_act_begun(c, host_new_claim_token(c->backend, &host, c->text[0], api_actor(c), api_act_done, c));
}

static void host_kept(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) > 0 && *PQgetvalue(res, 0, HOST_KEEP_DONE) != 't')
                http_respond_problem(c->req, 409, "no-duplicate", "No two hosts use this server's identity.");
        else
                api_done_204(c, res, error);
}

static void keep_host(ApiCall *c)
{
        const HostRef host = named_server(c);
        json_object *body = http_request_json(c->req);
        bool refused;

        if (!body)
                return;
        if (host_keep_parse(json_get_string(body, "keep"), &refused) < 0) {
                api_invalid(c, HOST_KEEP_FAULT);
                return;
        }
        api_act_begin(c, host_kept);
        api_act_begun(c, host_keep(c->backend, &host, refused, api_actor(c), api_act_done, c));
}

const ApiRoute api_server_routes[] = {
        { "GET", "/api/v1/servers", API_READ, list_servers },
        { "GET", "/api/v1/servers/:server_id", API_READ, get_server },
        { "PATCH", "/api/v1/servers/:server_id", API_WRITE, patch_server },
        { "DELETE", "/api/v1/servers/:server_id", API_WRITE, delete_server },
        { "POST", "/api/v1/servers/:server_id/claim-token", API_WRITE, make_claim_token },
        { "POST", "/api/v1/servers/:server_id/duplicate", API_WRITE, keep_host },
        {},
};
