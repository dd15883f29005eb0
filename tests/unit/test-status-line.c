/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "shared/status-line.h"

/* 2025-09-02 16:06:37 UTC */
#define STAMP (UINT64_C(1756829197) * USEC_PER_SEC)

static int parse(const char *s, StatusLine *ret)
{
        return status_line_parse(s, strlen(s), STAMP, ret);
}

static void assert_line(const char *s, Status status, const char *message)
{
        _cleanup_(status_line_done) StatusLine l = {};

        assert_int_equal(parse(s, &l), 0);
        assert_int_equal(l.status, status);
        assert_string_equal(l.message, message);
        assert_true(l.timestamp == STAMP);
}

static void test_valid(void **state)
{
        assert_line("2025-09-02 16:06:37, OK, System is up-to-date.", STATUS_OK, "System is up-to-date.");
        assert_line("2025-09-02 16:06:37, UPDATE, 3, 4, and 5", STATUS_UPDATE, "3, 4, and 5");
        assert_line("2025-09-02 16:06:37,WARNING,no spaces\r\n", STATUS_WARNING, "no spaces");
        assert_line("2025-09-02 16:06:37, FAILURE, \x1b[31mred\x1b[0m", STATUS_FAILURE, "red");
        assert_line("2025-09-02 16:06:37, OK", STATUS_OK, "");
        assert_line("2025-09-02 16:06:37, OK,", STATUS_OK, "");
        assert_line("2025-09-02 16:06:37, OK, bad \xff byte", STATUS_OK, "bad \xef\xbf\xbd byte");
}

static void test_invalid(void **state)
{
        static const char *const lines[] = {
                "",
                "OK",
                "2025-09-02, OK, x",
                "2025-09-02 16:06:37 OK x",
                "2025-09-02 16:06:37, ok, x",
                "2025-09-02 16:06:37, OKAY, x",
                "2025-09-02 16:06:37, ERROR, x",
                "2025-09-02 16:06:37, OK x",
                "2025-02-30 16:06:37, OK, x",
                "2025-13-01 16:06:37, OK, x",
                "2025-09-02 24:06:37, OK, x",
                " 2025-09-02 16:06:37, OK, x",
                "x2025-09-02 16:06:37, OK, x",
                "9999-12-31 23:59:60, OK, the year 10000",
        };

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                StatusLine l = { .message = (char *) "untouched" };

                assert_int_equal(parse(lines[i], &l), -EBADMSG);
                assert_string_equal(l.message, "untouched");
        }
}

static void test_nul_and_cut(void **state)
{
        static const char nul[] = "2025-09-02 16:06:37, OK, a\0b";
        static char big[64 * 1024 + 64];
        _cleanup_(status_line_done) StatusLine l = {}, m = {};
        int n;

        assert_int_equal(status_line_parse(nul, sizeof(nul) - 1, STAMP, &l), 0);
        assert_string_equal(l.message, "a\xef\xbf\xbd"
                                       "b");

        n = snprintf(big, sizeof(big), "2025-09-02 16:06:37, OK, ");
        memset(big + n, 'x', 64 * 1024);
        assert_int_equal(status_line_parse(big, (size_t) n + 64 * 1024, STAMP, &m), 0);
        assert_int_equal(strlen(m.message), STATUS_MESSAGE_MAX);
        assert_non_null(endswith(m.message, STATUS_MESSAGE_CUT));
}

/* 2025-10-26 02:30 stands twice in Berlin: 00:30 UTC in summer time, 01:30 UTC after it. */
static void test_clock_change(void **state)
{
        const uint64_t summer = UINT64_C(1761438600) * USEC_PER_SEC, winter = summer + 3600 * USEC_PER_SEC;
        static const char line[] = "2025-10-26 02:30:00, OK, x";
        StatusLine l;

        setenv("TZ", "Europe/Berlin", 1);
        tzset();
        assert_int_equal(status_line_parse(line, strlen(line), summer + 5, &l), 0);
        assert_true(l.timestamp == summer);
        status_line_done(&l);
        assert_int_equal(status_line_parse(line, strlen(line), winter + 5, &l), 0);
        assert_true(l.timestamp == winter);
        status_line_done(&l);
        /* 2025-03-30 02:30 does not exist; it is still a line. */
        assert_int_equal(status_line_parse("2025-03-30 02:30:00, OK, x", 26, STAMP, &l), 0);
        status_line_done(&l);
        setenv("TZ", "UTC", 1);
        tzset();
}

