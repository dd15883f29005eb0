/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/page.h"
#include "api/api.h"
#include "notify/notifier.h"
#include "api/field.h"
#include "api/notifications.sql.h"

/* The messages sent to an account, and its notification settings. */

#define DAMPING_MAX    20
#define TIMEZONE_BYTES 64

static void list_notifications(ApiCall *c)
{
        const char *team;
        ApiPage page;

        if (!api_page_parse(c, "n", &page) || !api_query_team(c, &team))
                return;

        api_query(c, SQL(list_notifications, API_CALLER(c), .team = team, .limit = page.limit, .after = page.keys[0]),
                  api_page_done);
}

/* ---- Settings of the account ---- */

static void get_settings(ApiCall *c)
{
        api_query(c, SQL(get_settings, .user = c->user), api_done_200);
}

static bool is_time(const char *s)
{
        return strlen(s) == 5 && s[0] >= '0' && s[0] <= '2' && s[1] >= '0' && s[1] <= (s[0] == '2' ? '3' : '9') &&
               s[2] == ':' && s[3] >= '0' && s[3] <= '5' && s[4] >= '0' && s[4] <= '9';
}

/* "HH:MM" or null; returns false if it has answered. */
static bool parse_time(ApiCall *c, json_object *body, const char *key, const char **ret)
{
        json_object *o = NULL;

        *ret = NULL;
        if (!json_object_object_get_ex(body, key, &o) || !o)
                return true;
        *ret = json_get_string(body, key);
        if (*ret && is_time(*ret))
                return true;
        api_invalid(c, "%s must be \"HH:MM\" or null.", key);
        return false;
}

static void settings_done(ApiCall *c, PGresult *res, int error)
{
        if (error == -EINVAL) {
                api_invalid(c, "timezone must be a name of the tz database, such as \"Europe/Athens\".");
                return;
        }
        notifier_kick(c->backend->notifier);
        api_done_200(c, res, error);
}

static void change_settings(ApiCall *c)
{
        json_object *body = http_request_json(c->req), *o;
        const char *from, *to, *timezone = NULL, *damping = NULL;
        char damping_text[16];
        int64_t n;

        if (!body || !parse_time(c, body, "quiet_from", &from) || !parse_time(c, body, "quiet_to", &to))
                return;
        if (json_object_object_get_ex(body, "quiet_from", &o) != json_object_object_get_ex(body, "quiet_to", &o) ||
            !from != !to) {
                api_invalid(c, "quiet_from and quiet_to must be set together.");
                return;
        }
        if (json_object_object_get_ex(body, "timezone", &o)) {
                timezone = api_body_string(c, body, "timezone", 1, TIMEZONE_BYTES);
                if (!timezone)
                        return;
        }
        if (json_object_object_get_ex(body, "damping", &o)) {
                if (json_get_int64(body, "damping", &n) < 0 || n < 1 || n > DAMPING_MAX) {
                        api_invalid(c, "damping must be a number from 1 to %d.", DAMPING_MAX);
                        return;
                }
                snprintf(damping_text, sizeof(damping_text), "%d", (int) n);
                damping = damping_text;
        }

        /* The comparison fails for an invalid time zone. Messages held until the end of quiet hours are
         * reconsidered, because that may have moved. */
        api_query(c,
                  SQL(change_settings, .user = c->user,
                      .has_quiet = sql_bool(json_object_object_get_ex(body, "quiet_from", &o)), .from = from, .to = to,
                      .timezone = timezone, .damping = damping, .actor = api_actor(c)),
                  settings_done);
}

const ApiRoute api_notification_routes[] = {
        { "GET", "/api/v1/notifications", API_READ, list_notifications, .from_replica = true },
        { "GET", "/api/v1/notifications/settings", API_READ, get_settings },
        { "PATCH", "/api/v1/notifications/settings", API_WRITE, change_settings },
        {},
};
