#include <stdarg.h>
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
        for (size_t i = 0; i < ELEMENTSOF(c->text); i++)
                free(c->text[i]);
        free(c);
}

static void respond_unauthorized(ApiCall *c)
{
        (void) http_respond_add_header(c->req, "WWW-Authenticate", "Bearer");
        http_respond_problem(c->req, 401, "unauthorized", "A valid access token is needed.");
}

/* Returns whether the request may go on; else it has been answered. */
static bool authenticate(ApiCall *c)
{
        const char *header = http_request_authorization(c->req);
        int r;

        if (!header || strncasecmp(header, "Bearer ", strlen("Bearer ")) != 0) {
                respond_unauthorized(c);
                return false;
        }
        if (!c->server->have_key) {
                api_fail(c, NULL, -ENOTCONN);
                return false;
        }
        r = access_token_check(c->server->key, header + strlen("Bearer "), api_now(), &c->user, &c->token_expires);
        if (r == -EACCES)
                respond_unauthorized(c);
        else if (r < 0)
                api_fail(c, NULL, r);
        return r >= 0;
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
        http_request_set_userdata(req, c, call_free);
        if (e->route->open || authenticate(c))
                e->route->handler(c);
}

static void query_done(PGresult *res, int error, void *userdata)
{
        ApiCall *c = userdata;
        HttpRequest *req = c->req;

        c->done(c, res, error);
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

void api_done_200(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                http_respond_problem(c->req, 404, "not-found", "There is no such resource.");
        else
                http_respond_data(c->req, 200, "application/json", PQgetvalue(res, 0, 0),
                                  (size_t) PQgetlength(res, 0, 0));
}

void api_invalid(ApiCall *c, const char *format, ...)
{
        char detail[256];
        va_list ap;

        va_start(ap, format);
        vsnprintf(detail, sizeof(detail), format, ap);
        va_end(ap);
        http_respond_problem(c->req, 400, "invalid-request", detail);
}

const char *api_body_string(ApiCall *c, json_object *body, const char *key, size_t min, size_t max)
{
        const char *s = json_get_string(body, key);

        if (!s)
                api_invalid(c, "%s must be a string.", key);
        else if (strlen(s) < min || strlen(s) > max) {
                api_invalid(c, "%s must have %zu to %zu bytes.", key, min, max);
                s = NULL;
        }
        return s;
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
        { "GET", "/healthz", true, get_healthz },
        { "GET", "/readyz", true, get_readyz },
        { "GET", "/api/v1/stream", false, stream_open },
        {},
};

int api_register(Server *s, ApiRoutes **ret)
{
        const ApiRoute *const tables[] = { api_common_routes, api_user_routes, api_agent_routes, api_server_routes,
                                           api_qr_routes, api_timeline_routes };
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
