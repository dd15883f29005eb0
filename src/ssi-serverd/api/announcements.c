/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/announcements.sql.h"
#include "api/api.h"
#include "api/field.h"
#include "model/announcement.h"

/* What administrators tell all users (docs/adr/0060). */

static void list_announcements(ApiCall *c)
{
        api_query(c, SQL(list_announcements), api_done_200);
}

static void made(ApiCall *c, PGresult *res, int error)
{
        _cleanup_json_ json_object *o = NULL;

        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        if (PQntuples(res) == 0) {
                http_respond_problem(
                        c->req, 409, "too-many-announcements",
                        "There can be at most " STRINGIFY(ANNOUNCEMENTS_MAX) " announcements; withdraw one first.");
                return;
        }
        o = json_object_new_object();
        if (!o || json_add_string(o, "id", PQgetvalue(res, 0, 0)) < 0 ||
            json_add_string(o, "ends_at", PQgetvalue(res, 0, 1)) < 0)
                api_fail(c, NULL, -ENOMEM);
        else
                http_respond_json(c->req, 201, TAKE_PTR(o));
}

static void announce(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        int64_t lifetime = ANNOUNCEMENT_LIFETIME;
        const char *text;

        if (!body)
                return;
        text = api_body_line(c, body, "text", 1, ANNOUNCEMENT_MAX);
        if (!text)
                return;
        if (json_get_int64(body, "expires_in", &lifetime) == -EINVAL || lifetime < 1 ||
            lifetime > ANNOUNCEMENT_LIFETIME_MAX) {
                api_invalid(c, "expires_in must be a number of seconds from 1 to %d.", ANNOUNCEMENT_LIFETIME_MAX);
                return;
        }
        api_act_begin(c, made);
        api_act_begun(c, announcement_add(c->backend, text, (unsigned) lifetime, api_actor(c), api_act_done, c));
}

static void withdraw(ApiCall *c)
{
        api_act_begin(c, api_done_204);
        api_act_begun(c, announcement_remove(c->backend, http_request_param(c->req, "announcement_id"), api_actor(c),
                                             api_act_done, c));
}

const ApiRoute api_announcement_routes[] = {
        { "GET", "/api/v1/announcements", API_READ, list_announcements },
        { "POST", "/api/v1/admin/announcements", API_ADMIN_RECENT, announce },
        { "DELETE", "/api/v1/admin/announcements/:announcement_id", API_ADMIN_RECENT, withdraw },
        {},
};