/* Around both clock changes, of an hour and of half an hour: of all instants whose local time is the stamp, the one nearest
 * to when the line came. The slow and the quick way are the same then. */
static void test_nearest_reading(void **state)
{
        static const struct {
                const char *zone;
                time_t change;
        } cases[] = {
                { "Europe/Berlin", 1743296400 },
                { "Europe/Berlin", 1761440400 },
                { "Australia/Lord_Howe", 1743865200 },
                { "Australia/Lord_Howe", 1759591800 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                setenv("TZ", cases[i].zone, 1);
                tzset();
                for (time_t received = cases[i].change - 4000; received <= cases[i].change + 4000; received += 401)
                        for (time_t said = received - 5400; said <= received + 5400; said += 301) {
                                char stamp[20], other[20], line[32];
                                time_t best = said;
                                StatusLine l;
                                struct tm tm;

                                localtime_r(&said, &tm);
                                strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm);
                                for (int shift = -3600; shift <= 3600; shift += 1800) {
                                        time_t t = said + shift;

                                        localtime_r(&t, &tm);
                                        strftime(other, sizeof(other), "%Y-%m-%d %H:%M:%S", &tm);
                                        if (streq(stamp, other) && labs(t - received) < labs(best - received))
                                                best = t;
                                }
                                snprintf(line, sizeof(line), "%s, OK, x", stamp);
                                assert_int_equal(
                                        status_line_parse(line, strlen(line), (uint64_t) received * USEC_PER_SEC, &l),
                                        0);
                                assert_int_equal(l.timestamp / USEC_PER_SEC, best);
                                status_line_done(&l);
                        }
        }
        setenv("TZ", "UTC", 1);
        tzset();
}

static void test_rfc3339(void **state)
{
        char buf[RFC3339_MAX];
        uint64_t usec;

        assert_string_equal(format_rfc3339(STAMP, buf), "2025-09-02T16:06:37Z");
        assert_string_equal(format_rfc3339(STAMP + 12345, buf), "2025-09-02T16:06:37.012Z");
        assert_int_equal(parse_rfc3339("2025-09-02T16:06:37Z", &usec), 0);
        assert_true(usec == STAMP);
        assert_int_equal(parse_rfc3339("2025-09-02T18:06:37.5+02:00", &usec), 0);
        assert_true(usec == STAMP + 500000);
        assert_int_equal(parse_rfc3339("2025-09-02T16:06:37", &usec), -EINVAL);
        assert_int_equal(parse_rfc3339("2025-09-02T16:06:37Zx", &usec), -EINVAL);
        assert_int_equal(parse_rfc3339("2025-09-31T16:06:37Z", &usec), -EINVAL);
        assert_int_equal(parse_rfc3339("2025-09-02T16:06:37.Z", &usec), -EINVAL);
        assert_int_equal(parse_rfc3339("2025-09-02T16:06:37+2:00", &usec), -EINVAL);

        /* The days at the ends; a leap second is none of its own. */
        assert_int_equal(parse_rfc3339("9999-12-31T23:59:59Z", &usec), 0);
        assert_string_equal(format_rfc3339(usec, buf), "9999-12-31T23:59:59Z");
        assert_int_equal(parse_rfc3339("9999-12-31T23:59:59-01:00", &usec), -EINVAL);
        assert_int_equal(parse_rfc3339("1970-01-01T00:00:00+01:00", &usec), -EINVAL);
        assert_int_equal(parse_rfc3339("2016-12-31T23:59:60Z", &usec), 0);
        assert_string_equal(format_rfc3339(usec, buf), "2017-01-01T00:00:00Z");
        assert_int_equal(parse_rfc3339("2025-02-30T12:00:60Z", &usec), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_valid),           cmocka_unit_test(test_invalid),
                cmocka_unit_test(test_nul_and_cut),     cmocka_unit_test(test_clock_change),
                cmocka_unit_test(test_nearest_reading), cmocka_unit_test(test_rfc3339),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
