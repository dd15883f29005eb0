/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>

#include "api.h"
#include "log.h"
#include "stream.h"

typedef struct RouteEntry {
        Server *server;
        const ApiRoute *route;
} RouteEntry;

struct ApiRoutes {
        RouteEntry *entries;
        size_t n;
};

uint64_t api_now(void)
{
        return (uint64_t) time(NULL);
}

static void call_free(void *userdata)
{
        ApiCall *c = userdata;

        free(c->user);
        free(c->session);
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
        http_respond_problem(c->req, 429, "too-many-requests", "Too many requests. Wait, then try again.");
}

/* Who is known counts for themselves, who is not by their address. What tells whether we live is never held up. */
void api_run(ApiCall *c)
{
        bool counted = startswith(c->route->pattern, "/api/") || startswith(c->route->pattern, "/public/");
        uint64_t now = 0, wait;

        if (c->user)
                http_request_set_user(c->req, c->user);
        if (c->server->rate_limit && counted && sd_event_now(c->server->event, CLOCK_MONOTONIC, &now) >= 0) {
                wait = rate_limit_take(c->server->rate_limit, c->user ?: strempty(http_request_peer(c->req)), now);
                if (wait > 0) {
                        api_respond_busy(c, wait);
                        return;
                }
        }
        c->route->handler(c);
}

static void dispatch(HttpRequest *req, void *userdata)
{
        const RouteEntry *e = userdata;
        ApiCall *c;

        c = calloc(1, sizeof(*c));
        if (!c) {
                http_respond_problem(req, 500, "out-of-memory", NULL);
                return;
        }
        c->server = e->server;
        c->req = req;
        c->route = e->route;
        http_request_set_userdata(req, c, call_free);
        if (e->route->access == API_OPEN)
                api_run(c);
        else
                api_authenticate(c);
}

static void query_done(PGresult *res, int error, void *userdata)
{
        ApiCall *c = userdata;
        HttpRequest *req = c->req;
        const char *const *before = http_request_log_enter(req);

        c->done(c, res, error);
        log_set_fields(before);
        http_request_unref(req);
}

void api_query(ApiCall *c, const char *sql, unsigned n_params, const char *const *params,
               void (*done)(ApiCall *c, PGresult *res, int error))
{
        int r;

        c->done = done;
        http_request_ref(c->req);
        r = server_query(c->server, sql, n_params, params, query_done, c);
        if (r < 0) {
                api_fail(c, NULL, r);
                http_request_unref(c->req);
        }
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

void api_respond_not_found(ApiCall *c)
{
        http_respond_problem(c->req, 404, "not-found", "There is no such resource.");
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

static void get_healthz(ApiCall *c)
{
        http_respond_data(c->req, 200, "application/json", "{\"status\":\"ok\"}", strlen("{\"status\":\"ok\"}"));
}

static void readyz_done(ApiCall *c, PGresult *res, int error)
{
        if (error < 0 || !server_is_ready(c->server))
                api_fail(c, res, -ENOTCONN);
        else if (c->server->trouble)
                http_respond_problem(c->req, 503, "unavailable", "The database takes nothing.");
        else
                http_respond_data(c->req, 200, "application/json", "{\"status\":\"ready\"}",
                                  strlen("{\"status\":\"ready\"}"));
}

static void get_readyz(ApiCall *c)
{
        api_query(c, "SELECT 1", 0, NULL, readyz_done);
}

static const ApiRoute api_common_routes[] = {
        { "GET", "/healthz", API_OPEN, get_healthz },
        { "GET", "/readyz", API_OPEN, get_readyz },
        { "GET", "/api/v1/stream", API_READ, stream_open },
        {},
};

static const ApiRoute *const tables[] = {
        api_common_routes, api_openapi_routes, api_user_routes,    api_session_routes, api_token_routes,
        api_agent_routes,  api_server_routes,  api_service_routes, api_event_routes,   api_public_routes,
        api_qr_routes,     api_timeline_routes, api_mail_routes,  api_channel_routes,
        api_notification_routes, api_push_routes, api_silence_routes, api_login_code_routes,
};

void api_list_routes(FILE *f)
{
        static const char *const names[] = {
                [API_ACCOUNT] = "account",
                [API_OPEN] = "open",
                [API_READ] = "read",
                [API_WRITE] = "write",
                [API_REGISTER] = "servers:register",
        };

        for (size_t i = 0; i < ELEMENTSOF(tables); i++)
                for (const ApiRoute *t = tables[i]; t->method; t++)
                        fprintf(f, "%s %s %s\n", t->method, t->pattern, names[t->access]);
}

/* What is below neither /api/ nor /public/ tells of the instance itself. */
static bool is_served(const Server *s, const ApiRoute *route)
{
        bool ingest = startswith(route->pattern, "/api/v1/agents/claim");

        return (!startswith(route->pattern, "/api/") && !startswith(route->pattern, "/public/")) ||
               (s->role & (ingest ? SERVER_ROLE_INGEST : SERVER_ROLE_API));
}

int api_register(Server *s, ApiRoutes **ret)
{
        ApiRoutes *routes;
        size_t n = 0;
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(tables); i++)
                for (const ApiRoute *t = tables[i]; t->method; t++)
                        n++;
        routes = calloc(1, sizeof(*routes));
        if (!routes)
                return -ENOMEM;
        routes->entries = calloc(n, sizeof(*routes->entries));
        if (!routes->entries)
                r = -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(tables) && r >= 0; i++)
                for (const ApiRoute *t = tables[i]; t->method && r >= 0; t++) {
                        RouteEntry *e = &routes->entries[routes->n++];

                        if (!is_served(s, t))
                                continue;
                        *e = (RouteEntry){ .server = s, .route = t };
                        r = http_server_add_route(s->http, t->method, t->pattern, dispatch, e);
                }
        if (r < 0) {
                api_routes_free(routes);
                return r;
        }
        *ret = routes;
        return 0;
}

ApiRoutes *api_routes_free(ApiRoutes *r)
{
        if (!r)
                return NULL;
        free(r->entries);
        free(r);
        return NULL;
}
