/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "notify/channel.h"

/* What a script may print to break out. */
#define NASTY \
        "</script><img src=x onerror=alert(1)> \\\"quoted\\\" \\\\ <!channel> \\r\\nBcc: x \xd7\xa9\xf0\x9f\x98\x80"

static const char payload[] =
        "{\"kind\":\"status\",\"server\":\"web-01\",\"server_id\":\"srv-a\",\"labels\":[\"prod\",\"eu\"],\"service\":\"disk\","
        "\"title\":\"Root Disk\",\"old\":\"OK\",\"new\":\"FAILURE\",\"severity\":3,\"message\":\"" NASTY "\","
        "\"at\":\"2026-01-01T00:00:00Z\",\"merged\":4}";

static json_object *parse(const char *text)
{
        json_object *o = NULL;

        if (json_parse(text, strlen(text), &o) < 0)
                fail_msg("no JSON: %s", text);
        return o;
}

static NotifyMessage message(const char *text)
{
        NotifyMessage m;

        assert_int_equal(notify_message_new("ntf-1", text, "https://ssi.example.org", &m), 0);
        return m;
}

static void test_texts(void **state)
{
        static const struct {
                const char *payload, *title, *text;
        } cases[] = {
                { "{\"kind\":\"error\",\"server\":\"s\",\"server_id\":\"srv-a\",\"service\":\"d\",\"title\":\"D\",\"new\":\"error\","
                  "\"at\":\"T\",\"message\":\"slow\"}",
                  "ERROR: D on s", "slow\nThe check broke at T.\nhttps://ssi.example.org/servers/srv-a/services/d" },
                { "{\"kind\":\"error\",\"server\":\"s\",\"service\":\"d\",\"title\":null,\"new\":\"none\",\"at\":\"T\"}",
                  "RUNS AGAIN: d on s", "The check returns results again.\nhttps://ssi.example.org/" },
                { "{\"kind\":\"stale\",\"server\":\"s\",\"service\":\"d\",\"title\":\"D\",\"new\":\"stale\",\"at\":\"T\"}",
                  "STALE: D on s", "Its result has been missing since T.\nhttps://ssi.example.org/" },
                { "{\"kind\":\"state\",\"server\":\"s\",\"server_id\":\"srv-a\",\"new\":\"offline\",\"at\":\"T\",\"services\":7}",
                  "OFFLINE: s",
                  "The host was last seen at T. The state of its 7 services is unknown until it returns.\n"
                  "https://ssi.example.org/servers/srv-a" },
                { "{\"kind\":\"hosts\",\"server\":\"s\",\"server_id\":\"srv-a\",\"old\":\"one\",\"new\":\"duplicate\",\"at\":\"T\","
                  "\"message\":\"Two hosts.\"}",
                  "TWO HOSTS: s", "Two hosts.\nhttps://ssi.example.org/servers/srv-a" },
                { "{\"kind\":\"hosts\",\"server\":\"s\",\"old\":\"one\",\"new\":\"returned\",\"at\":\"T\",\"message\":\"Back.\"}",
                  "BACK AGAIN: s", "Back.\nhttps://ssi.example.org/" },
                { "{\"kind\":\"digest\",\"recovered\":2,\"items\":[{\"kind\":\"status\",\"server\":\"s\",\"service\":\"d\","
                  "\"title\":\"D\",\"old\":\"OK\",\"new\":\"WARNING\",\"message\":\"m\"}]}",
                  "1 change during quiet hours",
                  "WARNING: D on s: m\n2 more occurred and recovered.\nhttps://ssi.example.org/" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                NotifyMessage m = message(cases[i].payload);

                assert_string_equal(m.title, cases[i].title);
                assert_string_equal(m.text, cases[i].text);
                notify_message_done(&m);
        }
        assert_int_equal(notify_message_new("x", "{\"kind\":\"other\"}", NULL, &(NotifyMessage){}), -EBADMSG);
        assert_int_equal(notify_message_new("x", "[", NULL, &(NotifyMessage){}), -EBADMSG);
}

static const char *header(const HttpMessage *m, const char *name)
{
        for (struct curl_slist *l = m->headers; l; l = l->next)
                if (startswith(l->data, name))
                        return l->data + strlen(name) + 2;
        return NULL;
}

/* The request, and its body as JSON. */
static json_object *request(const char *type, const char *config, HttpMessage *ret)
{
        _cleanup_json_ json_object *c = parse(config);
        _cleanup_free_ char *detail = NULL;
        NotifyMessage m = message(payload);
        json_object *body;

        if (channel_config_check(type, c, &detail) < 0)
                fail_msg("%s: %s", type, detail);
        assert_int_equal(channel_request(type, c, &m, ret), 0);
        assert_string_equal(header(ret, "Idempotency-Key"), "ntf-1");
        assert_string_equal(header(ret, "Content-Type"), "application/json");
        body = parse(ret->body);
        notify_message_done(&m);
        return body;
}

static void test_requests(void **state)
{
        static const char text[] =
                "</script><img src=x onerror=alert(1)> \"quoted\" \\ <!channel> \r\nBcc: x \xd7\xa9\xf0\x9f\x98\x80\n"
                "Changed from OK to FAILURE at 2026-01-01T00:00:00Z.\nThis message covers 4 changes.\n"
                "https://ssi.example.org/servers/srv-a/services/disk";
        static const char title[] = "FAILURE: Root Disk on web-01";
        _cleanup_free_ char *both = NULL;
        json_object *body;
        HttpMessage m;

        assert_return_code(asprintf(&both, "%s\n%s", title, text), errno);

        body = request("webhook", "{\"url\":\"https://h/x?k=s\",\"headers\":{\"X-Key\":\"v\"}}", &m);
        assert_string_equal(m.url, "https://h/x?k=s");
        assert_string_equal(header(&m, "X-Key"), "v");
        assert_string_equal(json_get_string(body, "subject"), title);
        assert_string_equal(json_get_string(body, "text"), text);
        assert_string_equal(json_get_string(body, "new"), "FAILURE");
        json_object_put(body);
        http_message_done(&m);

        body = request(
                "webhook",
                "{\"url\":\"http://h\",\"method\":\"PUT\",\"template\":\"{\\\"n\\\":{{severity}},\\\"m\\\":\\\"{{message}}\\\"}\"}",
                &m);
        assert_string_equal(m.method, "PUT");
        assert_non_null(startswith(json_get_string(body, "m"), "</script>"));
        json_object_put(body);
        http_message_done(&m);

        body = request("ntfy", "{\"topic\":\"t\",\"token\":\"tk\",\"url\":\"https://n/\"}", &m);
        assert_string_equal(m.url, "https://n/");
        assert_string_equal(header(&m, "Authorization"), "Bearer tk");
        assert_string_equal(json_get_string(body, "title"), title);
        assert_string_equal(json_get_string(body, "message"), text);
        json_object_put(body);
        http_message_done(&m);

        /* No mention can be made of what a script prints. */
        body = request("slack", "{\"url\":\"https://hooks/x\"}", &m);
        assert_non_null(strstr(json_get_string(body, "text"), "&lt;!channel&gt;"));
        assert_null(strchr(json_get_string(body, "text"), '<'));
        json_object_put(body);
        http_message_done(&m);

        body = request("matrix", "{\"url\":\"https://m\",\"room\":\"!a/b:c\",\"token\":\"tk\"}", &m);
        assert_string_equal(m.url, "https://m/_matrix/client/v3/rooms/%21a%2Fb%3Ac/send/m.room.message/ntf-1");
        assert_string_equal(m.method, "PUT");
        assert_string_equal(json_get_string(body, "body"), both);
        json_object_put(body);
        http_message_done(&m);

        body = request("telegram", "{\"token\":\"1:a/b\",\"chat_id\":\"-5\"}", &m);
        assert_string_equal(m.url, "https://api.telegram.org/bot1%3Aa%2Fb/sendMessage");
        assert_null(header(&m, "Authorization"));
        assert_string_equal(json_get_string(body, "text"), both);
        json_object_put(body);
        http_message_done(&m);
}

static void test_configs_refused(void **state)
{
        static const char *const cases[][2] = {
                { "carrier-pigeon", "{}" },
                { "email", "{}" },
                { "email", "{\"address\":\"a@b\\r\\nDATA\"}" },
                { "email", "{\"address\":\"a@b\",\"other\":\"x\"}" },
                { "webhook", "{\"url\":\"file:///etc/passwd\"}" },
                { "webhook", "{\"url\":\"gopher://h/\"}" },
                { "webhook", "{\"url\":\"https://u:p@h/\"}" },
                { "webhook", "{\"url\":\"https://\"}" },
                { "webhook", "{\"url\":5}" },
                { "webhook", "{\"url\":null}" },
                { "webhook", "{\"url\":\"https://h\",\"method\":\"DELETE\"}" },
                { "webhook", "{\"url\":\"https://h\",\"headers\":{\"Host\":\"x\"}}" },
                { "webhook", "{\"url\":\"https://h\",\"headers\":{\"a b\":\"x\"}}" },
                { "webhook", "{\"url\":\"https://h\",\"headers\":{\"a\":\"x\\r\\ny: z\"}}" },
                { "webhook", "{\"url\":\"https://h\",\"headers\":[]}" },
                { "webhook", "{\"url\":\"https://h\",\"template\":\"{{message}}\"}" },
                { "webhook", "{\"url\":\"https://h\",\"template\":\"{\\\"a\\\":{{message}}}\"}" },
                { "webhook", "{\"url\":\"https://h\",\"template\":\"{\\\"a\\\":\\\"{{password}}\\\"}\"}" },
                { "webhook", "{\"url\":\"https://h\",\"template\":\"\"}" },
                { "matrix", "{\"url\":\"https://m\",\"room\":\"r\"}" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ json_object *c = parse(cases[i][1]);
                _cleanup_free_ char *detail = NULL;

                if (channel_config_check(cases[i][0], c, &detail) != -EINVAL)
                        fail_msg("%s %s is taken", cases[i][0], cases[i][1]);
                assert_non_null(detail);
        }
}

static void test_masks(void **state)
{
        _cleanup_json_ json_object *config =
                parse("{\"url\":\"https://h/secret\",\"headers\":{\"A\":\"s1\",\"B\":\"s2\"}}");
        _cleanup_json_ json_object *masked = NULL, *change = NULL, *merged = NULL, *same = NULL, *token = NULL,
                                   *ntfy = NULL, *move = NULL, *moved = NULL;

        assert_int_equal(channel_config_mask("webhook", config, &masked), 0);
        assert_string_equal(json_get_string(masked, "url"), "https://h/" CHANNEL_MASK);
        assert_null(strstr(json_object_to_json_string(masked), "secret"));
        assert_null(strstr(json_object_to_json_string(masked), "s1"));

        /* What was given back masked and comes again is what it was. */
        assert_int_equal(channel_config_merge("webhook", config, masked, &same), 0);
        assert_true(json_object_equal(config, same));

        change = parse("{\"method\":\"PUT\",\"headers\":{\"B\":\"" CHANNEL_MASK "\",\"C\":\"s3\"}}");
        assert_int_equal(channel_config_merge("webhook", config, change, &merged), 0);
        assert_string_equal(json_get_string(merged, "method"), "PUT");
        assert_null(json_get_string(json_get_object(merged, "headers"), "A"));
        assert_string_equal(json_get_string(json_get_object(merged, "headers"), "B"), "s2");
        assert_string_equal(json_get_string(json_get_object(merged, "headers"), "C"), "s3");

        /* Elsewhere goes only what comes along. */
        move = parse("{\"url\":\"https://h/other\",\"headers\":{\"B\":\"" CHANNEL_MASK "\",\"C\":\"s3\"}}");
        assert_int_equal(channel_config_merge("webhook", config, move, &moved), 0);
        assert_string_equal(json_get_string(moved, "url"), "https://h/other");
        assert_int_equal(json_object_object_length(json_get_object(moved, "headers")), 1);
        assert_string_equal(json_get_string(json_get_object(moved, "headers"), "C"), "s3");

        /* And what does not come along has to be named. */
        assert_string_equal(channel_config_lost_secret("webhook", config, move), "headers");
        assert_null(channel_config_lost_secret("webhook", config, change));
        assert_null(channel_config_lost_secret("webhook", config, moved));

        token = parse("{\"token\":\"tk_0123456789abcdef\",\"topic\":\"short\"}");
        assert_int_equal(channel_config_mask("ntfy", token, &ntfy), 0);
        assert_string_equal(json_get_string(ntfy, "token"), CHANNEL_MASK "cdef");
        assert_string_equal(json_get_string(ntfy, "topic"), CHANNEL_MASK);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_texts),
                cmocka_unit_test(test_requests),
                cmocka_unit_test(test_configs_refused),
                cmocka_unit_test(test_masks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
