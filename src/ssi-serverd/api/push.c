/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/sql.h"
#include "api/api.h"
#include "notify/notifier.h"
#include "auth/token.h"
#include "api/field.h"

#define SUBSCRIPTIONS_MAX "20" /* per user */
#define ENDPOINT_BYTES    1024
#define LABEL_BYTES       64

#define SQL_USER_ID "(SELECT id FROM users WHERE public_id = $1)"

/* Of push_subscriptions p. The endpoint is a secret of its browser's. */
#define SQL_SUBSCRIPTION                                                                                        \
        "json_build_object('id', p.public_id, 'label', p.label, 'host', split_part(p.endpoint, '/', 3),"        \
        " 'created_at', " SQL_TIME("p.created_at") ", 'last_success_at', " SQL_TIME("p.last_success_at") ","    \
        " 'failing_since', " SQL_TIME("p.failing_since") ", 'last_error', p.last_error)"

static void get_key(ApiCall *c)
{
        const char *key = notifier_push_key(c->backend->notifier);
        json_object *o;

        if (!key) {
                http_respond_problem(c->req, 404, "not-found", "This server does not send push messages.");
                return;
        }
        o = json_object_new_object();
        if (o && json_add_string(o, "public_key", key) < 0) {
                json_object_put(o);
                o = NULL;
        }
        http_respond_json(c->req, 200, o);
}

static void list_subscriptions(ApiCall *c)
{
        const char *params[] = { c->user };

        api_query(c, "SELECT coalesce(json_agg(" SQL_SUBSCRIPTION " ORDER BY p.id), '[]') FROM push_subscriptions p"
                     " WHERE p.user_id = " SQL_USER_ID,
                  1, params, api_done_200);
}

static void subscribed(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                http_respond_problem(c->req, 409, "push-refused", "The public_key is not this server's (fetch it again "
                                     "and resubscribe), or there are too many subscriptions.");
        else
                http_respond_data(c->req, 201, "application/json", PQgetvalue(res, 0, 0),
                                  (size_t) PQgetlength(res, 0, 0));
}

static bool endpoint_is_valid(ApiCall *c, const char *s)
{
        if (startswith(s, "https://") && s[strlen("https://")] != '\0' && strspn(s, " \t\r\n") == 0)
                return strpbrk(s, " \"<>\\^`{|}") == NULL;
        /* For tests on one machine. */
        return notifier_config(c->backend->notifier)->allow_private && startswith(s, "http://");
}

/* The body is what PushSubscription.toJSON() gives, with the key that it was made with and a name for people. A browser
 * that subscribes again replaces what it had. The first one brings the channel along. */
static void subscribe(ApiCall *c)
{
        const char *endpoint, *p256dh, *auth, *key, *label = NULL;
        json_object *body = http_request_json(c->req), *keys, *o = NULL;
        char id[ID_MAX], channel[ID_MAX];
        PushTarget target;

        if (!body)
                return;
        endpoint = api_body_string(c, body, "endpoint", 1, ENDPOINT_BYTES);
        if (!endpoint)
                return;
        keys = json_get_object(body, "keys");
        p256dh = json_get_string(keys, "p256dh");
        auth = json_get_string(keys, "auth");
        if (!endpoint_is_valid(c, endpoint) || !p256dh || !auth || push_target_parse(p256dh, auth, &target) < 0) {
                api_invalid(c, "endpoint and keys must be those of a push subscription.");
                return;
        }
        key = json_object_object_get_ex(body, "public_key", &o) ? api_body_string(c, body, "public_key", 1, 128) :
                                                                  strempty(notifier_push_key(c->backend->notifier));
        if (!key)
                return;
        if (json_object_object_get_ex(body, "label", &o) && o) {
                label = api_body_string(c, body, "label", 1, LABEL_BYTES);
                if (!label)
                        return;
        }
        id_new("sub", id);
        id_new("chn", channel);

        const char *params[] = { c->user, id, endpoint, p256dh, auth, key, label, channel };

        api_query(c, "WITH u AS (SELECT id FROM users WHERE public_id = $1),"
                     " p AS (INSERT INTO push_subscriptions AS p (user_id, public_id, endpoint, p256dh, auth, public_key, label)"
                     "  SELECT u.id, $2, $3, $4, $5, $6, $7 FROM u WHERE EXISTS (SELECT FROM push_keys k"
                     "   WHERE k.public_key = $6 AND k.seen_at > now() - interval '1 day')"
                     "  AND (SELECT count(*) FROM push_subscriptions o WHERE o.user_id = u.id AND o.endpoint <> $3)"
                     "   < " SUBSCRIPTIONS_MAX
                     "  ON CONFLICT (endpoint) DO UPDATE SET user_id = excluded.user_id, p256dh = excluded.p256dh,"
                     "   auth = excluded.auth, public_key = excluded.public_key, label = excluded.label,"
                     "   failing_since = NULL, last_error = NULL RETURNING *),"
                     " c AS (INSERT INTO notification_channels (user_id, public_id, type, name)"
                     "  SELECT p.user_id, $8, 'push', 'Browser' FROM p WHERE NOT EXISTS (SELECT FROM notification_channels o"
                     "   WHERE o.user_id = p.user_id AND o.type = 'push'))"
                     " SELECT " SQL_SUBSCRIPTION " FROM p",
                  ELEMENTSOF(params), params, subscribed);
}

static void unsubscribe(ApiCall *c)
{
        const char *params[] = { c->user, http_request_param(c->req, "id") };

        api_query(c, "DELETE FROM push_subscriptions p WHERE p.user_id = " SQL_USER_ID " AND p.public_id = $2 RETURNING 1",
                  2, params, api_done_204);
}

const ApiRoute api_push_routes[] = {
        { "GET", "/api/v1/push/key", API_READ, get_key },
        { "GET", "/api/v1/push/subscriptions", API_READ, list_subscriptions },
        { "POST", "/api/v1/push/subscriptions", API_WRITE, subscribe },
        { "DELETE", "/api/v1/push/subscriptions/:id", API_WRITE, unsubscribe },
        {},
};
