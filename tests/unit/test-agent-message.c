/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <utlist.h>

#include "agent/message.h"
#include "shared/metadata.h"

#define ITEM "\"service_name\":\"disk\",\"timestamp\":\"2025-09-02T16:06:37Z\""
#define TIME (UINT64_C(1756829197) * USEC_PER_SEC)

static int parse(const char *text, AgentMessage *m)
{
        char error[AGENT_ERROR_MAX];
        int r;

        r = agent_message_parse(text, strlen(text), m, error);
        assert_true((r == -EBADMSG || r == -EMSGSIZE) == (error[0] != '\0'));
        return r;
}

static void test_auth(void **state)
{
        AgentMessage m;

        assert_return_code(parse("{\"type\":\"auth\",\"payload\":{\"agent_id\":\"agt-1\",\"api_key\":\"k\"}}", &m), 0);
        assert_int_equal(m.type, AGENT_MESSAGE_AUTH);
        assert_string_equal(m.agent_id, "agt-1");
        assert_string_equal(m.api_key, "k");
        assert_null(m.version);
        assert_null(m.boot_id);
        agent_message_done(&m);

        assert_return_code(
                parse("{\"type\":\"auth\",\"payload\":{\"agent_id\":\"agt-1\",\"api_key\":\"k\",\"version\":\"1\","
                      "\"hostname\":\"h\",\"boot_id\":\"b\"}}",
                      &m),
                0);
        assert_string_equal(m.hostname, "h");
        assert_string_equal(m.boot_id, "b");
        agent_message_done(&m);
}

static void test_rotate_key(void **state)
{
        AgentMessage m;

        assert_return_code(parse("{\"type\":\"rotate_key\",\"payload\":{\"later\":1}}", &m), 0);
        assert_int_equal(m.type, AGENT_MESSAGE_ROTATE_KEY);
        agent_message_done(&m);
}

static void test_status_update(void **state)
{
        AgentMessage m;

        /* The blueprint's example, and then with all that is optional. */
        assert_return_code(parse("{\"type\":\"status_update\",\"payload\":{\"service_name\":\"system-updates\","
                                 "\"timestamp\":\"2025-09-02T16:06:37Z\",\"status\":\"OK\","
                                 "\"message\":\"System is up to date\"}}",
                                 &m),
                           0);
        assert_int_equal(m.type, AGENT_MESSAGE_ITEMS);
        assert_int_equal(m.items->kind, INGEST_RESULT);
        assert_string_equal(m.items->text.service, "system-updates");
        assert_int_equal(m.items->status, STATUS_OK);
        assert_string_equal(m.items->text.message, "System is up to date");
        assert_int_equal(m.items->timestamp, TIME);
        assert_int_equal(m.items->duration_ms, -1);
        assert_null(m.items->text.cursor);
        agent_message_done(&m);

        assert_return_code(parse("{\"type\":\"status_update\",\"payload\":{" ITEM ",\"status\":\"FAILURE\","
                                 "\"message\":\"\",\"cursor\":\"s=1;i=2\",\"duration_ms\":12,"
                                 "\"invocation_id\":\"0123456789abcdef0123456789abcdef\",\"unknown\":[1]}}",
                                 &m),
                           0);
        assert_string_equal(m.items->text.cursor, "s=1;i=2");
        assert_int_equal(m.items->duration_ms, 12);
        assert_int_equal(m.items->status, STATUS_FAILURE);
        agent_message_done(&m);
}

static void test_batch(void **state)
{
        const IngestItem *item;
        AgentMessage m;
        unsigned n = 0;

        assert_return_code(parse("{\"type\":\"status_batch\",\"payload\":{\"items\":["
                                 "{" ITEM ",\"status\":\"OK\",\"message\":\"a\",\"cursor\":\"1\"},"
                                 "{" ITEM ",\"error\":{\"kind\":\"timeout\",\"detail\":\"too long\"},\"cursor\":\"2\"},"
                                 "{" ITEM
                                 ",\"error\":null,\"status\":\"UPDATE\",\"message\":\"b\",\"cursor\":\"3\"}]}}",
                                 &m),
                           0);
        DL_FOREACH(m.items, item) {
                assert_int_equal(item->text.cursor[0] - '0', ++n);
                assert_int_equal(item->kind, n == 2 ? INGEST_ERROR : INGEST_RESULT);
        }
        assert_int_equal(n, 3);
        assert_string_equal(m.items->next->text.error_kind, "timeout");
        agent_message_done(&m);

        assert_return_code(parse("{\"type\":\"status_batch\",\"payload\":{\"items\":[]}}", &m), 0);
        assert_null(m.items);
        agent_message_done(&m);
}

