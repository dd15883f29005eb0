/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/page.h"
#include "api/sql.h"
#include "api/api.h"
#include "notify/notifier.h"
#include "api/field.h"

/* What was sent, and what an account has set of it. */

#define DAMPING_MAX    20
#define TIMEZONE_BYTES 64

#define SQL_USER_ID "(SELECT id FROM users WHERE public_id = $1)"

static void list_notifications(ApiCall *c)
{
        ApiPage page;

        if (!api_page_parse(c, "n", &page))
                return;

        const char *params[] = { c->user, page.limit, page.keys[0] };

        api_query(c, "SELECT coalesce(json_agg(json_build_object('id', o.public_id, 'channel_id', c.public_id,"
                     "  'channel', c.name, 'subscription_id', p.public_id, 'state', o.state,"
                     "  'created_at', " SQL_TIME("o.created_at") ", 'done_at', " SQL_TIME("o.done_at") ","
                     "  'next_attempt_at', CASE WHEN o.state = 'queued' THEN " SQL_TIME("o.due_at") " END,"
                     "  'attempts', o.attempts, 'error', o.error, 'message', o.payload - 'email') ORDER BY o.id DESC), '[]'),"
                     " count(*), json_build_array(min(o.id)::text)"
                     " FROM (SELECT * FROM notification_outbox WHERE user_id = " SQL_USER_ID
                     "  AND id < coalesce($3::bigint, 9223372036854775807)"
                     "  AND channel_id IS NOT NULL ORDER BY id DESC LIMIT $2::int) o"
                     " JOIN notification_channels c ON c.id = o.channel_id"
                     " LEFT JOIN push_subscriptions p ON p.id = o.subscription_id",
                  ELEMENTSOF(params), params, api_page_done);
}

/* ---- Settings of the account ---- */

/* Of notification_settings q, which may be null. */
#define SQL_SETTINGS                                                                                            \
        "json_build_object('quiet_from', to_char(q.quiet_from, 'HH24:MI'), 'quiet_to', to_char(q.quiet_to, 'HH24:MI'),"\
        " 'timezone', coalesce(q.timezone, 'UTC'), 'damping', coalesce(q.damping, 1))"

static void get_settings(ApiCall *c)
{
        const char *params[] = { c->user };

        api_query(c, "SELECT " SQL_SETTINGS " FROM users u LEFT JOIN notification_settings q ON q.user_id = u.id"
                     " WHERE u.public_id = $1",
                  1, params, api_done_200);
}

static bool is_time(const char *s)
{
        return strlen(s) == 5 && s[0] >= '0' && s[0] <= '2' && s[1] >= '0' && s[1] <= (s[0] == '2' ? '3' : '9') &&
               s[2] == ':' && s[3] >= '0' && s[3] <= '5' && s[4] >= '0' && s[4] <= '9';
}

/* "HH:MM" or null; false when it has answered. */
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

        const char *params[] = { c->user, json_object_object_get_ex(body, "quiet_from", &o) ? "t" : "f", from, to,
                                 timezone, damping };

        /* A time zone that is none fails in the comparison. What waits for the end of quiet hours that have moved is
         * looked at again. */
        api_query(c, "WITH q AS (INSERT INTO notification_settings AS q (user_id, quiet_from, quiet_to, timezone, damping)"
                     "  SELECT u.id, $3::time, $4::time, coalesce($5, 'UTC'), coalesce($6::int, 1) FROM users u"
                     "  WHERE u.public_id = $1 AND now() AT TIME ZONE coalesce($5, 'UTC') IS NOT NULL"
                     "  ON CONFLICT (user_id) DO UPDATE SET"
                     "   quiet_from = CASE WHEN $2::bool THEN excluded.quiet_from ELSE q.quiet_from END,"
                     "   quiet_to = CASE WHEN $2::bool THEN excluded.quiet_to ELSE q.quiet_to END,"
                     "   timezone = coalesce($5, q.timezone), damping = coalesce($6::int, q.damping) RETURNING *),"
                     " again AS (UPDATE notification_states n SET held_until = now() FROM notification_channels c, q"
                     "  WHERE c.id = n.channel_id AND c.user_id = q.user_id AND n.held_reason = 'quiet')"
                     " SELECT " SQL_SETTINGS " FROM q",
                  ELEMENTSOF(params), params, settings_done);
}

/* What this server can do, for the pages before the login, too. */
static void get_features(ApiCall *c)
{
        json_object *o = json_object_new_object();

        if (o && (json_add_bool(o, "mail", delivery_has_mail(notifier_config(c->backend->notifier))) < 0 ||
                  json_add_bool(o, "push", notifier_push_key(c->backend->notifier) != NULL) < 0)) {
                json_object_put(o);
                o = NULL;
        }
        http_respond_json(c->req, 200, o);
}

const ApiRoute api_notification_routes[] = {
        { "GET", "/api/v1/notifications", API_READ, list_notifications },
        { "GET", "/api/v1/notifications/settings", API_READ, get_settings },
        { "PATCH", "/api/v1/notifications/settings", API_WRITE, change_settings },
        { "GET", "/api/v1/features", API_OPEN, get_features },
        {},
};
