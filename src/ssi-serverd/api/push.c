/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/api.h"
#include "notify/notifier.h"
#include "auth/token.h"
#include "api/field.h"
#include "api/push.sql.h"

#define ENDPOINT_BYTES 1024
#define LABEL_BYTES    64

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
        api_query(c, SQL(list_subscriptions, .user = c->user), api_done_200);
}

static void subscribed(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                http_respond_problem(
                        c->req, 409, "push-refused",
                        "The account has as many browsers as its quota allows (GET /api/v1/users/me/usage shows "
                        "the quotas), or the public_key is not this server's: fetch it again and resubscribe.");
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

/* The body is the result of PushSubscription.toJSON(), plus the key it was made with and a name for people.
 * A browser that subscribes again replaces its subscription. The first subscription also creates the
 * channel. */
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
                api_invalid(c, "endpoint and keys must be from a push subscription.");
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

        api_query(c,
                  SQL(subscribe, .user = c->user, .id = id, .endpoint = endpoint, .p256dh = p256dh, .auth = auth,
                      .key = key, .label = label, .channel = channel, .actor = api_actor(c)),
                  subscribed);
}

static void unsubscribe(ApiCall *c)
{
        api_query(c, SQL(unsubscribe, .user = c->user, .id = http_request_param(c->req, "id"), .actor = api_actor(c)),
                  api_done_204);
}

const ApiRoute api_push_routes[] = {
        { "GET", "/api/v1/push/key", API_READ, get_key },
        { "GET", "/api/v1/push/subscriptions", API_READ, list_subscriptions },
        { "POST", "/api/v1/push/subscriptions", API_WRITE, subscribe },
        { "DELETE", "/api/v1/push/subscriptions/:id", API_WRITE, unsubscribe },
        {},
};