/* "name:needs,needs …" as an inventory, and what is left of it in the same way, in the order of the names. */
static void assert_dependencies(const char *given, const char *expected)
{
        char text[8192] = "{\"type\":\"inventory\",\"payload\":{\"services\":[", found[1024] = "";
        _cleanup_free_ char *copy = strdup(given);
        char *save = NULL;
        AgentMessage m;

        for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
                char *needs = strchr(s, ':'), *more = NULL;

                *needs++ = '\0';
                sprintf(text + strlen(text), "%s{\"service_name\":\"%s\",\"depends_on\":[", s == copy ? "" : ",", s);
                for (char *n = strtok_r(needs, ",", &more), *first = n; n; n = strtok_r(NULL, ",", &more))
                        sprintf(text + strlen(text), "%s\"%s\"", n == first ? "" : ",", n);
                strcat(text, "]}");
        }
        strcat(text, "]}}");
        assert_return_code(parse(text, &m), 0);
        for (size_t i = 0; i < m.items->n_services; i++)
                sprintf(found + strlen(found), "%s%s%s", i > 0 ? " " : "", m.items->services[i].name,
                        strempty(m.items->services[i].depends_on));
        assert_string_equal(found, expected);
        agent_message_done(&m);
}

static void test_dependencies(void **state)
{
        assert_dependencies("web:app,db app:db db:", "app{\"db\"} db web{\"app\",\"db\"}");
        assert_dependencies("z:y,y,x y: x:", "x y z{\"x\",\"y\"}");
        assert_dependencies("a:a,gone,b b:nobody", "a{\"b\"} b");
        /* What is on a cycle together depends on what is not, and the other way round, but not on each other. */
        assert_dependencies("a:b b:a", "a b");
        assert_dependencies("a:b b:c c:a,d d: e:b,d", "a b c{\"d\"} d e{\"b\",\"d\"}");
        assert_dependencies("a:b b:a,c c:d d:c x:y y:x", "a b{\"c\"} c d x y");
        assert_dependencies("a:b,c b:d c:d d:e e:", "a{\"b\",\"c\"} b{\"d\"} c{\"d\"} d{\"e\"} e");
        assert_dependencies("d:a c:d b:c a:b,e e:", "a{\"e\"} b c d e");
}

/* As long a way as there can be, forth and in a circle. */
static void test_deep_dependencies(void **state)
{
        for (int circle = 0; circle < 2; circle++) {
                _cleanup_free_ char *text = NULL;
                AgentMessage m;
                size_t size;
                FILE *f = open_memstream(&text, &size);

                fprintf(f, "{\"type\":\"inventory\",\"payload\":{\"services\":[");
                for (int i = 0; i < AGENT_INVENTORY_MAX; i++)
                        fprintf(f, "%s{\"service_name\":\"s%04d\",\"depends_on\":[\"s%04d\"]}", i > 0 ? "," : "", i,
                                (i + 1) % (AGENT_INVENTORY_MAX + !circle));
                fprintf(f, "]}}");
                fclose(f);
                assert_return_code(parse(text, &m), 0);
                if (circle)
                        assert_null(m.items->services[0].depends_on);
                else
                        assert_string_equal(m.items->services[0].depends_on, "{\"s0001\"}");
                agent_message_done(&m);
        }
}

/* Whatever the keys are: they are only shown. */
static void test_metadata(void **state)
{
        _cleanup_(agent_message_done) AgentMessage m = {};

        assert_return_code(
                parse("{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\",\"metadata\":"
                      "{\"owner\":\"\\u00fc \\\"x\\\"\",\"version\":\"1\"}},{\"service_name\":\"b\",\"metadata\":{}},"
                      "{\"service_name\":\"c\",\"metadata\":null},{\"service_name\":\"d\"}]}}",
                      &m),
                0);
        assert_string_equal(m.items->services[0].metadata, "{\"owner\":\"ü \\\"x\\\"\",\"version\":\"1\"}");
        assert_string_equal(m.items->services[1].metadata, "{}");
        assert_null(m.items->services[2].metadata);
        assert_null(m.items->services[3].metadata);
}

static void test_watches(void **state)
{
        AgentMessage m;

        assert_return_code(
                parse("{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\",\"watches\":"
                      "[\"b.service\",\"c\\\\x2dd.mount\"]},{\"service_name\":\"b\",\"watches\":[]},"
                      "{\"service_name\":\"c\",\"watches\":null,\"depends_on\":null}]}}",
                      &m),
                0);
        assert_string_equal(m.items->services[0].watches, "{\"b.service\",\"c\\\\x2dd.mount\"}");
        assert_null(m.items->services[1].watches);
        assert_null(m.items->services[2].watches);
        agent_message_done(&m);
}

