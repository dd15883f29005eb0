/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "shared/server-url.h"

static void test_good(void **state)
{
        static const struct {
                const char *text, *host, *authority;
                uint16_t port;
                bool tls, is_address;
        } table[] = {
                { "https://example.com", "example.com", "example.com", 443, true, false },
                { "https://example.com/", "example.com", "example.com", 443, true, false },
                { "wss://Example.com:8443", "Example.com", "Example.com:8443", 8443, true, false },
                { "https://192.0.2.1:1", "192.0.2.1", "192.0.2.1:1", 1, true, true },
                { "https://[2001:db8::1]:8443", "2001:db8::1", "[2001:db8::1]:8443", 8443, true, true },
                { "https://[2001:db8::1]", "2001:db8::1", "[2001:db8::1]", 443, true, true },
                { "http://localhost:8080", "localhost", "localhost:8080", 8080, false, false },
                { "ws://127.1.2.3", "127.1.2.3", "127.1.2.3", 80, false, true },
                { "http://[::1]:65535", "::1", "[::1]:65535", 65535, false, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                ServerUrl u;

                assert_int_equal(server_url_parse(table[i].text, &u), 0);
                assert_string_equal(u.host, table[i].host);
                assert_string_equal(u.authority, table[i].authority);
                assert_int_equal(u.port, table[i].port);
                assert_int_equal(u.tls, table[i].tls);
                assert_int_equal(u.is_address, table[i].is_address);
                server_url_done(&u);
        }
}

static void test_bad(void **state)
{
        static const char *const table[] = {
                "",
                "https://",
                "https:///",
                "example.com",
                "ftp://example.com",
                "https://user@example.com",
                "https://example.com/path",
                "https://example.com?q",
                "https://example.com#f",
                "https://example.com:",
                "https://example.com:0",
                "https://example.com:65536",
                "https://example.com:8x",
                "https://a b",
                "https://[::1",
                "https://[::1]x",
                "https://[example]",
                "https://::1",
                "https://-x",
                "https://ex\r\nample",
        };
        ServerUrl u;

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_int_equal(server_url_parse(table[i], &u), -EINVAL);
}

static void test_plain_only_to_the_loopback(void **state)
{
        static const char *const table[] = {
                "http://example.com",           "ws://192.0.2.1",   "http://[2001:db8::1]",
                "http://localhost.example.com", "http://128.0.0.1", "http://0.0.0.0",
        };
        ServerUrl u;

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_int_equal(server_url_parse(table[i], &u), -EPERM);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good),
                cmocka_unit_test(test_bad),
                cmocka_unit_test(test_plain_only_to_the_loopback),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
