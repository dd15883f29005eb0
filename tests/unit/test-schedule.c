/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "schedule.h"
#include "test.h"

#define WHOLE UINT64_C(1)
#define HALF  (UINT64_C(1) << 30)

/* 2026-11-01 */
#define NOW ((time_t) 1793491200)

static uint64_t minutes_of(const char *zone)
{
        assert_int_equal(setenv("TZ", zone, true), 0);
        return schedule_zone_minutes(NOW);
}

static void test_zones(void **state)
{
        if (access("/usr/share/zoneinfo/Europe/Athens", R_OK) < 0)
                skip();
        assert_true(minutes_of("UTC") == WHOLE);
        assert_true(minutes_of("Europe/Athens") == WHOLE);
        assert_true(minutes_of("America/New_York") == WHOLE);
        assert_true(minutes_of("Asia/Kolkata") == HALF);
        assert_true(minutes_of("America/St_Johns") == HALF);
        assert_true(minutes_of("Asia/Kathmandu") == UINT64_C(1) << 45);
        assert_true(minutes_of("Australia/Lord_Howe") == (WHOLE | HALF));
        /* An hour less for one month of each year, which is not always the same. */
        assert_true(minutes_of("Africa/Casablanca") == WHOLE);
        /* 44 minutes and 30 seconds until 1972: that is over. */
        assert_true(minutes_of("Africa/Monrovia") == WHOLE);
        assert_true(minutes_of("XYZ-1:30:15") == 0);
}

/* A zone that this process was given need not be that of systemd. */
static void test_own_zone(void **state)
{
        assert_int_equal(setenv("TZ", "UTC", true), 0);
        assert_true(schedule_host_minutes() == 0);
        assert_int_equal(unsetenv("TZ"), 0);
        assert_true(schedule_host_minutes() != 0);
}

static void test_same(void **state)
{
        assert_true(schedule_is_same_in_utc("*-*-* *:00/5:00", WHOLE));
        assert_true(schedule_is_same_in_utc("*-*-* *:00/5:00", WHOLE | HALF));
        assert_true(schedule_is_same_in_utc("*-*-* *:10:00", WHOLE));
        assert_false(schedule_is_same_in_utc("*-*-* *:10:00", WHOLE | HALF));
        assert_false(schedule_is_same_in_utc("*-*-* *:10:00", HALF));
        assert_true(schedule_is_same_in_utc("*-*-* *:10,40:00", HALF));
        assert_true(schedule_is_same_in_utc("*-*-* *:00..29,30..59:00", HALF));
        assert_true(schedule_is_same_in_utc("*-*-* *:00..20/10,30..50/10:00", HALF));
        assert_false(schedule_is_same_in_utc("*-*-* *:00..50/20:00", HALF));
        assert_true(schedule_is_same_in_utc("*-*-* *:*:00/0.500000", UINT64_C(1) << 45));
        assert_true(schedule_is_same_in_utc("*-*-* *:*:*", UINT64_C(1) << 45));
        /* Each quarter, and each twenty minutes, under a quarter of an hour. */
        assert_true(schedule_is_same_in_utc("*-*-* *:05/15:01,02", UINT64_C(1) << 45));
        assert_false(schedule_is_same_in_utc("*-*-* *:00/20:00", UINT64_C(1) << 45));
        assert_false(schedule_is_same_in_utc("*-*-* *:00/7:00", HALF));
}

/* What is not certain stays as it was written. */
static void test_other(void **state)
{
        static const char *const others[] = {
                "*-*-* 04:00:00",
                "*-*-* 00..23:00:00",
                "*-*-* 00/1:00:00",
                "*-*-01/1 *:00:00",
                "*-01-01 *:00/5:00",
                "Mon..Fri *-*-* *:00:00",
                "*-*-* *:00/5:00 UTC",
                "*-*-* *:00/5:00 Europe/Athens",
                "*-*-* *:00/5",
                "*-*-* *:00/5:",
                "*-*-* *::00",
                "*-*-* *:60:00",
                "*-*-* *:5:00",
                "*-*-* *:00/0:00",
                "*-*-* *:00..:00",
                "*-*-* *:00/:00",
                "*-*-* *:00,:00",
                "*-*-* *:00/100:00",
                "*-*-* *:+1:00",
                "*-*-* *: 1:00",
                "*-*~01 *:00:00",
                "2026-*-* *:00:00",
                "",
                "*",
                "hourly",
        };

        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                if (schedule_is_same_in_utc(others[i], WHOLE))
                        fail_msg("taken: %s", others[i]);
        assert_false(schedule_is_same_in_utc(NULL, WHOLE));
        assert_false(schedule_is_same_in_utc("*-*-* *:*:00", 0));
}

static void test_output(void **state)
{
        _cleanup_free_ char *s = NULL;

        assert_int_equal(
                schedule_read_normalized(
                        "  Original form: *:0/5\nNormalized form: *-*-* *:00/5:00\n    Next elapse: never\n", &s),
                0);
        assert_string_equal(s, "*-*-* *:00/5:00");
        assert_int_equal(schedule_read_normalized("Normalized form: *-*-* *:0", &s), -ENODATA);
        assert_int_equal(schedule_read_normalized("Normalized form: \n", &s), -ENODATA);
        assert_int_equal(schedule_read_normalized("", &s), -ENODATA);
}

/* As systemd 252 prints it, and 257 and later. */
static void test_interval(void **state)
{
        static const char *const printed[] = {
                "  Original form: *:0/15\nNormalized form: *-*-* *:00/15:00\n    Next elapse: Mon 2026-11-23 17:00:00 UTC\n"
                "       From now: 4min left\n       Iter. #2: Mon 2026-11-23 17:15:00 UTC\n       From now: 19min left\n",
                "  Original form: *:0/15\nNormalized form: *-*-* *:00/15:00\n    Next elapse: Mon 2026-11-23 17:00:00 UTC\n"
                "       From now: 4min left\n   Iteration #2: Mon 2026-11-23 17:15:00 UTC\n       From now: 19min left\n",
        };
        uint64_t usec;

        for (size_t i = 0; i < ELEMENTSOF(printed); i++) {
                usec = 0;
                assert_true(schedule_read_interval(printed[i], &usec));
                assert_int_equal(usec, 15 * 60 * USEC_PER_SEC);
        }
        assert_false(schedule_read_interval("    Next elapse: Mon 2026-11-23 17:00:00 UTC\n", &usec));
        assert_false(schedule_read_interval("    Next elapse: never\n", &usec));
        assert_false(schedule_read_interval("", &usec));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_zones), cmocka_unit_test(test_own_zone), cmocka_unit_test(test_same),
                cmocka_unit_test(test_other), cmocka_unit_test(test_output),   cmocka_unit_test(test_interval),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
