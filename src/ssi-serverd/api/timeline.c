/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The status of a service over the last days, as periods instead of single results: a check that runs every
 * minute has ten thousand results in a week, but few changes. */

#include "api/api.h"
#include "api/field.h"
#include "api/timeline.sql.h"

#define DAYS_DEFAULT "7"
#define DAYS_MAX     31

static void get_timeline(ApiCall *c)
{
        const char *days = http_request_query(c->req, "days");

        if (days && (strlen(days) == 0 || strlen(days) > 2 || strspn(days, "0123456789") != strlen(days) ||
                     atoi(days) < 1 || atoi(days) > DAYS_MAX)) {
                api_invalid(c, "days must be a number from 1 to %d.", DAYS_MAX);
                return;
        }
        api_query(c,
                  SQL(timeline, API_CALLER(c), .server_id = http_request_param(c->req, "server_id"),
                      .name = http_request_param(c->req, "name"), .days = days ?: DAYS_DEFAULT),
                  api_done_200);
}

const ApiRoute api_timeline_routes[] = {
        { "GET", "/api/v1/servers/:server_id/services/:name/timeline", API_READ, get_timeline, .from_replica = true },
        {},
};
