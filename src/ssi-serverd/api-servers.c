#include "api-sql.h"
#include "api.h"

#define EVENTS_DEFAULT 100
#define EVENTS_MAX     1000

static void list_servers(ApiCall *c)
{
        const char *params[] = { c->user };

        api_query(c, "SELECT coalesce(json_agg(" SQL_SERVER_JSON " ORDER BY lower(s.name), s.id), '[]')"
                     " FROM servers s" SQL_SERVER_COUNTS " WHERE " SQL_OWNED_BY("$1"),
                  1, params, api_done_200);
}

static void get_server(ApiCall *c)
{
        const char *params[] = { c->user, http_request_param(c->req, "server_id") };

        api_query(c, "SELECT " SQL_SERVER_JSON " FROM servers s" SQL_SERVER_COUNTS
                     " WHERE s.public_id = $2 AND " SQL_OWNED_BY("$1"),
                  2, params, api_done_200);
}

static void delete_done(ApiCall *c, PGresult *res, int error)
{
        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        if (PQntuples(res) == 0) {
                http_respond_problem(c->req, 404, "not-found", "There is no such resource.");
                return;
        }
        server_publish_one(c->server, CHANGE_SERVER_REMOVED, c->user, PQgetvalue(res, 0, 0), NULL);
        http_respond_empty(c->req, 204);
}

static void delete_server(ApiCall *c)
{
        const char *params[] = { c->user, http_request_param(c->req, "server_id") };

        api_query(c, "WITH gone AS (DELETE FROM servers s WHERE s.public_id = $2 AND " SQL_OWNED_BY("$1")
                     " RETURNING s.id, s.public_id),"
                     " history AS (DELETE FROM events e USING gone WHERE e.server_id = gone.id)"
                     " SELECT public_id FROM gone",
                  2, params, delete_done);
}

static void list_services(ApiCall *c)
{
        const char *params[] = { c->user, http_request_param(c->req, "server_id") };

        api_query(c, "SELECT (SELECT coalesce(json_agg(" SQL_SERVICE_JSON " ORDER BY v.name), '[]')"
                     " FROM services v WHERE v.server_id = s.id)"
                     " FROM servers s WHERE s.public_id = $2 AND " SQL_OWNED_BY("$1"),
                  2, params, api_done_200);
}

static void get_service(ApiCall *c)
{
        const char *params[] = { c->user, http_request_param(c->req, "server_id"),
                                 http_request_param(c->req, "name") };

        api_query(c, "SELECT " SQL_SERVICE_JSON " FROM servers s JOIN services v ON v.server_id = s.id"
                     " WHERE s.public_id = $2 AND v.name = $3 AND " SQL_OWNED_BY("$1"),
                  3, params, api_done_200);
}

/* The row: the array, how many, the oldest one's id. */
static void events_done(ApiCall *c, PGresult *res, int error)
{
        _cleanup_free_ char *link = NULL;

        if (error == 0 && PQntuples(res) > 0 && streq(PQgetvalue(res, 0, 1), c->text[0]) &&
            asprintf(&link, "<%s?limit=%s&before=%s>; rel=\"next\"", http_request_path(c->req), c->text[0],
                     PQgetvalue(res, 0, 2)) >= 0)
                (void) http_respond_add_header(c->req, "Link", link);
        api_done_200(c, res, error);
}

/* Only digits, so that what PostgreSQL gets is a number. */
static bool parse_number(const char *s, int64_t max, int64_t *ret)
{
        if (*s == '\0' || strlen(s) > 18 || strspn(s, "0123456789") != strlen(s))
                return false;
        *ret = strtoll(s, NULL, 10);
        return *ret >= 1 && *ret <= max;
}

static void list_events(ApiCall *c)
{
        const char *limit = http_request_query(c->req, "limit"), *before = http_request_query(c->req, "before");
        int64_t n_limit = EVENTS_DEFAULT, n_before = INT64_MAX;
        char before_text[32];

        if (limit && !parse_number(limit, EVENTS_MAX, &n_limit)) {
                api_invalid(c, "limit must be a number from 1 to %d.", EVENTS_MAX);
                return;
        }
        if (before && !parse_number(before, INT64_MAX, &n_before)) {
                api_invalid(c, "before must be a number.");
                return;
        }
        if (asprintf(&c->text[0], "%lld", (long long) n_limit) < 0) {
                c->text[0] = NULL;
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        snprintf(before_text, sizeof(before_text), "%lld", (long long) n_before);

        const char *params[] = { c->user, http_request_param(c->req, "server_id"),
                                 http_request_param(c->req, "name"), c->text[0], before_text };

        /* A gap is the whole server's, so it shows in the history of each service. Two scans of one index each. */
        api_query(c, "SELECT coalesce(l.list, '[]'), l.n, l.last FROM servers s JOIN services v ON v.server_id = s.id"
                     " CROSS JOIN LATERAL (SELECT count(*) AS n, min(e.id) AS last,"
                     "  json_agg(json_build_object('at', " SQL_TIME("e.at") ", 'received_at', " SQL_TIME("e.received_at")
                     ", 'kind', e.kind, 'status', e.status, 'message', e.message,"
                     "  'error', CASE WHEN e.error_kind IS NOT NULL THEN json_build_object('kind', e.error_kind,"
                     "   'detail', e.error_detail) END, 'duration_ms', e.duration_ms,"
                     "  'invocation_id', e.invocation_id) ORDER BY e.id DESC) AS list"
                     "  FROM (SELECT * FROM ("
                     "    (SELECT * FROM events WHERE server_id = s.id AND service = v.name AND id < $5::bigint"
                     "     ORDER BY id DESC LIMIT $4::int)"
                     "    UNION ALL"
                     "    (SELECT * FROM events WHERE server_id = s.id AND service IS NULL AND id < $5::bigint"
                     "     ORDER BY id DESC LIMIT $4::int)) b ORDER BY id DESC LIMIT $4::int) e) l"
                     " WHERE s.public_id = $2 AND v.name = $3 AND " SQL_OWNED_BY("$1"),
                  5, params, events_done);
}

const ApiRoute api_server_routes[] = {
        { "GET", "/api/v1/servers", false, list_servers },
        { "GET", "/api/v1/servers/:server_id", false, get_server },
        { "DELETE", "/api/v1/servers/:server_id", false, delete_server },
        { "GET", "/api/v1/servers/:server_id/services", false, list_services },
        { "GET", "/api/v1/servers/:server_id/services/:name", false, get_service },
        { "GET", "/api/v1/servers/:server_id/services/:name/events", false, list_events },
        {},
};
