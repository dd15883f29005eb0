/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/page.h"
#include "api/server.h"
#include "api/sql.h"
#include "api/field.h"

const char *const api_statuses[] = { "OK", "UPDATE", "WARNING", "FAILURE", NULL };

/* What is shown beside the status. */
static const char *const service_states[] = { "disabled", "error", "stale", NULL };

/* That services v passes the filters; each parameter may be null. */
#define SQL_SERVICE_FILTERS(status, state, q)                                                                   \
        "(" status "::service_status[] IS NULL OR v.status = ANY(" status "::service_status[]))"                \
        " AND (" state "::text[] IS NULL OR (v.error_kind IS NOT NULL AND 'error' = ANY(" state "::text[]))"    \
        "  OR (v.stale_since IS NOT NULL AND 'stale' = ANY(" state "::text[]))"                                 \
        "  OR (NOT coalesce(v.enabled, true) AND 'disabled' = ANY(" state "::text[])))"                         \
        " AND (" q "::text IS NULL OR strpos(lower(coalesce(v.title, '') || ' ' || v.name), lower(" q ")) > 0)"

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

        const char *params[] = { c->user, http_request_param(c->req, "server_id"), page.limit, page.keys[0],
                                 f.status.array, f.state.array, f.q };

        api_query(c, "SELECT l.list, l.n, l.last FROM servers s CROSS JOIN LATERAL ("
                     "  SELECT coalesce(json_agg(" SQL_SERVICE_JSON " ORDER BY v.name), '[]') AS list, count(*) AS n,"
                     "   json_build_array(max(v.name)) AS last"
                     "  FROM (SELECT * FROM services v WHERE v.server_id = s.id AND v.name > coalesce($4, '')"
                     "   AND " SQL_SERVICE_FILTERS("$5", "$6", "$7") " ORDER BY v.name LIMIT $3::int) v) l"
                     " WHERE s.public_id = $2 AND " SQL_OWNED_BY("$1"),
                  7, params, api_page_done);
}

static void get_service(ApiCall *c)
{
        const char *params[] = { c->user, http_request_param(c->req, "server_id"),
                                 http_request_param(c->req, "name") };

        api_query(c, "SELECT " SQL_SERVICE_JSON " FROM servers s JOIN services v ON v.server_id = s.id"
                     " WHERE s.public_id = $2 AND v.name = $3 AND " SQL_OWNED_BY("$1"),
                  3, params, api_done_200);
}

/* Of all servers, the worst first. No index has this order: the account's services are sorted, at each page. */
static void list_all_services(ApiCall *c)
{
        const char *label;
        ServiceFilters f;
        ApiPage page;

        if (!api_page_parse(c, "nttt", &page) || !parse_filters(c, &f) || !api_query_line(c, "label", LABEL_MAX, &label))
                return;

        const char *params[] = { c->user, page.limit, page.keys[0], page.keys[1], page.keys[2], page.keys[3],
                                 f.status.array, f.state.array, f.q, label };

        api_query(c, "WITH x AS (SELECT json_build_object('server_id', s.public_id, 'server_name', s.name,"
                     "   'service', " SQL_SERVICE_JSON ") AS json, row_number() OVER w AS n,"
                     "   json_build_array(k.rank::text, lower(s.name), s.public_id, v.name) AS key"
                     "  FROM servers s JOIN services v ON v.server_id = s.id CROSS JOIN LATERAL (SELECT CASE v.status"
                     "   WHEN 'FAILURE' THEN 0 WHEN 'WARNING' THEN 1 WHEN 'UPDATE' THEN 2 WHEN 'OK' THEN 3 ELSE 4 END"
                     "   AS rank) k WHERE " SQL_OWNED_BY("$1")
                     "  AND (k.rank, lower(s.name), s.public_id, v.name) >"
                     "   (coalesce($3::int, -1), coalesce($4, ''), coalesce($5, ''), coalesce($6, ''))"
                     "  AND " SQL_SERVICE_FILTERS("$7", "$8", "$9") " AND ($10::text IS NULL OR $10 = ANY(s.labels))"
                     "  WINDOW w AS (ORDER BY k.rank, lower(s.name), s.public_id, v.name)"
                     "  ORDER BY k.rank, lower(s.name), s.public_id, v.name LIMIT $2::int)"
                     " SELECT coalesce(json_agg(x.json ORDER BY x.n), '[]'), count(*),"
                     "  (array_agg(x.key ORDER BY x.n DESC))[1] FROM x",
                  10, params, api_page_done);
}

const ApiRoute api_service_routes[] = {
        { "GET", "/api/v1/services", API_READ, list_all_services },
        { "GET", "/api/v1/servers/:server_id/services", API_READ, list_services },
        { "GET", "/api/v1/servers/:server_id/services/:name", API_READ, get_service },
        {},
};
