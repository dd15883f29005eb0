/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "api/api.h"
#include "api/auth.h"
#include "api/stream.h"
#include "shared/log.h"
#include "shared/time-util.h"

#define READYZ_USEC      USEC_PER_SEC
#define READYZ_WAIT_USEC (2 * USEC_PER_SEC) /* a load balancer does not wait longer */

typedef struct RouteEntry {
        Backend *backend;
        const ApiRoute *route;
        const char *role;
} RouteEntry;

/* The roles of openapi.json, and no others: docs/adr/0058. */
static const struct {
        const char *method, *pattern, *role;
} roles[] = {
#include "roles.inc"
};

/* NULL: the route is about no team. */
static const char *role_of(const ApiRoute *route)
{
        for (size_t i = 0; i < ELEMENTSOF(roles); i++)
                if (streq(roles[i].method, route->method) && streq(roles[i].pattern, route->pattern))
                        return roles[i].role;
        return NULL;
}

struct ApiRoutes {
        RouteEntry *entries;
        size_t n;
        /* Of /readyz, which anybody may ask: who waits for the same answer, and until when the last good one counts. */
        ApiCall *waiting;
        uint64_t good_until;
        bool asking; /* the database, which has not answered yet */
        sd_event_source *timer;
};

static void dispatch(HttpRequest *req, void *userdata)
{
        const RouteEntry *e = userdata;
        ApiCall *c;

        c = api_call_new(e->backend, req, e->route, e->role);
        if (!c)
                http_respond_problem(req, 500, "out-of-memory", NULL);
        else if (e->route->access == API_OPEN)
                api_run(c);
        else
                api_authenticate(c);
}

static void get_healthz(ApiCall *c)
{
        /* Not for a balancer. */
        if (c->backend->has_left)
                http_respond_problem(c->req, 503, "unavailable", backend_unavailable(c->backend));
        else
                http_respond_data(c->req, 200, "application/json", "{\"status\":\"ok\"}",
                                  strlen("{\"status\":\"ok\"}"));
}

static void answer_readyz(ApiCall *c, PGresult *res, int error)
{
        const char *reason = backend_unavailable(c->backend);

        if (error < 0)
                api_fail(c, res, -ENOTCONN);
        else if (reason)
                http_respond_problem(c->req, 503, "unavailable", reason);
        else if (c->backend->trouble)
                http_respond_problem(c->req, 503, "unavailable", "The database rejects writes.");
        else
                http_respond_data(c->req, 200, "application/json", "{\"status\":\"ready\"}",
                                  strlen("{\"status\":\"ready\"}"));
}

static void readyz_answer_all(ApiRoutes *routes, PGresult *res, int error)
{
        ApiCall *waiting = TAKE_PTR(routes->waiting), *c, *next;

        (void) sd_event_source_set_enabled(routes->timer, SD_EVENT_OFF);
        LL_FOREACH_SAFE(waiting, c, next) {
                HttpRequest *req = c->req;
                const char *const *before = http_request_log_enter(req);

                answer_readyz(c, res, error);
                log_set_fields(before);
                http_request_unref(req);
        }
}

static void readyz_done(PGresult *res, int error, void *userdata)
{
        ApiRoutes *routes = userdata;

        routes->asking = false;
        if (error == 0)
                routes->good_until = now_usec(CLOCK_MONOTONIC) + READYZ_USEC;
        readyz_answer_all(routes, res, error);
}

static int readyz_on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        readyz_answer_all(userdata, NULL, -ETIMEDOUT);
        return 0;
}

/* One query answers all who ask while it is under way and for a while after. */
static void get_readyz(ApiCall *c)
{
        ApiRoutes *routes = c->backend->routes;
        bool first = !routes->waiting;
        int r;

        if (now_usec(CLOCK_MONOTONIC) < routes->good_until) {
                answer_readyz(c, NULL, 0);
                return;
        }
        http_request_ref(c->req);
        LL_PREPEND(routes->waiting, c);
        if (!first)
                return;
        (void) sd_event_source_set_time_relative(routes->timer, READYZ_WAIT_USEC);
        (void) sd_event_source_set_enabled(routes->timer, SD_EVENT_ONESHOT);
        if (routes->asking)
                return;
        routes->asking = true;
        r = backend_query(c->backend, "SELECT 1", 0, NULL, readyz_done, routes);
        if (r < 0)
                readyz_done(NULL, r, routes);
}

static const ApiRoute api_common_routes[] = {
        { "GET", "/healthz", API_OPEN, get_healthz },
        { "GET", "/readyz", API_OPEN, get_readyz },
        { "GET", "/api/v1/stream", API_READ, stream_open },
        {},
};

static const ApiRoute *const tables[] = {
        api_common_routes,      api_openapi_routes,       api_user_routes,         api_session_routes,
        api_token_routes,       api_agent_routes,         api_server_routes,       api_service_routes,
        api_event_routes,       api_public_routes,        api_qr_routes,           api_timeline_routes,
        api_mail_routes,        api_channel_routes,       api_notification_routes, api_push_routes,
        api_silence_routes,     api_login_code_routes,    api_well_known_routes,   api_sign_up_routes,
        api_invitation_routes,  api_usage_routes,         api_audit_routes,        api_instance_routes,
        api_team_routes,        api_account_routes,       api_export_routes,       api_admin_account_routes,
        api_admin_audit_routes, api_admin_sign_up_routes, api_admin_figure_routes, api_announcement_routes,
};

void api_list_routes(FILE *f)
{
        static const char *const names[] = {
                [API_ACCOUNT] = "account",     [API_RECENT] = "recent",
                [API_OPEN] = "open",           [API_READ] = "read",
                [API_WRITE] = "write",         [API_REGISTER] = "servers:register",
                [API_ADMIN] = "administrator", [API_ADMIN_RECENT] = "recent-administrator",
        };

        for (size_t i = 0; i < ELEMENTSOF(tables); i++)
                for (const ApiRoute *t = tables[i]; t->method; t++)
                        fprintf(f, "%s %s %s %s\n", t->method, t->pattern, names[t->access], role_of(t) ?: "-");
}

/* Routes below neither /api/ nor /public/ are about the instance itself, so every role serves them. */
static bool is_served(const Backend *b, const ApiRoute *route)
{
        bool ingest = startswith(route->pattern, "/api/v1/agents/claim");

        return (!startswith(route->pattern, "/api/") && !startswith(route->pattern, "/public/")) ||
               (b->role & (ingest ? BACKEND_ROLE_INGEST : BACKEND_ROLE_API));
}

int api_register(Backend *b, ApiRoutes **ret)
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
        else
                r = sd_event_add_time(b->event, &routes->timer, CLOCK_MONOTONIC, 0, 1, readyz_on_timer, routes);
        if (r >= 0)
                r = sd_event_source_set_enabled(routes->timer, SD_EVENT_OFF);
        for (size_t i = 0; i < ELEMENTSOF(tables) && r >= 0; i++)
                for (const ApiRoute *t = tables[i]; t->method && r >= 0; t++) {
                        RouteEntry *e = &routes->entries[routes->n++];

                        if (!is_served(b, t))
                                continue;
                        *e = (RouteEntry){ .backend = b, .route = t, .role = role_of(t) };
                        r = http_server_add_route(b->http, t->method, t->pattern, dispatch, e);
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
        sd_event_source_disable_unref(r->timer);
        free(r->entries);
        free(r);
        return NULL;
}
