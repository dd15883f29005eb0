/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>

#include "auth/throttle.h"
#include "shared/network.h"
#include "shared/util.h"
#include "test.h"

#define NOW      (UINT64_C(1000000) * USEC_PER_SEC)
#define HOME     "192.0.2.1/32"
#define INTERVAL ((uint64_t) LOGIN_FAILURES_SEC * USEC_PER_SEC)

static LoginThrottle *throttle;

static int setup(void **state)
{
        assert_true(sodium_init() >= 0);
        return login_throttle_new(&throttle);
}

static int teardown(void **state)
{
        throttle = login_throttle_free(throttle);
        return 0;
}

/* A whole attempt; false if it had to wait. */
static bool attempt(const char *account, const char *network, bool known, bool fails, uint64_t now)
{
        LoginAttempt *a;
        uint64_t wait;

        if (login_attempt_new(throttle, account, network, now, &a) > 0)
                return false;
        wait = login_attempt_admit(a, known, now);
        if (wait == 0 && fails)
                login_attempt_failed(a, now);
        login_attempt_free(a);
        return wait == 0;
}

static unsigned guesses(const char *account, const char *network, bool known, unsigned tries)
{
        unsigned n = 0;

        for (unsigned i = 0; i < tries; i++)
                n += attempt(account, network, known, true, NOW);
        return n;
}

static void test_counts(void **state)
{
        LoginAttempt *a;

        assert_int_equal(guesses("a@b", HOME, false, 100), LOGIN_FAILURES_MAX);
        assert_int_equal(login_attempt_new(throttle, "a@b", HOME, NOW, &a), INTERVAL / USEC_PER_SEC);
        assert_false(attempt("a@b", HOME, true, true, NOW + INTERVAL - 1));
        assert_true(attempt("a@b", HOME, true, true, NOW + INTERVAL));
        assert_false(attempt("a@b", HOME, true, true, NOW + INTERVAL));
        assert_true(attempt("c@d", HOME, false, true, NOW));
}

/* From many networks, the account itself counts, but not where it is known. */
static void test_owner_is_not_locked_out(void **state)
{
        unsigned n = 0;

        for (unsigned i = 0; i < 200; i++) {
                char network[NETWORK_MAX];

                snprintf(network, sizeof(network), "198.51.100.%u/32", i);
                n += guesses("a@b", network, false, 1);
        }
        assert_int_equal(n, LOGIN_ACCOUNT_FAILURES_MAX);
        assert_false(attempt("a@b", "203.0.113.1/32", false, false, NOW));
        assert_true(attempt("a@b", HOME, true, false, NOW));
        assert_true(attempt("c@d", "203.0.113.1/32", false, false, NOW));
}

static void test_network(void **state)
{
        unsigned n = 0;

        for (unsigned i = 0; i < 200; i++) {
                char account[32];

                snprintf(account, sizeof(account), "user%u@example.org", i);
                n += guesses(account, HOME, false, 1);
        }
        assert_int_equal(n, LOGIN_NETWORK_FAILURES_MAX);
        assert_true(login_throttle_check_network(throttle, HOME, NOW) > 0);
        /* Guesses by a neighbour do not lock out who is known there. */
        assert_true(attempt("a@b", HOME, true, false, NOW));
        assert_int_equal(login_throttle_check_network(throttle, "192.0.2.2/32", NOW), 0);
}

/* Somebody who tries each second, from one network or from as many as they like. */
static void test_an_hour(void **state)
{
        unsigned one = 0, many = 0;

        for (unsigned i = 0; i < 3600; i++) {
                char network[NETWORK_MAX];

                snprintf(network, sizeof(network), "10.0.%u.%u/32", i / 250, i % 250);
                one += attempt("a@b", HOME, true, true, NOW + i * USEC_PER_SEC);
                many += attempt("c@d", network, false, true, NOW + i * USEC_PER_SEC);
        }
        assert_in_range(one, LOGIN_FAILURES_MAX, 100);
        assert_in_range(many, LOGIN_ACCOUNT_FAILURES_MAX, 100);
}

