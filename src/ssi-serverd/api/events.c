/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/page.h"
#include "api/server.h"
#include "api/sql.h"
#include "api/field.h"

static const char *const kinds[] = { "result", "error", "gap", NULL };

/* Of events e, in a LIMIT of its own, newest first. The parameters from $3 on are those of EventQuery. */
#define SQL_EVENTS(where)                                                                                       \
        "(SELECT * FROM events e WHERE " where " AND e.id < coalesce($4::bigint, 9223372036854775807)"          \
        " AND ($5::text[] IS NULL OR e.kind = ANY($5::text[])) AND ($6::timestamptz IS NULL OR e.at >= $6)"     \
        " AND ($7::timestamptz IS NULL OR e.at < $7) ORDER BY e.id DESC LIMIT $3::int)"

/* The list, how many, the key of the last. */
#define SQL_EVENTS_LIST                                                                                         \
        "SELECT coalesce(json_agg(json_build_object('at', " SQL_TIME("e.at") ", 'received_at', "                \
        SQL_TIME("e.received_at") ", 'service', e.service, 'kind', e.kind, 'status', e.status,"                 \
        " 'message', e.message, 'error', CASE WHEN e.error_kind IS NOT NULL THEN"                               \
        "  json_build_object('kind', e.error_kind, 'detail', e.error_detail) END,"                              \
        " 'duration_ms', e.duration_ms, 'invocation_id', e.invocation_id) ORDER BY e.id DESC), '[]') AS list,"  \
        " count(*) AS n, json_build_array(min(e.id)::text) AS last"

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

        const char *params[] = { c->user, http_request_param(c->req, "server_id"), q.page.limit, q.page.keys[0],
                                 q.kind.array, q.from, q.to, http_request_param(c->req, "name") };

        /* A gap is the whole server's, so it shows in the history of each service. Two scans of one index each. */
        api_query(c, "SELECT l.list, l.n, l.last FROM servers s JOIN services v ON v.server_id = s.id"
                     " CROSS JOIN LATERAL (" SQL_EVENTS_LIST " FROM (SELECT * FROM ("
                     SQL_EVENTS("e.server_id = s.id AND e.service = v.name") " UNION ALL "
                     SQL_EVENTS("e.server_id = s.id AND e.service IS NULL") ") b ORDER BY id DESC LIMIT $3::int) e) l"
                     " WHERE s.public_id = $2 AND v.name = $8 AND " SQL_OWNED_BY("$1"),
                  8, params, api_page_done);
}

static void list_server_events(ApiCall *c)
{
        EventQuery q;

        if (!parse_query(c, &q))
                return;

        const char *params[] = { c->user, http_request_param(c->req, "server_id"), q.page.limit, q.page.keys[0],
                                 q.kind.array, q.from, q.to };

        /* A scan per service of the index that is there: one by server alone would cost each result that comes in. */
        api_query(c, "SELECT l.list, l.n, l.last FROM servers s"
                     " CROSS JOIN LATERAL (" SQL_EVENTS_LIST " FROM (SELECT * FROM ("
                     "(SELECT b.* FROM services v CROSS JOIN LATERAL "
                     SQL_EVENTS("e.server_id = s.id AND e.service = v.name") " b WHERE v.server_id = s.id) UNION ALL "
                     SQL_EVENTS("e.server_id = s.id AND e.service IS NULL") ") b ORDER BY id DESC LIMIT $3::int) e) l"
                     " WHERE s.public_id = $2 AND " SQL_OWNED_BY("$1"),
                  7, params, api_page_done);
}

const ApiRoute api_event_routes[] = {
        { "GET", "/api/v1/servers/:server_id/events", API_READ, list_server_events },
        { "GET", "/api/v1/servers/:server_id/services/:name/events", API_READ, list_service_events },
        {},
};
