/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <sys/socket.h>

#include "bus-json.h"

/* A message that can be read needs no connection that stands, only a bus to belong to. */
static sd_bus_message *new_message(void **state)
{
        sd_bus *bus = *state;
        sd_bus_message *m;

        assert_int_equal(sd_bus_message_new(bus, &m, SD_BUS_MESSAGE_METHOD_CALL), 0);
        return m;
}

static void assert_value(sd_bus_message *m, const char *json, const char *text)
{
        _cleanup_json_ json_object *o = NULL;
        _cleanup_free_ char *plain = NULL;

        assert_int_equal(sd_bus_message_seal(m, 1, 0), 0);
        assert_int_equal(bus_read_json(m, &o), 0);
        assert_string_equal(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN), json);
        plain = json_to_plain_text(o);
        assert_string_equal(plain, text);
        assert_true(sd_bus_message_at_end(m, true));
        sd_bus_message_unref(m);
}

static void test_numbers(void **state)
{
        sd_bus_message *m = new_message(state);

        assert_true(sd_bus_message_append(m, "t", UINT64_MAX - 1) >= 0);
        assert_value(m, "18446744073709551614", "18446744073709551614");
        m = new_message(state);
        assert_true(sd_bus_message_append(m, "t", UINT64_MAX) >= 0);
        assert_value(m, "null", "infinity");
        m = new_message(state);
        assert_true(sd_bus_message_append(m, "u", UINT32_MAX) >= 0);
        assert_value(m, "4294967295", "4294967295");
        m = new_message(state);
        assert_true(sd_bus_message_append(m, "x", INT64_MIN) >= 0);
        assert_value(m, "-9223372036854775808", "-9223372036854775808");
}

static void test_others(void **state)
{
        sd_bus_message *m = new_message(state);

        assert_true(sd_bus_message_append(m, "b", 1) >= 0);
        assert_value(m, "true", "yes");
        m = new_message(state);
        assert_true(sd_bus_message_append(m, "s", "a \"b\"") >= 0);
        assert_value(m, "\"a \\\"b\\\"\"", "a \"b\"");
        m = new_message(state);
        assert_true(sd_bus_message_append(m, "as", 2, "x", "y") >= 0);
        assert_value(m, "[\"x\",\"y\"]", "x y");
        m = new_message(state);
        assert_true(sd_bus_message_append(m, "as", 0) >= 0);
        assert_value(m, "[]", "");
}

static void test_nested(void **state)
{
        sd_bus_message *m = new_message(state);

        assert_true(sd_bus_message_append(m, "a{sv}", 3, "n", "u", 7, "list", "a(us)", 1, 1, "one", "none", "t",
                                          UINT64_MAX) >= 0);
        assert_value(m, "{\"n\":7,\"list\":[[1,\"one\"]],\"none\":null}",
                     "{\"n\":7,\"list\":[[1,\"one\"]],\"none\":null}");
}

static void test_not_a_dictionary(void **state)
{
        _cleanup_json_ json_object *o = NULL;
        sd_bus_message *m = new_message(state);

        assert_true(sd_bus_message_append(m, "s", "x") >= 0);
        assert_int_equal(sd_bus_message_seal(m, 1, 0), 0);
        assert_int_equal(bus_read_json_dictionary(m, &o), -EBADMSG);
        assert_null(o);
        sd_bus_message_unref(m);
}

static int pair[2];

static int set_up(void **state)
{
        sd_bus *bus;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return -1;
        if (sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, pair[0], pair[0]) < 0 || sd_bus_start(bus) < 0)
                return -1;
        *state = bus;
        return 0;
}

static int tear_down(void **state)
{
        sd_bus_close_unref(*state);
        close(pair[1]);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_others),
                cmocka_unit_test(test_nested),
                cmocka_unit_test(test_not_a_dictionary),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