/* Made-up log-ins, each from another network, neither make the table forget nor lock anybody out. */
static void test_cannot_be_washed_out(void **state)
{
        assert_int_equal(guesses("victim@example.org", HOME, true, 100), LOGIN_FAILURES_MAX);
        for (unsigned i = 0; i < 30000; i++) {
                char account[40], network[NETWORK_MAX];

                snprintf(account, sizeof(account), "made-up-%u@example.org", i);
                snprintf(network, sizeof(network), "10.%u.%u.1/32", i / 250, i % 250);
                assert_true(attempt(account, network, false, true, NOW));
        }
        assert_int_equal(guesses("victim@example.org", HOME, true, 100), 0);
        for (unsigned i = 0; i < 1000; i++) {
                char account[40], network[NETWORK_MAX];

                snprintf(account, sizeof(account), "other-%u@example.org", i);
                snprintf(network, sizeof(network), "172.16.%u.%u/32", i / 250, i % 250);
                /* Some share all of their cells with others, and lose one. */
                assert_true(guesses(account, network, false, LOGIN_FAILURES_MAX) >= LOGIN_FAILURES_MAX - 2);
        }
}

/* Many at once count as they begin; those that were right do not count after they end. */
static void test_at_once(void **state)
{
        LoginAttempt *a[LOGIN_FAILURES_MAX], *more;

        for (unsigned i = 0; i < LOGIN_FAILURES_MAX; i++) {
                assert_int_equal(login_attempt_new(throttle, "a@b", HOME, NOW, &a[i]), 0);
                assert_int_equal(login_attempt_admit(a[i], false, NOW), 0);
        }
        assert_true(login_attempt_new(throttle, "a@b", HOME, NOW, &more) > 0);
        for (unsigned i = 0; i < LOGIN_FAILURES_MAX; i++)
                login_attempt_free(a[i]);
        for (unsigned i = 0; i < 10 * LOGIN_NETWORK_FAILURES_MAX; i++)
                assert_true(attempt("a@b", HOME, false, false, NOW));
}

static void test_too_many_at_once(void **state)
{
        LoginAttempt *a;

        for (unsigned i = 0; i < LOGIN_ATTEMPTS_MAX; i++) {
                char account[40];

                snprintf(account, sizeof(account), "%u@example.org", i);
                assert_int_equal(login_attempt_new(throttle, account, HOME, NOW, &a), 0);
        }
        assert_true(login_attempt_new(throttle, "a@b", HOME, NOW, &a) > 0);
}

static void test_sign_ups(void **state)
{
        for (unsigned i = 0; i < SIGN_UPS_MAX; i++)
                assert_int_equal(login_throttle_sign_up(throttle, HOME, NOW), 0);
        assert_true(login_throttle_sign_up(throttle, HOME, NOW) > 0);
        assert_int_equal(login_throttle_sign_up(throttle, "192.0.2.2/32", NOW), 0);
        assert_true(attempt("a@b", HOME, false, false, NOW));
}

static void test_networks(void **state)
{
        static const char *const table[][2] = {
                { "192.0.2.1", "192.0.2.1/32" },
                { "::ffff:192.0.2.1", "192.0.2.1/32" },
                { "::ffff:c000:0201", "192.0.2.1/32" },
                { "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" },
                { "2001:DB8:1:2::", "2001:db8:1:2::/64" },
                { "::1", "127.0.0.1/32" },
                { "::2", "::/64" },
                { "local", "" },
                { "", "" },
        };
        char network[NETWORK_MAX];

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                network_of(table[i][0], network);
                assert_string_equal(network, table[i][1]);
        }
        network_of(NULL, network);
        assert_string_equal(network, "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_counts, setup, teardown),
                cmocka_unit_test_setup_teardown(test_owner_is_not_locked_out, setup, teardown),
                cmocka_unit_test_setup_teardown(test_network, setup, teardown),
                cmocka_unit_test_setup_teardown(test_an_hour, setup, teardown),
                cmocka_unit_test_setup_teardown(test_cannot_be_washed_out, setup, teardown),
                cmocka_unit_test_setup_teardown(test_at_once, setup, teardown),
                cmocka_unit_test_setup_teardown(test_too_many_at_once, setup, teardown),
                cmocka_unit_test_setup_teardown(test_sign_ups, setup, teardown),
                cmocka_unit_test(test_networks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
