/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "test.h"
#include "notify/address-guard.h"

static bool is_public(const char *text)
{
        struct sockaddr_in in = { .sin_family = AF_INET };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

        if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
                return address_is_public((struct sockaddr *) &in);
        assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
        return address_is_public((struct sockaddr *) &in6);
}

static void test_public(void **state)
{
        static const char *const addresses[] = { "1.1.1.1",         "8.8.8.8",          "11.0.0.0",
                                                 "9.255.255.255",   "100.63.255.255",   "100.128.0.0",
                                                 "172.15.255.255",  "172.32.0.0",       "192.167.0.1",
                                                 "192.169.0.1",     "223.255.255.255",  "2606:4700::1111",
                                                 "2a00::1",         "::ffff:1.1.1.1",   "64:ff9b::1.1.1.1",
                                                 "2002:101:101::1", "::ffff:0:1.1.1.1", "2606:4700::5efe:101:101" };

        for (size_t i = 0; i < ELEMENTSOF(addresses); i++)
                if (!is_public(addresses[i]))
                        fail_msg("%s is refused", addresses[i]);
}

static void test_special(void **state)
{
        static const char *const addresses[] = {
                "0.0.0.0",
                "10.0.0.1",
                "10.255.255.255",
                "100.64.0.1",
                "127.0.0.1",
                "127.255.255.255",
                "169.254.169.254",
                "172.16.0.1",
                "172.31.255.255",
                "192.0.0.1",
                "192.0.2.1",
                "192.168.0.1",
                "198.18.0.1",
                "198.19.255.255",
                "198.51.100.1",
                "203.0.113.1",
                "224.0.0.1",
                "240.0.0.1",
                "255.255.255.255",
                "::",
                "::1",
                "::127.0.0.1",
                "::ffff:127.0.0.1",
                "::ffff:10.0.0.1",
                "64:ff9b::10.0.0.1",
                "::ffff:0:10.0.0.1",
                "::ffff:0:127.0.0.1",
                "::ffff:0:169.254.169.254",
                "64:ff9b:1::1",
                "64:ff9b:1::1.1.1.1",
                "64:ff9b:2::1.1.1.1",
                "::fffe:1.1.1.1",
                "100::1",
                "2606:4700::5efe:10.0.0.1",
                "2606:4700::200:5efe:127.0.0.1",
                "4000::1",
                "5f00::1",
                "2001:0:0:1::1",
                "2002:7f00:1::1",
                "2002:a00:1::",
                "2001::1",
                "2001:db8::1",
                "fc00::1",
                "fd12::1",
                "fe80::1",
                "febf::1",
                "fec0::1",
                "ff02::1",
        };
        struct sockaddr other = { .sa_family = AF_UNIX };

        for (size_t i = 0; i < ELEMENTSOF(addresses); i++)
                if (is_public(addresses[i]))
                        fail_msg("%s is let through", addresses[i]);
        assert_false(address_is_public(&other));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_public),
                cmocka_unit_test(test_special),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
