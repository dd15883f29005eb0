/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/page.h"
#include "api/server.h"
#include "api/field.h"
#include "api/events.sql.h"

static const char *const kinds[] = { "result", "error", "gap", NULL };

typedef struct EventQuery {
        ApiPage page;
        ApiWords kind;
        const char *from, *to;
} EventQuery;

static bool parse_query(ApiCall *c, EventQuery *ret)
{
        return api_page_parse(c, "n", &ret->page) && api_query_words(c, "kind", kinds, &ret->kind) &&
               api_query_time(c, "from", &ret->from) && api_query_time(c, "to", &ret->to);
}

static void list_service_events(ApiCall *c)
{
        EventQuery q;

        if (!parse_query(c, &q))
                return;

        /* A gap concerns the whole server, so it shows in the history of each service. Two scans of one
         * index each. */
        api_query(c,
                  SQL(list_service_events, API_CALLER(c), .server_id = http_request_param(c->req, "server_id"),
                      .limit = q.page.limit, .after = q.page.keys[0], .kinds = q.kind.array, .from = q.from, .to = q.to,
                      .name = http_request_param(c->req, "name")),
                  api_page_done);
}

static void list_server_events(ApiCall *c)
{
        EventQuery q;

        if (!parse_query(c, &q))
                return;

        /* One scan per service of the existing index: another index by server alone would make each incoming
         * result more expensive. */
        api_query(c,
                  SQL(list_server_events, API_CALLER(c), .server_id = http_request_param(c->req, "server_id"),
                      .limit = q.page.limit, .after = q.page.keys[0], .kinds = q.kind.array, .from = q.from,
                      .to = q.to),
                  api_page_done);
}

const ApiRoute api_event_routes[] = {
        { "GET", "/api/v1/servers/:server_id/events", API_READ, list_server_events, .from_replica = true },
        { "GET", "/api/v1/servers/:server_id/services/:name/events", API_READ, list_service_events,
          .from_replica = true },
        {},
};
