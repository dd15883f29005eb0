/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/api.h"
#include "api/field.h"
#include "api/usage.h"
#include "ingest/ingest.h"
#include "model/quota.h"

/* What the account, or another team of its, uses of its quotas. */

void api_respond_quota_reached(ApiCall *c, const char *type, const char *what)
{
        char detail[256];

        snprintf(detail, sizeof(detail),
                 "The team has as many %s as its quota allows: remove one, or ask the administrator of this server for "
                 "more. GET /api/v1/users/me/usage shows the quotas.",
                 what);
        http_respond_problem(c->req, 409, type, detail);
}

/* Only the instances count results, and this one knows its own. */
static void usage(ApiCall *c)
{
        const char *team;

        if (!api_query_team(c, &team))
                return;

        const QuotaAsker asker = { .user = c->user, .role = c->role, .team = team ?: c->user };

        api_act_begin(c, api_done_200);
        api_act_begun(
                c, quota_usage(c->backend, &asker, ingest_owner_rate(c->backend->ingest, asker.team), api_act_done, c));
}

const ApiRoute api_usage_routes[] = {
        { "GET", "/api/v1/users/me/usage", API_READ, usage },
        {},
};
