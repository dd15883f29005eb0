/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>

#include "schedule.h"
#include "test.h"
#include "validate.h"

/* The real systemd-analyze and bash judge. */

typedef struct Outcome {
        sd_event *event;
        int r;
        Metadata *metadata;
        uint64_t timeout_usec, random_delay_usec;
        char *normalized;
} Outcome;

static void on_done(int r, Verdict *v, void *userdata)
{
        Outcome *o = userdata;

        o->r = r;
        o->metadata = TAKE_PTR(v->metadata);
        o->timeout_usec = v->timeout_usec;
        o->normalized = TAKE_PTR(v->normalized);
        o->random_delay_usec = v->random_delay_usec;
        sd_event_exit(o->event, 0);
}

static Outcome judge_for(bool runs_here, const char *schedule, const char *timeout, const char *body)
{
        _cleanup_free_ char *text = NULL;
        Validation *v = NULL;
        Metadata *m = NULL;
        _cleanup_(helpers_freep) Helpers *helpers = NULL;
        Outcome o = {};

        assert_true(
                asprintf(&text,
                         "#!/bin/bash\n# name: X\n# description: d\n# version: 1\n# schedule: %s\n# timeout: %s\n%s",
                         schedule, timeout, body) > 0);
        assert_int_equal(metadata_parse(text, strlen(text), &m), 0);
        assert_int_equal(sd_event_new(&o.event), 0);
        assert_int_equal(helpers_new(o.event, &helpers), 0);
        assert_int_equal(validation_start(helpers, 0, m, text, strlen(text), runs_here, on_done, &o, &v), 0);
        assert_int_equal(sd_event_loop(o.event), 0);
        o.event = sd_event_unref(o.event);
        assert_int_equal(o.r, 0);
        return o;
}

static Outcome judge(const char *schedule, const char *timeout, const char *body)
{
        return judge_for(true, schedule, timeout, body);
}

static void assert_judged(const char *schedule, const char *timeout, const char *body, unsigned line, const char *part)
{
        Outcome o = judge(schedule, timeout, body);

        if (part) {
                assert_int_equal(o.metadata->n_errors, 1);
                assert_int_equal(o.metadata->problems[0].line, line);
                if (!strstr(o.metadata->problems[0].text, part))
                        fail_msg("not \"%s\": %s", part, o.metadata->problems[0].text);
        } else
                assert_int_equal(o.metadata->n_problems, 0);
        metadata_free(o.metadata);
        free(o.normalized);
}

/* Where it does not run, it is not known whether the user is there. */
static void test_user(void **state)
{
        static const char *const unknown = "# user: no-such-user\necho\n";

        assert_judged("daily", "20", "# user: root\necho\n", 0, NULL);
        for (int runs_here = 0; runs_here < 2; runs_here++) {
                Outcome o = judge_for(runs_here, "daily", "20", unknown);

                assert_int_equal(o.metadata->n_problems, 1);
                assert_int_equal(o.metadata->n_errors, runs_here);
                assert_int_equal(o.metadata->problems[0].line, 7);
                assert_string_equal(o.metadata->problems[0].text,
                                    "\"user\" does not exist on this host: \"no-such-user\"");
                metadata_free(o.metadata);
                free(o.normalized);
        }
}

static void test_good(void **state)
{
        Outcome o = judge("*:0/01:00", "20", "echo\n");

        assert_int_equal(o.metadata->n_problems, 0);
        assert_true(o.timeout_usec == 20 * USEC_PER_SEC);
        assert_true(o.random_delay_usec == 3 * USEC_PER_SEC);
        metadata_free(o.metadata);
        free(o.normalized);

        o = judge("daily", "1min 30s", "echo\n");
        assert_true(o.timeout_usec == 90 * USEC_PER_SEC);
        assert_true(o.random_delay_usec == 30 * USEC_PER_SEC);
        metadata_free(o.metadata);
        free(o.normalized);
}