static void test_inventory_and_gap(void **state)
{
        AgentMessage m;

        assert_return_code(parse("{\"type\":\"inventory\",\"payload\":{\"services\":["
                                 "{\"service_name\":\"disk\",\"title\":\"Disk\",\"timeout_ms\":20000,\"enabled\":false,"
                                 "\"next_run\":null},{\"service_name\":\"cpu\"}]}}",
                                 &m),
                           0);
        assert_int_equal(m.items->n_services, 2);
        assert_string_equal(m.items->services[0].name, "cpu");
        assert_true(m.items->services[0].enabled);
        assert_string_equal(m.items->services[1].title, "Disk");
        assert_false(m.items->services[1].enabled);
        assert_true(m.items->services[1].next_run == USEC_INFINITY);
        agent_message_done(&m);

        assert_return_code(parse("{\"type\":\"gap\",\"payload\":{\"cursor\":\"c\",\"from\":null,"
                                 "\"to\":\"2025-09-02T16:06:37Z\"}}",
                                 &m),
                           0);
        assert_int_equal(m.items->kind, INGEST_GAP);
        assert_int_equal(m.items->timestamp, TIME);
        agent_message_done(&m);
}

static void test_unknown_type(void **state)
{
        AgentMessage m;

        assert_return_code(parse("{\"type\":\"of-a-later-version\",\"payload\":{}}", &m), 0);
        assert_int_equal(m.type, AGENT_MESSAGE_UNKNOWN);
        agent_message_done(&m);
}

static void test_going_down(void **state)
{
        AgentMessage m;

        assert_return_code(parse("{\"type\":\"going_down\",\"payload\":{}}", &m), 0);
        assert_int_equal(m.type, AGENT_MESSAGE_GOING_DOWN);
        assert_false(m.cancelled);
        agent_message_done(&m);
        assert_return_code(parse("{\"type\":\"going_down\",\"payload\":{\"cancelled\":true}}", &m), 0);
        assert_true(m.cancelled);
        agent_message_done(&m);
        assert_int_equal(parse("{\"type\":\"going_down\",\"payload\":{\"cancelled\":1}}", &m), -EBADMSG);
}

static void test_marks(void **state)
{
        AgentMessage m;

        assert_return_code(parse("{\"type\":\"resume\",\"payload\":{}}", &m), 0);
        assert_int_equal(m.type, AGENT_MESSAGE_ITEMS);
        assert_int_equal(m.items->kind, INGEST_RESUME);
        agent_message_done(&m);
        assert_return_code(parse("{\"type\":\"live\",\"payload\":{}}", &m), 0);
        assert_int_equal(m.items->kind, INGEST_LIVE);
        agent_message_done(&m);
}

static void test_refused(void **state)
{
        static const char *const table[] = {
                "",
                "hello",
                "[]",
                "{}",
                "{\"type\":\"auth\"}",
                "{\"type\":5,\"payload\":{}}",
                "{\"type\":\"auth\",\"payload\":[]}",
                "{\"type\":\"auth\",\"payload\":{\"agent_id\":\"a\"}}",
                "{\"type\":\"auth\",\"payload\":{\"agent_id\":\"a\",\"api_key\":1}}",
                "{\"type\":\"auth\",\"payload\":{\"agent_id\":\"a\",\"api_key\":\"k\",\"boot_id\":1}}",
                "{\"type\":\"status_update\",\"payload\":{}}",
                "{\"type\":\"status_update\",\"payload\":{" ITEM ",\"status\":\"OK\"}}",
                "{\"type\":\"status_update\",\"payload\":{" ITEM ",\"message\":\"m\"}}",
                "{\"type\":\"status_update\",\"payload\":{" ITEM ",\"status\":\"ERROR\",\"message\":\"m\"}}",
                "{\"type\":\"status_update\",\"payload\":{" ITEM ",\"status\":\"ok\",\"message\":\"m\"}}",
                "{\"type\":\"status_update\",\"payload\":{" ITEM ",\"status\":\"OK\",\"message\":\"\\u0000\"}}",
                "{\"type\":\"status_update\",\"payload\":{" ITEM ",\"status\":\"OK\",\"message\":\"\xff\"}}",
                "{\"type\":\"status_update\",\"payload\":{\"service_name\":\"A b\",\"timestamp\":\"2025-09-02T16:06:37Z\","
                "\"status\":\"OK\",\"message\":\"\"}}",
                "{\"type\":\"status_update\",\"payload\":{\"service_name\":\"a\",\"timestamp\":\"2025-09-02 16:06:37\","
                "\"status\":\"OK\",\"message\":\"\"}}",
                "{\"type\":\"status_update\",\"payload\":{" ITEM
                ",\"status\":\"OK\",\"message\":\"\",\"duration_ms\":-1}}",
                "{\"type\":\"status_update\",\"payload\":{" ITEM ",\"status\":\"OK\",\"message\":\"\",\"cursor\":1}}",
                "{\"type\":\"status_update\",\"payload\":{" ITEM ",\"status\":\"OK\",\"message\":\"\","
                "\"invocation_id\":\"xyz\"}}",
                "{\"type\":\"service_error\",\"payload\":{" ITEM "}}",
                "{\"type\":\"service_error\",\"payload\":{" ITEM ",\"error\":{\"kind\":\"boredom\"}}}",
                "{\"type\":\"status_batch\",\"payload\":{\"items\":{}}}",
                "{\"type\":\"status_batch\",\"payload\":{\"items\":[1]}}",
                "{\"type\":\"status_batch\",\"payload\":{\"items\":[{" ITEM
                ",\"status\":\"OK\",\"message\":\"\"},{}]}}",
                "{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\"},{\"service_name\":\"a\"}]}}",
                "{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\",\"enabled\":\"yes\"}]}}",
                "{\"type\":\"inventory\",\"payload\":{\"services\":[null]}}",
                "{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\",\"depends_on\":\"b\"}]}}",
                "{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\",\"depends_on\":[1]}]}}",
                "{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\",\"depends_on\":[null]}]}}",
                "{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\",\"depends_on\":[\"../b\"]}]}}",
                "{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\",\"depends_on\":[\"a\\u0000\"]}]}}",
                "{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\",\"metadata\":[]}]}}",
                "{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\",\"metadata\":{\"x\":1}}]}}",
                "{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\",\"metadata\":{\"x\":\"\\u0000\"}}]}}",
                "{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\",\"watches\":[[]]}]}}",
                "{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\",\"watches\":{}}]}}",
                "{\"type\":\"gap\",\"payload\":{}}",
        };
        AgentMessage m;

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (parse(table[i], &m) != -EBADMSG)
                        fail_msg("accepted: %s", table[i]);
}

