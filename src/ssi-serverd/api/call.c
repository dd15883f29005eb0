/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>

#include "api/call.h"
#include "http/rate-limit.h"
#include "model/team.sql.h"
#include "shared/log.h"
#include "shared/time-util.h"

uint64_t api_now(void)
{
        return (uint64_t) time(NULL);
}

static void call_free(void *userdata)
{
        ApiCall *c = userdata;

        login_attempt_free(c->attempt);
        free(c->user);
        free(c->session);
        free(c->token_id);
        free(c->token_name);
        free(c->actor);
        json_object_put(c->page_key);
        for (size_t i = 0; i < ELEMENTSOF(c->text); i++)
                free(c->text[i]);
        free(c);
}

void api_respond_busy(ApiCall *c, uint64_t seconds)
{
        char text[32];

        snprintf(text, sizeof(text), "%llu", (unsigned long long) seconds);
        (void) http_respond_add_header(c->req, "Retry-After", text);
        http_respond_problem(c->req, 429, "too-many-requests", "Too many requests; try again later.");
}

void api_respond_password_failure(ApiCall *c, int r)
{
        if (r == -EBUSY)
                api_respond_busy(c, 2);
        else
                api_fail(c, NULL, -ENOMEM);
}

/* Counts requests per user, or per network if there is none. Routes that report the instance's health are
 * never limited. */
void api_run(ApiCall *c)
{
        bool counted = startswith(c->route->pattern, "/api/") || startswith(c->route->pattern, "/public/");
        uint64_t wait;

        if (c->user)
                http_request_set_user(c->req, c->user);
        if (c->backend->rate_limit && counted) {
                wait = rate_limit_take(c->backend->rate_limit, c->user ?: c->network, now_usec(CLOCK_MONOTONIC));
                if (wait > 0) {
                        api_respond_busy(c, wait);
                        return;
                }
        }
        c->running = true;
        c->route->handler(c);
}

ApiCall *api_call_new(Backend *b, HttpRequest *req, const ApiRoute *route, const char *role)
{
        ApiCall *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        c->backend = b;
        c->req = req;
        c->route = route;
        c->role = role;
        network_of(http_request_peer(req), c->network);
        http_request_set_userdata(req, c, call_free);
        return c;
}

void api_act_done(PGresult *res, int error, void *userdata)
{
        ApiCall *c = userdata;
        HttpRequest *req = c->req;
        const char *const *before = http_request_log_enter(req);

        c->done(c, res, error);
        if (error == 0)
                audit_journal(res);
        log_set_fields(before);
        http_request_unref(req);
}

const char *api_actor_by(ApiCall *c, const char *method)
{
        const AuditActor actor = {
                .who = c->user ?: (method ? NULL : AUDIT_STRANGER),
                .address = http_request_peer(c->req),
                .method = method,
                .credential = c->session ?: c->token_id,
        };

        free(c->actor);
        c->actor = audit_actor_text(&actor);
        return c->actor;
}

const char *api_actor(ApiCall *c)
{
        _cleanup_free_ char *token = NULL;

        if (!c->token_name)
                return api_actor_by(c, c->session ? "session" : NULL);
        if (asprintf(&token, "token %s", c->token_name) < 0) {
                token = NULL;
                return NULL;
        }
        return api_actor_by(c, token);
}

void api_refused(ApiCall *c, const char *event, const char *outcome, const char *method)
{
        audit_refused(c->backend, &(AuditRefusal){ .event = event,
                                                   .outcome = outcome,
                                                   .method = method,
                                                   .network = c->network,
                                                   .account = c->user });
}

void api_act_begin(ApiCall *c, void (*done)(ApiCall *c, PGresult *res, int error))
{
        c->done = done;
        http_request_ref(c->req);
}

void api_act_begun(ApiCall *c, int r)
{
        if (r >= 0)
                return;
        api_fail(c, NULL, r);
        http_request_unref(c->req);
}

void api_query(ApiCall *c, const char *sql, unsigned n_params, const char *const *params,
               void (*done)(ApiCall *c, PGresult *res, int error))
{
        Replica *replica = c->running && c->route->from_replica && c->position[0] ? c->backend->replica : NULL;

        api_act_begin(c, done);
        api_act_begun(c, replica ? replica_query(replica, c->position, sql, n_params, params, api_act_done, c) :
                                   backend_query(c->backend, sql, n_params, params, api_act_done, c));
}

void api_fail(ApiCall *c, PGresult *res, int error)
{
        switch (error) {
        case -ENOTCONN:
        case -ECONNRESET:
        case -EBUSY:
        case -EAGAIN:
        case -ECANCELED:
                (void) http_respond_add_header(c->req, "Retry-After", "1");
                http_respond_problem(c->req, 503, "unavailable", "The database is not available.");
                return;
        case -ENOMEM:
                http_respond_problem(c->req, 500, "out-of-memory", NULL);
                return;
        default:
                log_warning("%s: %s", http_request_path(c->req), db_result_message(res));
                http_respond_problem(c->req, 500, "internal", NULL);
        }
}

/* The row: the team and the caller's role in it. None: it is not for this caller to know whether it exists. */
static void role_found(ApiCall *c, PGresult *res, int error)
{
        _cleanup_free_ char *detail = NULL;

        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                http_respond_problem(c->req, 404, "not-found", "The resource does not exist.");
        else if (asprintf(&detail,
                          "This needs the role %s in the team %s; yours is %s. Ask an administrator of the team.",
                          c->role, PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1)) < 0) {
                detail = NULL;
                api_fail(c, NULL, -ENOMEM);
        } else
                http_respond_problem(c->req, 403, "role-needed", detail);
}

void api_respond_not_found(ApiCall *c)
{
        if (c->role && !streq(c->role, API_LEAST_ROLE))
                api_query(c,
                          SQL(team_refused, API_CALLER(c),
                              .server = c->about_server ?: http_request_param(c->req, "server_id"),
                              .id = http_request_param(c->req, "id"),
                              .team = c->about_team ?: http_request_param(c->req, "team_id")),
                          role_found);
        else
                http_respond_problem(c->req, 404, "not-found", "The resource does not exist.");
}

void api_done_200(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                api_respond_not_found(c);
        else
                http_respond_data(c->req, 200, "application/json", PQgetvalue(res, 0, 0),
                                  (size_t) PQgetlength(res, 0, 0));
}

void api_done_204(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                api_respond_not_found(c);
        else
                http_respond_empty(c->req, 204);
}