static void test_bad(void **state)
{
        assert_judged("now and then", "20", "echo\n", 5, "calendar expression");
        assert_judged("--help", "20", "echo\n", 5, "calendar expression");
        assert_judged("hourly", "soon", "echo\n", 6, "time span");
        assert_judged("hourly", "0", "echo\n", 6, "at most one day");
        assert_judged("hourly", "infinity", "echo\n", 6, "at most one day");
        assert_judged("hourly", "20", "echo\nif true; then\n", 9, "syntax error");
        assert_judged("hourly", "20", "echo $(\n", 8, "unexpected");
}

static void test_never(void **state)
{
        Outcome o = judge("2020-01-01", "20", "echo\n");

        assert_int_equal(o.metadata->n_errors, 0);
        assert_int_equal(o.metadata->n_problems, 1);
        assert_true(o.metadata->problems[0].warning);
        metadata_free(o.metadata);
        free(o.normalized);
}

/* Which schedules mean the same in UTC, by what systemd makes of them: in Athens (whole hours), Kolkata (half an hour, all
 * year) and Lord Howe (now half an hour, now whole hours). */
static void test_utc(void **state)
{
        static const uint64_t athens = 1, kolkata = UINT64_C(1) << 30, lord_howe = athens | kolkata;
        static const struct {
                const char *schedule;
                bool athens, kolkata, lord_howe;
        } table[] = {
                { "*:0/5", true, true, true },
                { "*:10", true, false, false },
                { "hourly", true, false, false },
                { "minutely", true, true, true },
                { "*:*:0/10", true, true, true },
                { "*:0/7", true, false, false },
                { "*:10,40", true, true, true },
                { "*:10,20", true, false, false },
                { "*:0..59/2", true, true, true },
                { "*:0..29", true, false, false },
                { "*:10..20", true, false, false },
                { "*:0/15:30", true, true, true },
                { "*:00:0/0.5", true, false, false },
                { "Mon..Sun *:0/5", true, true, true }, /* every day, says systemd */
                { "Mon..Fri *:0/5", false, false, false },
                { "*-*-1 *:0/5", false, false, false },
                { "0/2:00", false, false, false },
                { "daily", false, false, false },
                { "Sat 04:00", false, false, false },
                { "*:0/5 UTC", false, false, false },
                { "hourly UTC", false, false, false },
                { "*:0/5 Europe/Athens", false, false, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Outcome o = judge(table[i].schedule, "20", "echo\n");

                assert_int_equal(o.metadata->n_errors, 0);
                assert_non_null(o.normalized);
                if (schedule_is_same_in_utc(o.normalized, athens) != table[i].athens ||
                    schedule_is_same_in_utc(o.normalized, kolkata) != table[i].kolkata ||
                    schedule_is_same_in_utc(o.normalized, lord_howe) != table[i].lord_howe)
                        fail_msg("%s (%s)", table[i].schedule, o.normalized);
                metadata_free(o.metadata);
                free(o.normalized);
        }
}

/* Freed while the helper runs: nobody is called, nothing is left. */
static void test_cancel(void **state)
{
        static const char text[] = "#!/bin/bash\n# name: X\n# schedule: hourly\n";
        Validation *v = NULL;
        Metadata *m = NULL;
        _cleanup_(helpers_freep) Helpers *helpers = NULL;
        Outcome o = {};

        assert_int_equal(metadata_parse(text, strlen(text), &m), 0);
        assert_int_equal(sd_event_new(&o.event), 0);
        assert_int_equal(helpers_new(o.event, &helpers), 0);
        assert_int_equal(validation_start(helpers, 0, m, text, strlen(text), true, on_done, &o, &v), 0);
        validation_free(v);
        assert_int_equal(sd_event_run(o.event, 50000), 0);
        sd_event_unref(o.event);
        assert_null(o.metadata);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good),  cmocka_unit_test(test_user), cmocka_unit_test(test_bad),
                cmocka_unit_test(test_never), cmocka_unit_test(test_utc),  cmocka_unit_test(test_cancel),
        };
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
