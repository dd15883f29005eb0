/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a service stood over the last days, as stretches of time instead of single results: a check that runs each minute
 * has ten thousand results in a week, but few changes. */

#include "api/sql.h"
#include "api/api.h"
#include "api/field.h"

#define DAYS_DEFAULT "7"
#define DAYS_MAX     31
#define STRETCHES_MAX "2000" /* the newest */

/* $1 user, $2 server, $3 service, $4 days.
 *
 * A result holds until the next one comes, but no longer than three times what usually lies between two: after that nothing
 * is known. Execution errors are a list of their own, for an error is no status and ends none. A stretch is closed by a
 * change of status and by such a silence. */
static const char sql_timeline[] =
        "WITH service AS (SELECT s.id, v.name FROM servers s JOIN services v ON v.server_id = s.id"
        "  WHERE s.public_id = $2 AND v.name = $3 AND " SQL_OWNED_BY("$1") "),"
        " event AS (SELECT e.at, e.kind, e.status, e.error_kind, e.id FROM service, events e"
        "  WHERE e.server_id = service.id AND e.service = service.name"
        "  AND e.received_at > now() - ($4::int + 1) * interval '1 day' AND e.at > now() - $4::int * interval '1 day'),"
        " result AS (SELECT at, status, id, lag(at) OVER w AS before, lag(status) OVER w AS status_before,"
        "  lead(at) OVER w AS next FROM event WHERE kind = 'result' WINDOW w AS (ORDER BY at, id)),"
        " pace AS (SELECT 3 * coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY at - before), interval '1 day')"
        "  + interval '1 minute' AS longest FROM result),"
        " counted AS (SELECT result.*, count(*) FILTER (WHERE status_before IS DISTINCT FROM status"
        "  OR at - before > longest) OVER (ORDER BY at, id) AS stretch FROM result, pace),"
        " stretch AS (SELECT status, min(at) AS since, max(least(coalesce(next, now()), at + longest)) AS until,"
        "  count(*) AS results FROM counted, pace GROUP BY stretch, status ORDER BY since DESC LIMIT " STRETCHES_MAX "),"
        " error AS (SELECT at, error_kind FROM event WHERE kind = 'error' ORDER BY at DESC LIMIT " STRETCHES_MAX ")"
        " SELECT json_build_object('from', " SQL_TIME("(now() - $4::int * interval '1 day')") ", 'to', " SQL_TIME("now()") ","
        "  'stretches', (SELECT coalesce(json_agg(json_build_object('from', " SQL_TIME("since") ", 'to', " SQL_TIME("until") ","
        "   'status', status, 'results', results) ORDER BY since), '[]') FROM stretch),"
        "  'errors', (SELECT coalesce(json_agg(json_build_object('at', " SQL_TIME("at") ", 'kind', error_kind) ORDER BY at), '[]')"
        "   FROM error)) FROM service";

static void get_timeline(ApiCall *c)
{
        const char *days = http_request_query(c->req, "days");
        const char *params[] = { c->user, http_request_param(c->req, "server_id"),
                                 http_request_param(c->req, "name"), days ?: DAYS_DEFAULT };

        if (days && (strlen(days) == 0 || strlen(days) > 2 || strspn(days, "0123456789") != strlen(days) ||
                     atoi(days) < 1 || atoi(days) > DAYS_MAX)) {
                api_invalid(c, "days must be a number from 1 to %d.", DAYS_MAX);
                return;
        }
        api_query(c, sql_timeline, ELEMENTSOF(params), params, api_done_200);
}

const ApiRoute api_timeline_routes[] = {
        { "GET", "/api/v1/servers/:server_id/services/:name/timeline", API_READ, get_timeline },
        {},
};
