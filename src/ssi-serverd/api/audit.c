/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/api.h"
#include "api/audit.sql.h"
#include "api/field.h"
#include "api/page.h"

/* The audit log of the caller's own account, and of the teams that the caller administers. The backend's administrators read all of it over org.ssi.Server1. */

#define EVENT_BYTES 64

static void list_audit(ApiCall *c)
{
        const char *event, *from, *to, *team;
        ApiPage page;

        if (!api_page_parse(c, "n", &page) || !api_query_line(c, "event", EVENT_BYTES, &event) ||
            !api_query_time(c, "from", &from) || !api_query_time(c, "to", &to) || !api_query_team(c, &team))
                return;

        api_query(c,
                  SQL(list_audit, API_CALLER(c), .team = team, .limit = page.limit, .before = page.keys[0],
                      .event = event, .since = from, .until = to),
                  api_page_done);
}

const ApiRoute api_audit_routes[] = {
        { "GET", "/api/v1/audit", API_READ, list_audit, .from_replica = true },
        {},
};
