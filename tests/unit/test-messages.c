/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "shared/json-util.h"
#include "messages.h"

static void test_item(void **state)
{
        _cleanup_free_ char *text = NULL;
        RunEvent e = RUN_EVENT_INIT;

        e.slug = (char *) "disk";
        e.cursor = (char *) "s=1;i=2";
        e.invocation_id = SD_ID128_MAKE(01, 02, 03, 04, 05, 06, 07, 08, 09, 0a, 0b, 0c, 0d, 0e, 0f, 10);
        e.status = STATUS_WARNING;
        e.message = (char *) "91 % \"used\"";
        e.timestamp = UINT64_C(1756829197) * USEC_PER_SEC;
        e.duration = 1234567;
        assert_int_equal(message_item(&e, &text), 0);
        assert_string_equal(text,
                            "{\"service_name\":\"disk\",\"timestamp\":\"2025-09-02T16:06:37Z\",\"status\":\"WARNING\","
                            "\"message\":\"91 % \\\"used\\\"\",\"cursor\":\"s=1;i=2\","
                            "\"invocation_id\":\"0102030405060708090a0b0c0d0e0f10\",\"duration_ms\":1234}");
}

static void test_error_item(void **state)
{
        _cleanup_free_ char *text = NULL;
        RunEvent e = RUN_EVENT_INIT;

        e.slug = (char *) "disk";
        e.cursor = (char *) "s=1";
        e.error = RUN_ERROR_EXIT_CODE;
        e.detail = (char *) "exited with status 3";
        e.timestamp = UINT64_C(1756829197500000);
        assert_int_equal(message_item(&e, &text), 0);
        assert_string_equal(
                text, "{\"service_name\":\"disk\",\"timestamp\":\"2025-09-02T16:06:37.500Z\","
                      "\"error\":{\"kind\":\"exit-code\",\"detail\":\"exited with status 3\"},\"cursor\":\"s=1\"}");
}

static void test_inventory(void **state)
{
        _cleanup_free_ char *text = NULL, *empty = NULL;
        char name[300] = "";
        ServiceInfo s = {
                .slug = (char *) "disk",
                .title = (char *) "Disk",
                .schedule = (char *) "*:0/5",
                .timeout_usec = 20 * USEC_PER_SEC,
                .enabled = true,
        };
        const ServiceInfo *list[] = { &s, NULL };

        s.metadata = json_object_new_object();
        json_add_string(s.metadata, "version", "1.0");
        json_add_string(s.metadata, "some-key", "a \"b\"");
        assert_int_equal(message_inventory(list, &text), 0);
        assert_string_equal(
                text,
                "{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"disk\","
                "\"title\":\"Disk\",\"metadata\":{\"version\":\"1.0\",\"some-key\":\"a \\\"b\\\"\"},\"schedule\":\"*:0/5\","
                "\"timeout_ms\":20000,\"enabled\":true,\"next_run\":null}]}}");
        /* What the backend would refuse of it is left out. */
        json_object_put(s.metadata);
        s.title = s.schedule = NULL;
        s.metadata = NULL;
        s.watches = name;
        memset(name, 'u', sizeof(name) - 1);
        strcpy(name + sizeof(name) - strlen(", b.service, c.mount") - 1, ", b.service, c.mount");
        s.depends_on = (char *) "a, b-c";
        free(text);
        assert_int_equal(message_inventory(list, &text), 0);
        assert_null(strstr(text, "metadata"));
        assert_non_null(strstr(
                text, "\"next_run\":null,\"watches\":[\"b.service\",\"c.mount\"],\"depends_on\":[\"a\",\"b-c\"]}"));
        assert_int_equal(message_inventory(list + 1, &empty), 0);
        assert_string_equal(empty, "{\"type\":\"inventory\",\"payload\":{\"services\":[]}}");
}

static void test_large_inventory(void **state)
{
        enum { N = 3000 };
        _cleanup_free_ char *text = NULL;
        char description[512], many[16 * 25 + 1];
        _cleanup_json_ json_object *metadata = json_object_new_object(), *short_ones = json_object_new_object();
        ServiceInfo s = { .slug = (char *) "disk", .title = (char *) "Disk", .metadata = metadata };
        const ServiceInfo *list[N + 1] = {};

        memset(description, 'd', sizeof(description) - 1);
        description[sizeof(description) - 1] = '\0';
        json_add_string(metadata, "description", description);
        json_add_string(metadata, "version", "1.0");
        for (unsigned i = 0; i < N; i++)
                list[i] = &s;
        assert_int_equal(message_inventory(list, &text), 0);
        assert_true(strlen(text) <= MESSAGE_MAX);
        assert_null(strstr(text, description));
        assert_non_null(strstr(text, "\"title\":\"Disk\",\"metadata\":{\"version\":\"1.0\"}"));
        /* More than that is left out when it has to be. */
        for (int i = 0; i < 9; i++) {
                char key[] = "key-a";

                key[4] = (char) ('a' + i);
                description[60] = '\0';
                json_add_string(short_ones, key, description);
        }
        s.metadata = short_ones;
        s.depends_on = (char *) "sql";
        free(text);
        assert_int_equal(message_inventory(list, &text), 0);
        assert_null(strstr(text, "metadata"));
        assert_non_null(strstr(text, "depends_on"));
        s.watches = many;
        for (int i = 0; i < 16; i++)
                snprintf(many + i * 25, sizeof(many) - (size_t) (i * 25), "%023d, ", i);
        free(text);
        assert_int_equal(message_inventory(list, &text), 0);
        assert_true(strlen(text) <= MESSAGE_MAX);
        assert_null(strstr(text, "depends_on"));
        assert_null(strstr(text, "watches"));
}

static void test_others(void **state)
{
        _cleanup_free_ char *auth = NULL, *claim = NULL, *gap = NULL;
        Credentials c = { .agent_id = (char *) "agt-1", .api_key = (char *) "key" };

        assert_int_equal(message_auth(&c, c.api_key, "host", "0123", &auth), 0);
        assert_string_equal(auth, "{\"type\":\"auth\",\"payload\":{\"agent_id\":\"agt-1\",\"api_key\":\"key\","
                                  "\"version\":\"" SSI_VERSION "\",\"hostname\":\"host\",\"boot_id\":\"0123\"}}");
        assert_int_equal(message_claim("tok", &claim), 0);
        assert_string_equal(claim, "{\"claim_token\":\"tok\"}");
        assert_int_equal(message_gap("s=1", 0, UINT64_C(1756829197000000), &gap), 0);
        assert_string_equal(gap, "{\"type\":\"gap\",\"payload\":{\"cursor\":\"s=1\",\"from\":null,"
                                 "\"to\":\"2025-09-02T16:06:37Z\"}}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_item),      cmocka_unit_test(test_error_item),
                cmocka_unit_test(test_inventory), cmocka_unit_test(test_large_inventory),
                cmocka_unit_test(test_others),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
