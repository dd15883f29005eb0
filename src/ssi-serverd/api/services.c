/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/page.h"
#include "api/server.h"
#include "api/field.h"
#include "api/services.sql.h"

const char *const api_statuses[] = { "OK", "UPDATE", "WARNING", "FAILURE", NULL };

/* States shown beside the status. */
static const char *const service_states[] = { "disabled", "error", "stale", NULL };

typedef struct ServiceFilters {
        ApiWords status, state;
        const char *q;
} ServiceFilters;

static bool parse_filters(ApiCall *c, ServiceFilters *ret)
{
        return api_query_words(c, "status", api_statuses, &ret->status) &&
               api_query_words(c, "state", service_states, &ret->state) && api_query_line(c, "q", 128, &ret->q);
}

static void list_services(ApiCall *c)
{
        ServiceFilters f;
        ApiPage page;

        if (!api_page_parse(c, "t", &page) || !parse_filters(c, &f))
                return;

        api_query(c,
                  SQL(list_services, API_CALLER(c), .server_id = http_request_param(c->req, "server_id"),
                      .limit = page.limit, .after = page.keys[0], .statuses = f.status.array, .states = f.state.array,
                      .q = f.q),
                  api_page_done);
}

static void get_service(ApiCall *c)
{
        api_query(c,
                  SQL(get_service, API_CALLER(c), .server_id = http_request_param(c->req, "server_id"),
                      .name = http_request_param(c->req, "name")),
                  api_done_200);
}

/* Of all servers, the worst first. No index has this order: each page sorts the account's services. */
static void list_all_services(ApiCall *c)
{
        const char *label, *team;
        ServiceFilters f;
        ApiPage page;

        if (!api_page_parse(c, "nttt", &page) || !parse_filters(c, &f) ||
            !api_query_line(c, "label", LABEL_MAX, &label) || !api_query_team(c, &team))
                return;

        api_query(c,
                  SQL(list_all_services, API_CALLER(c), .team = team, .limit = page.limit, .after_rank = page.keys[0],
                      .after_name = page.keys[1], .after_server = page.keys[2], .after_service = page.keys[3],
                      .statuses = f.status.array, .states = f.state.array, .q = f.q, .label = label),
                  api_page_done);
}

const ApiRoute api_service_routes[] = {
        { "GET", "/api/v1/services", API_READ, list_all_services },
        { "GET", "/api/v1/servers/:server_id/services", API_READ, list_services },
        { "GET", "/api/v1/servers/:server_id/services/:name", API_READ, get_service },
        {},
};
