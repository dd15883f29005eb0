/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "test.h"
#include "shared/time-span.h"
#include "shared/util.h"

static void test_spans(void **state)
{
        static const struct {
                const char *text;
                uint64_t usec;
        } cases[] = {
                { "0", 0 },
                { "90", 90 * USEC_PER_SEC },
                { "30s", 30 * USEC_PER_SEC },
                { "30m", 1800 * USEC_PER_SEC },
                { "30min", 1800 * USEC_PER_SEC },
                { "12h", 43200 * USEC_PER_SEC },
                { "7d", 604800 * USEC_PER_SEC },
                { "2w", 1209600 * USEC_PER_SEC },
                { "1M", 2629800 * USEC_PER_SEC },
                { "1y", 31557600 * USEC_PER_SEC },
                { "2h 30min", 9000 * USEC_PER_SEC },
                { "2h30min", 9000 * USEC_PER_SEC },
                { " 1 day  2 hours ", 93600 * USEC_PER_SEC },
                { "1.5h", 5400 * USEC_PER_SEC },
                { "1 2h", 7201 * USEC_PER_SEC },
                { "0.25", USEC_PER_SEC / 4 },
                { "5ms 7us", 5007 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t usec = 4711;

                if (parse_time_span(cases[i].text, &usec) < 0 || usec != cases[i].usec)
                        fail_msg("\"%s\" is %" PRIu64, cases[i].text, usec);
        }
}

static void test_no_spans(void **state)
{
        static const char *const wrong[] = { "",    " ",  "h",       "x",       "-1h",   "1x",   "1h x",
                                             "1.h", ".5", "1h,2min", "2026-03", "+5min", "12 H", "1e3" };
        static const char *const long_ones[] = { "1001y", "99999999999999999999", "18446744073709551616us",
                                                 "600y 600y" };
        uint64_t usec = 4711;

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                if (parse_time_span(wrong[i], &usec) != -EINVAL)
                        fail_msg("\"%s\" was taken", wrong[i]);
        for (size_t i = 0; i < ELEMENTSOF(long_ones); i++)
                if (parse_time_span(long_ones[i], &usec) != -ERANGE)
                        fail_msg("\"%s\" was taken", long_ones[i]);
        assert_int_equal(usec, 4711);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_spans),
                cmocka_unit_test(test_no_spans),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
