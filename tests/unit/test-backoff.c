/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "backoff.h"

static void test_limits(void **state)
{
        uint64_t limit = USEC_PER_SEC;
        Backoff b = {};

        for (int i = 0; i < 100; i++) {
                assert_int_equal(backoff_limit(&b), limit);
                assert_int_equal(backoff_next(&b, limit), limit);
                limit = MIN(limit * 2, BACKOFF_CAP_USEC);
        }
        backoff_reset(&b);
        assert_int_equal(backoff_limit(&b), USEC_PER_SEC);
}

/* The whole range is used, and nothing beyond. */
static void test_full_jitter(void **state)
{
        bool low = false, high = false;

        for (uint64_t i = 0; i < 1000; i++) {
                Backoff b = { .attempts = 5 };
                uint64_t wait;

                wait = backoff_next(&b, i * UINT64_C(0x9e3779b97f4a7c15));
                assert_true(wait > 0 && wait <= 32 * USEC_PER_SEC);
                low |= wait < 4 * USEC_PER_SEC;
                high |= wait > 28 * USEC_PER_SEC;
        }
        assert_true(low && high);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_full_jitter),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
