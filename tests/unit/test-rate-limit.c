/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>

#include "http/rate-limit.h"
#include "test.h"

#define RATE 5
#define NOW  (1000 * USEC_PER_SEC)

static void test_burst_and_recovery(void **state)
{
        uint64_t now = NOW, wait;
        RateLimit *l;

        assert_true(sodium_init() >= 0);
        assert_return_code(rate_limit_new(RATE * RATE_BURST_SEC, USEC_PER_SEC / RATE, &l), 0);
        for (unsigned i = 0; i < RATE * RATE_BURST_SEC; i++)
                assert_int_equal(rate_limit_take(l, "a", now), 0);
        wait = rate_limit_take(l, "a", now);
        assert_true(wait > 0);
        assert_int_equal(rate_limit_take(l, "b", now), 0);
        now += wait * USEC_PER_SEC;
        assert_int_equal(rate_limit_take(l, "a", now), 0);

        /* At the rate itself it goes on for ever, and not above it. */
        for (unsigned i = 0; i < 1000; i++) {
                now += USEC_PER_SEC / RATE;
                assert_int_equal(rate_limit_take(l, "a", now), 0);
        }
        now += RATE_BURST_SEC * USEC_PER_SEC;
        for (unsigned i = 0; i < RATE * RATE_BURST_SEC; i++)
                assert_int_equal(rate_limit_take(l, "a", now), 0);
        assert_true(rate_limit_take(l, "a", now) > 0);
        rate_limit_free(l);
}

static void test_many_clients(void **state)
{
        RateLimit *l;

        assert_return_code(rate_limit_new(RATE_BURST_SEC, USEC_PER_SEC, &l), 0);
        for (unsigned i = 0; i < 100000; i++) {
                char client[16];

                snprintf(client, sizeof(client), "%u", i);
                assert_int_equal(rate_limit_take(l, client, NOW), 0);
        }
        rate_limit_free(l);
}

/* Others, however many, do not make the table forget. */
static void test_is_not_forgotten(void **state)
{
        unsigned n_refused = 0;
        RateLimit *l;

        assert_return_code(rate_limit_new(10, 30 * USEC_PER_SEC, &l), 0);
        for (unsigned i = 0; i < 10; i++)
                assert_int_equal(rate_limit_take(l, "a", NOW), 0);
        for (unsigned i = 0; i < 30000; i++) {
                char client[16];

                snprintf(client, sizeof(client), "%u", i);
                (void) rate_limit_take(l, client, NOW);
        }
        assert_true(rate_limit_take(l, "a", NOW) > 0);
        /* Nor do they count for more than a few who share all of their cells. */
        for (unsigned i = 0; i < 200; i++) {
                char client[16];

                snprintf(client, sizeof(client), "fresh-%u", i);
                n_refused += rate_limit_take(l, client, NOW) > 0;
        }
        assert_in_range(n_refused, 0, 100);
        rate_limit_free(l);

        /* Those under way count, too. */
        assert_return_code(rate_limit_new(10, 30 * USEC_PER_SEC, &l), 0);
        assert_int_equal(rate_limit_take(l, "b", NOW), 0);
        assert_int_equal(rate_limit_check(l, "b", 8, NOW), 0);
        assert_true(rate_limit_check(l, "b", 9, NOW) > 0);
        rate_limit_free(l);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_burst_and_recovery),
                cmocka_unit_test(test_many_clients),
                cmocka_unit_test(test_is_not_forgotten),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
