/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/usage.h"
#include "api/api.h"
#include "notify/notifier.h"
#include "shared/status-line.h"
#include "auth/token.h"
#include "api/field.h"
#include "api/silences.sql.h"

/* Silences and acknowledgements suppress notifications: the former for a time, the latter until the
 * recovery. */

#define REASON_BYTES 500
#define FILTER_BYTES 64

static void list_silences(ApiCall *c)
{
        const char *team;

        if (api_query_team(c, &team))
                api_query(c, SQL(list_silences, API_CALLER(c), .team = team), api_done_200);
}

/* An optional string of the body, possibly null; returns false if it has answered. */
static bool optional_string(ApiCall *c, json_object *body, const char *key, const char **ret)
{
        json_object *o = NULL;

        (void) json_object_object_get_ex(body, key, &o);
        *ret = o ? api_body_string(c, body, key, 1, FILTER_BYTES) : NULL;
        return !o || *ret;
}

/* Null or absent: forever. */
static bool parse_end(ApiCall *c, json_object *body, const char **ret)
{
        uint64_t usec;

        if (!optional_string(c, body, "ends_at", ret))
                return false;
        if (*ret && (parse_rfc3339(*ret, &usec) < 0 || usec / USEC_PER_SEC <= api_now())) {
                api_invalid(c, "ends_at must be a future RFC 3339 time, or null.");
                return false;
        }
        return true;
}

static void silence_made(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                api_respond_not_found(c);
        else if (PQgetisnull(res, 0, 0))
                api_respond_quota_reached(c, "too-many-silences", "silences");
        else
                http_respond_data(c->req, 201, "application/json", PQgetvalue(res, 0, 0),
                                  (size_t) PQgetlength(res, 0, 0));
}

static void create_silence(ApiCall *c)
{
        const char *server, *service, *label, *reason, *end;
        json_object *body = http_request_json(c->req);
        char id[ID_MAX];

        if (!body || !optional_string(c, body, "server_id", &server) ||
            !optional_string(c, body, "service", &service) || !optional_string(c, body, "label", &label) ||
            !parse_end(c, body, &end) || !api_body_team(c, body))
                return;
        reason = api_body_string(c, body, "reason", 1, REASON_BYTES);
        if (!reason)
                return;
        c->about_server = server;
        if (!server && !service && !label) {
                api_invalid(c, "Specify a server_id, a service or a label.");
                return;
        }
        id_new("sil", id);

        api_query(c,
                  SQL(create_silence, API_CALLER(c), .team = c->about_team, .id = id, .server = server,
                      .service = service, .label = label, .reason = reason, .end = end, .actor = api_actor(c)),
                  silence_made);
}

static void released(ApiCall *c, PGresult *res, int error)
{
        notifier_kick(c->backend->notifier);
        api_done_204(c, res, error);
}

static void delete_silence(ApiCall *c)
{
        api_query(c, SQL(delete_silence, API_CALLER(c), .id = http_request_param(c->req, "id"), .actor = api_actor(c)),
                  released);
}

static void change_silence(ApiCall *c)
{
        json_object *body = http_request_json(c->req), *o;
        const char *reason = NULL, *end;

        if (!body || !parse_end(c, body, &end))
                return;
        if (json_object_object_get_ex(body, "reason", &o)) {
                reason = api_body_string(c, body, "reason", 1, REASON_BYTES);
                if (!reason)
                        return;
        }

        api_query(c,
                  SQL(change_silence, API_CALLER(c), .id = http_request_param(c->req, "id"), .reason = reason,
                      .has_end = sql_bool(json_object_object_get_ex(body, "ends_at", &o)), .end = end,
                      .actor = api_actor(c)),
                  api_done_200);
}

/* ---- Acknowledgements ---- */

static void acknowledged(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) > 0 && PQgetisnull(res, 0, 0)) {
                http_respond_problem(c->req, 409, "nothing-wrong", "The service has no problem to acknowledge.");
                return;
        }
        if (error == 0 && PQntuples(res) > 0)
                backend_publish_one(c->backend, CHANGE_SERVICE, PQgetvalue(res, 0, 1),
                                    http_request_param(c->req, "server_id"), http_request_param(c->req, "name"));
        api_done_200(c, res, error);
}

static void acknowledge(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        const char *reason;

        if (!body)
                return;
        reason = api_body_string(c, body, "reason", 1, REASON_BYTES);
        if (!reason)
                return;

        /* It covers the current problem, and nothing worse. */
        api_query(c,
                  SQL(acknowledge, API_CALLER(c), .server_id = http_request_param(c->req, "server_id"),
                      .name = http_request_param(c->req, "name"), .reason = reason, .actor = api_actor(c)),
                  acknowledged);
}

static void withdrawn(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) > 0)
                backend_publish_one(c->backend, CHANGE_SERVICE, PQgetvalue(res, 0, 1),
                                    http_request_param(c->req, "server_id"), http_request_param(c->req, "name"));
        released(c, res, error);
}

static void withdraw_acknowledgement(ApiCall *c)
{
        api_query(c,
                  SQL(withdraw_acknowledgement, API_CALLER(c), .server_id = http_request_param(c->req, "server_id"),
                      .name = http_request_param(c->req, "name"), .actor = api_actor(c)),
                  withdrawn);
}

const ApiRoute api_silence_routes[] = {
        { "GET", "/api/v1/silences", API_READ, list_silences },
        { "POST", "/api/v1/silences", API_WRITE, create_silence },
        { "PATCH", "/api/v1/silences/:id", API_WRITE, change_silence },
        { "DELETE", "/api/v1/silences/:id", API_WRITE, delete_silence },
        { "POST", "/api/v1/servers/:server_id/services/:name/acknowledgement", API_WRITE, acknowledge },
        { "DELETE", "/api/v1/servers/:server_id/services/:name/acknowledgement", API_WRITE, withdraw_acknowledgement },
        {},
};
