/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/api.h"
#include "api/usage.h"
#include "ingest/ingest.h"
#include "model/quota.h"

/* What the account uses of its quotas. */

void api_respond_quota_reached(ApiCall *c, const char *type, const char *what)
{
        char detail[256];

        snprintf(
                detail, sizeof(detail),
                "The account has as many %s as its quota allows: remove one, or ask the administrator of this server for "
                "more. GET /api/v1/users/me/usage shows the quotas.",
                what);
        http_respond_problem(c->req, 409, type, detail);
}

/* Only the instances count results, and this one knows its own. */
static void usage(ApiCall *c)
{
        uint64_t results = ingest_owner_rate(c->backend->ingest, c->user);

        api_act_begin(c, api_done_200);
        api_act_begun(c, quota_usage(c->backend, c->user, results, api_act_done, c));
}

const ApiRoute api_usage_routes[] = {
        { "GET", "/api/v1/users/me/usage", API_READ, usage },
        {},
};
