/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "api/channel-test.h"
#include "notify/notifier.h"
#include "auth/token.h"
#include "api/channel-test.sql.h"

/* The test button: sends at once, without the outbox, and answers with the result. */

typedef struct Test {
        ApiCall *call;
        HttpRequest *req;
        NotifyMessage message;
        unsigned pending;
        unsigned n_targets, n_delivered;
        char error[256]; /* of the first failure */
} Test;

static void test_finish(Test *t)
{
        json_object *o = json_object_new_object();

        if (o && (json_add_bool(o, "delivered", t->n_delivered == t->n_targets) < 0 ||
                  json_add_int64(o, "targets", t->n_targets) < 0 ||
                  json_add_string(o, "error", t->error[0] != '\0' ? t->error : NULL) < 0)) {
                json_object_put(o);
                o = NULL;
        }
        http_respond_json(t->req, 200, o);
        http_request_unref(t->req);
        notify_message_done(&t->message);
        free(t);
}

static void test_unref(Test *t)
{
        if (--t->pending == 0)
                test_finish(t);
}

static void target_done(const DeliveryResult *result, void *userdata)
{
        Test *t = userdata;

        if (result->ok)
                t->n_delivered++;
        else if (t->error[0] == '\0')
                snprintf(t->error, sizeof(t->error), "%s", result->detail);
        test_unref(t);
}

static void target_start(Test *t, const NotifyTarget *target)
{
        DeliveryResult result = {};
        int r;

        t->n_targets++;
        t->pending++;
        r = notifier_send(t->call->backend->notifier, target, &t->message, target_done, t);
        if (r >= 0)
                return;
        snprintf(result.detail, sizeof(result.detail), "%s",
                 r == -EOPNOTSUPP ? "The server is not configured for this type of channel." :
                                    "The channel's settings are invalid.");
        target_done(&result, t);
}

static const char *value(PGresult *res, int row, int column)
{
        return PQgetisnull(res, row, column) ? NULL : PQgetvalue(res, row, column);
}

static bool over_quota(ApiCall *c, PGresult *res)
{
        for (int row = 0; row < PQntuples(res); row++) {
                const char *quota = value(res, row, 7);
                uint64_t period = quota && streq(quota, "requests") ? 3600 : 86400;
                char wait[32], detail[256];

                if (!quota)
                        continue;
                snprintf(wait, sizeof(wait), "%" PRIu64, period - api_now() % period);
                snprintf(
                        detail, sizeof(detail),
                        streq(quota, "recipient") ?
                                "This address has had as many notifications today as it may get; try again tomorrow." :
                                "The account's quota \"%s\" is used up; try again later, or ask the administrator of this server "
                                "for more. GET /api/v1/users/me/usage shows the quotas.",
                        quota);
                (void) http_respond_add_header(c->req, "Retry-After", wait);
                http_respond_problem(c->req, 429, "quota-used-up", detail);
                return true;
        }
        return false;
}

/* A row per target: type, config, endpoint, p256dh, auth, verified, whether the last test is long enough
 * ago, the quota that does not allow it. */
static void test_found(ApiCall *c, PGresult *res, int error)
{
        char id[ID_MAX];
        Test *t;
        int r;

        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        if (PQntuples(res) == 0) {
                api_respond_not_found(c);
                return;
        }
        if (*PQgetvalue(res, 0, 6) != 't') {
                (void) http_respond_add_header(c->req, "Retry-After", "5");
                http_respond_problem(c->req, 429, "too-many-requests",
                                     "The channel was tested a moment ago; try again later.");
                return;
        }
        if (*PQgetvalue(res, 0, 5) != 't') {
                http_respond_problem(
                        c->req, 409, "not-verified",
                        "The address is not confirmed yet: open the link in the mail that was sent to it.");
                return;
        }
        if (streq(PQgetvalue(res, 0, 0), "push") && PQgetisnull(res, 0, 2)) {
                http_respond_problem(c->req, 409, "no-subscription",
                                     "No browser is subscribed; enable push messages in a browser first.");
                return;
        }
        if (over_quota(c, res))
                return;
        t = calloc(1, sizeof(*t));
        if (!t) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        id_new("tst", id);
        r = notify_message_new(id, "{\"kind\":\"test\",\"severity\":0}",
                               notifier_config(c->backend->notifier)->public_url, &t->message);
        if (r < 0) {
                free(t);
                api_fail(c, NULL, r);
                return;
        }
        t->call = c;
        t->req = http_request_ref(c->req);
        t->pending = 1;
        for (int row = 0; row < PQntuples(res); row++)
                target_start(t, &(NotifyTarget){
                                        .type = PQgetvalue(res, row, 0),
                                        .config = PQgetvalue(res, row, 1),
                                        .endpoint = value(res, row, 2),
                                        .p256dh = value(res, row, 3),
                                        .auth = value(res, row, 4),
                                });
        test_unref(t);
}

void channel_test(ApiCall *c)
{
        api_query(c, SQL(channel_test, API_CALLER(c), .id = http_request_param(c->req, "id"), .actor = api_actor(c)),
                  test_found);
}