static void test_too_large(void **state)
{
        char text[8192], message[AGENT_MESSAGE_MAX + 2];
        AgentMessage m;

        memset(message, 'x', sizeof(message));
        message[AGENT_MESSAGE_MAX] = '\0';
        snprintf(text, sizeof(text),
                 "{\"type\":\"status_update\",\"payload\":{" ITEM ",\"status\":\"OK\",\"message\":\"%s\"}}", message);
        assert_return_code(parse(text, &m), 0);
        agent_message_done(&m);
        message[AGENT_MESSAGE_MAX] = 'x';
        message[AGENT_MESSAGE_MAX + 1] = '\0';
        snprintf(text, sizeof(text),
                 "{\"type\":\"status_update\",\"payload\":{" ITEM ",\"status\":\"OK\",\"message\":\"%s\"}}", message);
        assert_int_equal(parse(text, &m), -EMSGSIZE);
}

/* What agents of ours leave out. */
static void test_too_much_metadata(void **state)
{
        char text[8192], value[METADATA_PASSIVE_VALUE_MAX + 2];
        AgentMessage m;
        size_t n;

        memset(value, 'v', sizeof(value));
        value[METADATA_PASSIVE_VALUE_MAX] = '\0';
        for (int i = 0; i < 2; i++) {
                snprintf(
                        text, sizeof(text),
                        "{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\",\"metadata\":{\"%s\":\"%s\"}}]}}",
                        i == 0 ? "key" : "Key", value);
                assert_int_equal(parse(text, &m), i == 0 ? 0 : -EMSGSIZE);
                agent_message_done(&m);
        }
        value[METADATA_PASSIVE_VALUE_MAX] = 'v';
        value[METADATA_PASSIVE_VALUE_MAX + 1] = '\0';
        snprintf(
                text, sizeof(text),
                "{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\",\"metadata\":{\"key\":\"%s\"}}]}}",
                value);
        assert_int_equal(parse(text, &m), -EMSGSIZE);

        n = (size_t) snprintf(
                text, sizeof(text),
                "{\"type\":\"inventory\",\"payload\":{\"services\":[{\"service_name\":\"a\",\"metadata\":{\"z\":\"\"");
        for (int i = 0; i < METADATA_PASSIVE_MAX; i++)
                n += (size_t) snprintf(text + n, sizeof(text) - n, ",\"%c\":\"\"", 'a' + i);
        snprintf(text + n, sizeof(text) - n, "}}]}}");
        assert_int_equal(parse(text, &m), -EMSGSIZE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_auth),
                cmocka_unit_test(test_rotate_key),
                cmocka_unit_test(test_status_update),
                cmocka_unit_test(test_batch),
                cmocka_unit_test(test_dependencies),
                cmocka_unit_test(test_deep_dependencies),
                cmocka_unit_test(test_metadata),
                cmocka_unit_test(test_watches),
                cmocka_unit_test(test_inventory_and_gap),
                cmocka_unit_test(test_unknown_type),
                cmocka_unit_test(test_going_down),
                cmocka_unit_test(test_marks),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_too_large),
                cmocka_unit_test(test_too_much_metadata),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
