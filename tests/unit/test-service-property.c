/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <sys/socket.h>

#include "service-property.h"
#include "shared/metadata.h"

/* A message that can be read needs no connection that stands, only a bus to belong to. */
static sd_bus_message *new_message(void **state)
{
        sd_bus *bus = *state;
        sd_bus_message *m;

        assert_int_equal(sd_bus_message_new(bus, &m, SD_BUS_MESSAGE_METHOD_CALL), 0);
        return m;
}

/* Reads the one variant of the message, wholly. */
static int take(sd_bus_message *m, const char *name, ServiceInfo *s, bool *ret_next_run)
{
        int r;

        assert_int_equal(sd_bus_message_seal(m, 1, 0), 0);
        r = service_property_read(m, name, s, ret_next_run);
        if (r >= 0)
                assert_true(sd_bus_message_at_end(m, true));
        sd_bus_message_unref(m);
        return r;
}

static void assert_metadata(const ServiceInfo *s, const char *json)
{
        assert_string_equal(json_object_to_json_string_ext(s->metadata, JSON_C_TO_STRING_PLAIN), json);
}

static void test_metadata(void **state)
{
        ServiceInfo s = {};
        bool next_run = false;
        sd_bus_message *m = new_message(state);

        assert_true(sd_bus_message_append(m, "v", "a{ss}", 2, "description", "a \"b\"", "version", "1.0") >= 0);
        assert_int_equal(take(m, "Metadata", &s, &next_run), 1);
        assert_metadata(&s, "{\"description\":\"a \\\"b\\\"\",\"version\":\"1.0\"}");
        /* The same in another order is no change. */
        m = new_message(state);
        assert_true(sd_bus_message_append(m, "v", "a{ss}", 2, "version", "1.0", "description", "a \"b\"") >= 0);
        assert_int_equal(take(m, "Metadata", &s, &next_run), 0);
        m = new_message(state);
        assert_true(sd_bus_message_append(m, "v", "a{ss}", 2, "description", "a \"b\"", "version", "1.1") >= 0);
        assert_int_equal(take(m, "Metadata", &s, &next_run), 1);
        /* A key that this release does not know is sent as the others. */
        m = new_message(state);
        assert_true(sd_bus_message_append(m, "v", "a{ss}", 1, "owner", "x") >= 0);
        assert_int_equal(take(m, "Metadata", &s, &next_run), 1);
        assert_metadata(&s, "{\"owner\":\"x\"}");
        m = new_message(state);
        assert_true(sd_bus_message_append(m, "v", "a{ss}", 0) >= 0);
        assert_int_equal(take(m, "Metadata", &s, &next_run), 1);
        assert_metadata(&s, "{}");
        assert_false(next_run);
        service_info_done(&s);
}

static void test_what_the_backend_would_refuse_is_left_out(void **state)
{
        char value[514] = "";
        ServiceInfo s = {};
        bool next_run = false;
        sd_bus_message *m = new_message(state);

        memset(value, 'v', 513);
        assert_true(sd_bus_message_append(m, "v", "a{ss}", 4, "Upper", "x", "long", value, "", "x", "good", "x") >= 0);
        assert_int_equal(take(m, "Metadata", &s, &next_run), 1);
        assert_metadata(&s, "{\"good\":\"x\"}");

        m = new_message(state);
        assert_true(sd_bus_message_open_container(m, 'v', "a{ss}") >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "{ss}") >= 0);
        for (char c = 'a'; c <= 'z'; c++)
                assert_true(sd_bus_message_append(m, "{ss}", (char[]){ c, '\0' }, "x") >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        assert_int_equal(take(m, "Metadata", &s, &next_run), 1);
        assert_int_equal(json_object_object_length(s.metadata), METADATA_PASSIVE_MAX);
        service_info_done(&s);
}

static void test_another_type_is_an_error(void **state)
{
        ServiceInfo s = {};
        bool next_run = false;
        sd_bus_message *m = new_message(state);

        assert_true(sd_bus_message_append(m, "v", "s", "x") >= 0);
        assert_true(take(m, "Metadata", &s, &next_run) < 0);
        assert_null(s.metadata);
}

static void test_others(void **state)
{
        ServiceInfo s = {};
        bool next_run = false;
        sd_bus_message *m = new_message(state);

        assert_true(sd_bus_message_append(m, "v", "as", 2, "a.service", "b.socket") >= 0);
        assert_int_equal(take(m, "Watches", &s, &next_run), 1);
        assert_string_equal(s.watches, "a.service, b.socket");
        m = new_message(state);
        assert_true(sd_bus_message_append(m, "v", "t", UINT64_C(7)) >= 0);
        assert_int_equal(take(m, "NextRunUSec", &s, &next_run), 0);
        assert_true(next_run);
        assert_int_equal(s.next_run, 7);
        m = new_message(state);
        assert_true(sd_bus_message_append(m, "v", "a{sv}", 1, "x", "u", 1) >= 0);
        assert_int_equal(take(m, "Unknown", &s, &next_run), 0);
        assert_true(service_property_is_told("Metadata"));
        assert_false(service_property_is_told("Message"));
        service_info_done(&s);
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
                cmocka_unit_test(test_metadata),
                cmocka_unit_test(test_what_the_backend_would_refuse_is_left_out),
                cmocka_unit_test(test_another_type_is_an_error),
                cmocka_unit_test(test_others),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
