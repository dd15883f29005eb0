/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>

#include "test.h"
#include "shared/journal/run-tracker.h"

#define MSEC USEC_PER_MSEC

/* A journal in memory. */
typedef struct Entry {
        RunEntry e;
        char slug[16], cursor[16], text[64];
} Entry;

typedef struct Journal {
        Entry entries[4096];
        size_t n;
} Journal;

typedef struct Events {
        RunEvent e[4096];
        size_t n;
} Events;

static const sd_id128_t boot_a = SD_ID128_MAKE(aa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
static const sd_id128_t boot_b = SD_ID128_MAKE(bb, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

static sd_id128_t id_of(uint32_t kind, uint32_t n)
{
        return n == 0 ? SD_ID128_NULL : (sd_id128_t){ .qwords = { kind, n } };
}

static Entry *add(Journal *j, RunEntryType type, const char *slug, uint64_t ms, unsigned run)
{
        Entry *x = &j->entries[j->n];

        assert_true(j->n < ELEMENTSOF(j->entries));
        *x = (Entry){ .e = {
                              .type = type,
                              .boot_id = boot_a,
                              .monotonic = ms * MSEC,
                              .realtime = UINT64_C(1800000000) * USEC_PER_SEC + ms * MSEC,
                              .source_realtime = UINT64_C(1800000000) * USEC_PER_SEC + ms * MSEC,
                              .invocation_id = id_of(1, run),
                      } };
        snprintf(x->slug, sizeof(x->slug), "%s", slug);
        snprintf(x->cursor, sizeof(x->cursor), "c%zu", j->n++);
        if (type == RUN_ENTRY_FAILURE)
                x->e.result = "exit-code";
        return x;
}

/* A valid status line whose message is the number; anonymous when run is 0. */
static Entry *add_line(Journal *j, const char *slug, uint64_t ms, unsigned run, unsigned stream, int message)
{
        Entry *x = add(j, RUN_ENTRY_LINE, slug, ms, run);

        x->e.stream_id = id_of(2, stream);
        if (message >= 0)
                snprintf(x->text, sizeof(x->text), "2026-11-23 10:00:00, OK, %d", message);
        else
                snprintf(x->text, sizeof(x->text), "a diagnostic");
        return x;
}

static const RunEntry *entry(Entry *x)
{
        x->e.slug = x->slug;
        x->e.cursor = x->cursor;
        x->e.text = x->text;
        x->e.length = strlen(x->text);
        return &x->e;
}

static void drain(RunTracker *t, Events *ev)
{
        while (run_tracker_next(t, &ev->e[ev->n]) > 0)
                assert_true(++ev->n < ELEMENTSOF(ev->e));
}

static void events_done(Events *ev)
{
        for (size_t i = 0; i < ev->n; i++)
                run_event_done(&ev->e[i]);
        ev->n = 0;
}

static int lookup(RunTracker *t, const RunEntry *end, void *userdata)
{
        Journal *j = userdata;
        int r = 0;

        for (size_t i = 0; i < j->n && r >= 0; i++) {
                const RunEntry *e = entry(&j->entries[i]);

                if (streq(e->cursor, end->cursor))
                        break;
                if (!sd_id128_equal(e->invocation_id, end->invocation_id))
                        continue;
                if (e->type == RUN_ENTRY_LINE)
                        r = run_tracker_add_earlier_line(t, e);
                else if (e->type == RUN_ENTRY_START)
                        r = run_tracker_add_earlier_start(t, e);
        }
        return r;
}

/* Feeds entries from index first on; those up to muted (inclusive; SIZE_MAX: none) give no events. */
static void play(Journal *j, size_t first, size_t muted, Events *ret)
{
        _cleanup_(run_tracker_freep) RunTracker *t = NULL;
        uint64_t last = 0;

        assert_int_equal(run_tracker_new(lookup, j, &t), 0);
        if (first > 0) {
                const RunEntry *before = entry(&j->entries[first - 1]);

                run_tracker_begin_midway(t, before->boot_id, before->monotonic);
        }
        for (size_t i = first; i < j->n; i++) {
                const RunEntry *e = entry(&j->entries[i]);

                assert_int_equal(run_tracker_feed(t, e), 0);
                if (i == muted)
                        run_tracker_mute_until_here(t);
                if (muted == SIZE_MAX || i >= muted)
                        drain(t, ret);
                last = e->monotonic;
        }
        if (j->n > 0) {
                assert_int_equal(run_tracker_advance(t, j->entries[j->n - 1].e.boot_id, last + 10 * USEC_PER_SEC), 0);
                drain(t, ret);
        }
}

static void assert_same(const RunEvent *a, const RunEvent *b)
{
        assert_string_equal(a->slug, b->slug);
        assert_string_equal(a->cursor, b->cursor);
        assert_int_equal(a->status, b->status);
        assert_int_equal(a->error, b->error);
        assert_int_equal(a->correction, b->correction);
        assert_true(streq_ptr(a->message, b->message));
        assert_true(sd_id128_equal(a->invocation_id, b->invocation_id));
        assert_int_equal(a->started, b->started);
        assert_int_equal(a->duration, b->duration);
}

/* Reading on after each cursor must give exactly what followed it. warm_up is how far back a reader begins. */
static void check_resume(Journal *j, const Events *all, uint64_t warm_up)
{
        static Events rest; /* large, and this is done ten thousands of times */

        for (size_t i = 0; i < all->n; i++) {
                size_t at, first, skip = i + 1;

                /* Events at one cursor are one unit. */
                if (i + 1 < all->n && streq(all->e[i].cursor, all->e[i + 1].cursor))
                        continue;
                at = (size_t) atoi(all->e[i].cursor + 1);
                for (first = at;
                     first > 0 && j->entries[first - 1].e.monotonic + warm_up >= j->entries[at].e.monotonic;)
                        first--;
                play(j, first, at, &rest);
                assert_int_equal(rest.n, all->n - skip);
                for (size_t k = 0; k < rest.n; k++)
                        assert_same(&rest.e[k], &all->e[skip + k]);
                events_done(&rest);
        }
}

static int setup(void **state)
{
        struct {
                Journal j;
                Events ev;
        } *s = calloc(1, sizeof(*s));

        *state = s;
        return s ? 0 : -1;
}

static int teardown(void **state)
{
        free(*state);
        return 0;
}

#define JOURNAL(state) ((Journal *) *(state))
#define EVENTS(state)  ((Events *) ((char *) *(state) + sizeof(Journal)))

static void expect_result(const RunEvent *e, unsigned run, const char *message)
{
        assert_int_equal(e->status, STATUS_OK);
        assert_int_equal(e->error, RUN_ERROR_NONE);
        assert_string_equal(e->message, message);
        assert_true(sd_id128_equal(e->invocation_id, id_of(1, run)));
}

static void expect_error(const RunEvent *e, unsigned run, RunErrorKind kind)
{
        assert_int_equal(e->status, _STATUS_INVALID);
        assert_null(e->message);
        assert_int_equal(e->error, kind);
        assert_non_null(e->detail);
        assert_true(sd_id128_equal(e->invocation_id, id_of(1, run)));
}

static void test_plain(void **state)
{
        Journal *j = JOURNAL(state);
        Events *ev = EVENTS(state);

        add(j, RUN_ENTRY_START, "a", 1000, 1);
        add_line(j, "a", 1010, 1, 1, 1);
        add_line(j, "a", 1015, 1, 1, -1);
        add_line(j, "a", 1020, 1, 1, 2);
        add(j, RUN_ENTRY_SUCCESS, "a", 1030, 1);
        play(j, 0, SIZE_MAX, ev);
        assert_int_equal(ev->n, 1);
        expect_result(&ev->e[0], 1, "2");
        assert_string_equal(ev->e[0].cursor, "c4");
        assert_int_equal(ev->e[0].duration, 30 * MSEC);
        assert_false(ev->e[0].correction);
        events_done(ev);
}

static void test_failures(void **state)
{
        static const struct {
                const char *result, *code;
                int status;
                RunErrorKind kind;
                const char *detail;
        } table[] = {
                { "exit-code", "exited", 3, RUN_ERROR_EXIT_CODE, "exited with status 3" },
                { "exit-code", "exited", 203, RUN_ERROR_NOT_EXECUTABLE, "systemd could not execute the script" },
                { "signal", "killed", 9, RUN_ERROR_SIGNAL, "was killed by SIGKILL" },
                { "signal", NULL, 0, RUN_ERROR_SIGNAL, "was killed by a signal" },
                { "core-dump", "dumped", 11, RUN_ERROR_CORE_DUMP, "was ended with a core dump by SIGSEGV" },
                { "timeout", "killed", 15, RUN_ERROR_TIMEOUT, "did not end within its timeout" },
                { "oom-kill", "killed", 9, RUN_ERROR_OOM_KILL, "was killed because memory ran out" },
                { "resources", NULL, 0, RUN_ERROR_RESOURCES, "systemd could not start it: a resource was missing" },
                { "start-limit-hit", NULL, 0, RUN_ERROR_OTHER, "failed with result 'start-limit-hit'" },
        };
        Journal *j = JOURNAL(state);
        Events *ev = EVENTS(state);

        for (unsigned i = 0; i < ELEMENTSOF(table); i++) {
                Entry *x;

                add(j, RUN_ENTRY_START, "a", 1000 * i + 1000, i + 1);
                /* What a failed run has printed is no status, in time or late. */
                add_line(j, "a", 1000 * i + 1010, i + 1, i + 1, 7);
                if (table[i].code) {
                        x = add(j, RUN_ENTRY_EXIT, "a", 1000 * i + 1020, i + 1);
                        x->e.exit_code = table[i].code;
                        x->e.exit_status = table[i].status;
                }
                x = add(j, RUN_ENTRY_FAILURE, "a", 1000 * i + 1030, i + 1);
                x->e.result = table[i].result;
                add_line(j, "a", 1000 * i + 1040, i + 1, i + 1, 8);
                add_line(j, "a", 1000 * i + 1050, 0, i + 1, 9);
        }
        play(j, 0, SIZE_MAX, ev);
        assert_int_equal(ev->n, ELEMENTSOF(table));
        for (unsigned i = 0; i < ELEMENTSOF(table); i++) {
                expect_error(&ev->e[i], i + 1, table[i].kind);
                assert_string_equal(ev->e[i].detail, table[i].detail);
        }
        check_resume(j, ev, 2 * USEC_PER_SEC);
        events_done(ev);
}

static void test_no_line(void **state)
{
        Journal *j = JOURNAL(state);
        Events *ev = EVENTS(state);

        add(j, RUN_ENTRY_START, "a", 1000, 1);
        add_line(j, "a", 1010, 1, 1, -1);
        add(j, RUN_ENTRY_SUCCESS, "a", 1030, 1);
        /* Another service's event waits behind the held one, and holds do not add up. */
        add(j, RUN_ENTRY_START, "b", 1100, 2);
        add(j, RUN_ENTRY_SUCCESS, "b", 1150, 2);
        add(j, RUN_ENTRY_START, "c", 1200, 3);
        add_line(j, "c", 1210, 3, 3, 5);
        add(j, RUN_ENTRY_SUCCESS, "c", 1230, 3);
        play(j, 0, SIZE_MAX, ev);
        assert_int_equal(ev->n, 3);
        expect_error(&ev->e[0], 1, RUN_ERROR_NO_STATUS_LINE);
        expect_error(&ev->e[1], 2, RUN_ERROR_NO_STATUS_LINE);
        expect_result(&ev->e[2], 3, "5");
        check_resume(j, ev, 2 * USEC_PER_SEC);
        events_done(ev);
}

/* The line before and after everything, with and without its invocation id. */
static void test_every_order_of_one_run(void **state)
{
        Journal *j = JOURNAL(state);
        Events *ev = EVENTS(state);

        for (int failed = 0; failed <= 1; failed++)
                for (int anonymous = 0; anonymous <= 1; anonymous++)
                        for (int pos = 0; pos <= 2; pos++) {
                                j->n = 0;
                                for (int i = 0; i <= 2; i++) {
                                        uint64_t ms = 1000 + 10 * (uint64_t) i;
                                        int k = i - (i > pos);

                                        if (i == pos)
                                                add_line(j, "a", ms, anonymous ? 0 : 1, 1, 4);
                                        else
                                                add(j,
                                                    k == 0 ? RUN_ENTRY_START :
                                                    failed ? RUN_ENTRY_FAILURE :
                                                             RUN_ENTRY_SUCCESS,
                                                    "a", ms, 1);
                                }
                                play(j, 0, SIZE_MAX, ev);
                                assert_int_equal(ev->n, 1);
                                if (failed)
                                        expect_error(&ev->e[0], 1, RUN_ERROR_EXIT_CODE);
                                else
                                        expect_result(&ev->e[0], 1, "4");
                                check_resume(j, ev, 2 * USEC_PER_SEC);
                                events_done(ev);
                        }
}

static size_t count_results(const Events *ev)
{
        size_t n = 0;

        for (size_t i = 0; i < ev->n; i++)
                n += ev->e[i].status >= 0;
        return n;
}

/* Three runs one after another, each of which fails or not and prints or not, and every way in which their lines, in
 * order, can lie among the manager's entries. */
#define KNOWN_AS_NEXT 8 /* lines have the id of the next run, where there is one */

static void every_interleaving(Journal *j, Events *ev, unsigned failed, unsigned silent, unsigned known)
{
        unsigned n_lines = 0, total, lines[3];

        for (unsigned i = 0; i < 3; i++)
                if (!(silent & (1U << i)))
                        lines[n_lines++] = i;
        total = 6 + n_lines;

        for (unsigned mask = 0; mask < 1U << total; mask++) {
                unsigned m = 0, l = 0;
                size_t good = 0, results = 0;

                if (__builtin_popcount(mask) != (int) n_lines)
                        continue;
                j->n = 0;
                for (unsigned i = 0; i < total; i++) {
                        uint64_t ms = 1000 + 10 * (uint64_t) i;

                        if (mask & (1U << i)) {
                                unsigned run = lines[l++];

                                unsigned id = known == KNOWN_AS_NEXT ? MIN(run + 2, 3U) :
                                              known & (1U << run)    ? run + 1 :
                                                                       0;

                                add_line(j, "a", ms, id, run + 1, (int) run);
                        } else {
                                unsigned run = m / 2;

                                add(j,
                                    m % 2 == 0           ? RUN_ENTRY_START :
                                    failed & (1U << run) ? RUN_ENTRY_FAILURE :
                                                           RUN_ENTRY_SUCCESS,
                                    "a", ms, run + 1);
                                m++;
                        }
                }
                play(j, 0, SIZE_MAX, ev);
                for (unsigned i = 0; i < 3; i++)
                        good += !(failed & (1U << i)) && !(silent & (1U << i));
                for (size_t i = 0; i < ev->n; i++) {
                        results += ev->e[i].status >= 0;
                        assert_true(known == KNOWN_AS_NEXT || !ev->e[i].correction);
                }
                /* With such ids a result may come as a correction, but there are as many as there should be. */
                if (known == KNOWN_AS_NEXT) {
                        assert_int_equal(results, good);
                        check_resume(j, ev, 2 * USEC_PER_SEC);
                        events_done(ev);
                        continue;
                }
                assert_int_equal(ev->n, 3);

                /* Where a run that ended well stays silent next to a failed one that printed, an anonymous line can be
                 * either's: only the number of events is certain then. */
                if (!(failed && (silent & ~failed)))
                        assert_int_equal(results, good);
                /* With no failed run, each run has its own message. */
                if (!failed && !silent)
                        for (unsigned i = 0; i < 3; i++) {
                                char s[4];

                                snprintf(s, sizeof(s), "%u", i);
                                expect_result(&ev->e[i], i + 1, s);
                        }
                check_resume(j, ev, 2 * USEC_PER_SEC);
                events_done(ev);
        }
}

static void test_every_interleaving_of_three_runs(void **state)
{
        for (unsigned failed = 0; failed < 8; failed++)
                for (unsigned silent = 0; silent < 8; silent++)
                        for (unsigned known = 0; known < 8; known += 7)
                                every_interleaving(JOURNAL(state), EVENTS(state), failed, silent, known);
        every_interleaving(JOURNAL(state), EVENTS(state), 0, 0, KNOWN_AS_NEXT);
}

static void test_failed_then_late_line(void **state)
{
        Journal *j = JOURNAL(state);
        Events *ev = EVENTS(state);

        /* The next run is silent and must not be credited with it, once the failed one's grace is over. */
        add(j, RUN_ENTRY_START, "a", 1000, 1);
        add(j, RUN_ENTRY_FAILURE, "a", 1010, 1);
        add_line(j, "a", 1020, 0, 1, 1);
        add(j, RUN_ENTRY_START, "a", 1600, 2);
        add(j, RUN_ENTRY_SUCCESS, "a", 1610, 2);
        play(j, 0, SIZE_MAX, ev);
        assert_int_equal(ev->n, 2);
        expect_error(&ev->e[0], 1, RUN_ERROR_EXIT_CODE);
        expect_error(&ev->e[1], 2, RUN_ERROR_NO_STATUS_LINE);
        check_resume(j, ev, 2 * USEC_PER_SEC);
        events_done(ev);

        /* The next run prints, and has its own line. */
        j->n = 3;
        add(j, RUN_ENTRY_START, "a", 1030, 2);
        add(j, RUN_ENTRY_SUCCESS, "a", 1040, 2);
        add_line(j, "a", 1050, 0, 2, 2);
        play(j, 0, SIZE_MAX, ev);
        assert_int_equal(ev->n, 2);
        expect_error(&ev->e[0], 1, RUN_ERROR_EXIT_CODE);
        expect_result(&ev->e[1], 2, "2");
        check_resume(j, ev, 2 * USEC_PER_SEC);
        events_done(ev);

        /* Far too late, and still the failed run's. */
        j->n = 2;
        add_line(j, "a", 2000, 0, 1, 1);
        play(j, 0, SIZE_MAX, ev);
        assert_int_equal(ev->n, 1);
        check_resume(j, ev, 5 * USEC_PER_SEC);
        events_done(ev);
}

static void test_corrections(void **state)
{
        Journal *j = JOURNAL(state);
        Events *ev = EVENTS(state);

        add(j, RUN_ENTRY_START, "a", 1000, 1);
        add(j, RUN_ENTRY_SUCCESS, "a", 1010, 1);
        add_line(j, "a", 1700, 1, 1, 1); /* too late: the run has been called silent */
        add_line(j, "a", 1710, 0, 1, 2); /* and again, on the same stream: one correction */
        add_line(j, "a", 2300, 1, 1, 3); /* another */
        play(j, 0, SIZE_MAX, ev);
        assert_int_equal(ev->n, 3);
        expect_error(&ev->e[0], 1, RUN_ERROR_NO_STATUS_LINE);
        assert_false(ev->e[0].correction);
        expect_result(&ev->e[1], 1, "2");
        assert_true(ev->e[1].correction);
        assert_string_equal(ev->e[1].cursor, "c3");
        expect_result(&ev->e[2], 1, "3");
        check_resume(j, ev, 5 * USEC_PER_SEC);
        events_done(ev);

        /* The same without an invocation id. */
        j->n = 2;
        add_line(j, "a", 1700, 0, 1, 1);
        play(j, 0, SIZE_MAX, ev);
        assert_int_equal(ev->n, 2);
        expect_result(&ev->e[1], 1, "1");
        assert_true(ev->e[1].correction);
        check_resume(j, ev, 5 * USEC_PER_SEC);
        events_done(ev);
}

/* journald lags behind a script that prints thousands of status lines: its last one decides, and few events tell of it. */
static void test_many_late_lines(void **state)
{
        Journal *j = JOURNAL(state);
        Events *ev = EVENTS(state);

        add(j, RUN_ENTRY_START, "a", 1000, 1);
        add_line(j, "a", 1005, 1, 1, 1);
        add(j, RUN_ENTRY_SUCCESS, "a", 1010, 1);
        for (unsigned i = 0; i < 100; i++)
                add_line(j, "a", 1011 + i, 1, 1, 2 + i % 8);
        add_line(j, "a", 1200, 1, 1, 9);
        play(j, 0, SIZE_MAX, ev);
        assert_int_equal(ev->n, 2);
        expect_result(&ev->e[0], 1, "1");
        expect_result(&ev->e[1], 1, "9");
        assert_true(ev->e[1].correction);
        check_resume(j, ev, 5 * USEC_PER_SEC);
        events_done(ev);
}

static void test_stale_invocation_id(void **state)
{
        Journal *j = JOURNAL(state);
        Events *ev = EVENTS(state);

        /* journald may stamp a late line with the id of the next run: the stream knows better. */
        add(j, RUN_ENTRY_START, "a", 1000, 1);
        add_line(j, "a", 1010, 1, 1, -1);
        add(j, RUN_ENTRY_SUCCESS, "a", 1020, 1);
        add(j, RUN_ENTRY_START, "a", 1030, 2);
        add_line(j, "a", 1040, 2, 1, 1);
        add_line(j, "a", 1050, 2, 2, 2);
        add(j, RUN_ENTRY_SUCCESS, "a", 1060, 2);
        play(j, 0, SIZE_MAX, ev);
        assert_int_equal(ev->n, 2);
        expect_result(&ev->e[0], 1, "1");
        expect_result(&ev->e[1], 2, "2");
        check_resume(j, ev, 2 * USEC_PER_SEC);
        events_done(ev);
}

/* The line of a run that is over, read when the next one has begun: journald asks what runs now. */
static void test_id_of_the_next_run(void **state)
{
        Journal *j = JOURNAL(state);
        Events *ev = EVENTS(state);

        /* As seen. */
        add(j, RUN_ENTRY_START, "a", 1000, 1);
        add_line(j, "a", 1300, 2, 1, 1);
        add(j, RUN_ENTRY_SUCCESS, "a", 1301, 1);
        add(j, RUN_ENTRY_START, "a", 1303, 2);
        add_line(j, "a", 1600, 2, 2, 2);
        add(j, RUN_ENTRY_SUCCESS, "a", 1601, 2);
        for (int variant = 0; variant < 4; variant++) {
                play(j, 0, SIZE_MAX, ev);
                assert_int_equal(ev->n, 2);
                expect_result(&ev->e[0], 1, "1");
                expect_result(&ev->e[1], 2, "2");
                check_resume(j, ev, 2 * USEC_PER_SEC);
                events_done(ev);

                j->n = 1;
                if (variant == 0) { /* after the next run's start; a second stream then shows the mistake */
                        add(j, RUN_ENTRY_SUCCESS, "a", 1301, 1);
                        add(j, RUN_ENTRY_START, "a", 1303, 2);
                        add_line(j, "a", 1310, 2, 1, 1);
                        add_line(j, "a", 1600, 2, 2, 2);
                        add(j, RUN_ENTRY_SUCCESS, "a", 1601, 2);
                } else if (variant == 1) { /* the next one's own line has no id */
                        add_line(j, "a", 1300, 2, 1, 1);
                        add_line(j, "a", 1300, 0, 2, 2);
                        add(j, RUN_ENTRY_SUCCESS, "a", 1301, 1);
                        add(j, RUN_ENTRY_START, "a", 1303, 2);
                        add(j, RUN_ENTRY_SUCCESS, "a", 1601, 2);
                } else { /* both before everything else */
                        add_line(j, "a", 1300, 2, 1, 1);
                        add_line(j, "a", 1300, 2, 2, 2);
                        add(j, RUN_ENTRY_SUCCESS, "a", 1301, 1);
                        add(j, RUN_ENTRY_START, "a", 1303, 2);
                        add(j, RUN_ENTRY_SUCCESS, "a", 1601, 2);
                }
        }
}

static void test_hidden_ends(void **state)
{
        Journal *j = JOURNAL(state);
        Events *ev = EVENTS(state);

        for (unsigned i = 1; i <= 4; i++)
                add_line(j, "a", i * 1000, i, i, (int) i);
        add(j, RUN_ENTRY_START, "a", 5000, 5);
        add(j, RUN_ENTRY_SUCCESS, "a", 5001, 5);
        add_line(j, "a", 5002, 0, 5, 5);
        play(j, 0, SIZE_MAX, ev);
        assert_int_equal(ev->n, 5);
        for (unsigned i = 0; i < 5; i++) {
                char s[4];

                snprintf(s, sizeof(s), "%u", i + 1);
                expect_result(&ev->e[i], i + 1, s);
        }
        events_done(ev);

        /* A following run's line before this one's end, which does come. */
        j->n = 0;
        add(j, RUN_ENTRY_START, "a", 1000, 1);
        add_line(j, "a", 1010, 1, 1, 1);
        add_line(j, "a", 1020, 2, 2, 2);
        add(j, RUN_ENTRY_FAILURE, "a", 1030, 1);
        add(j, RUN_ENTRY_START, "a", 1040, 2);
        add(j, RUN_ENTRY_SUCCESS, "a", 1050, 2);
        play(j, 0, SIZE_MAX, ev);
        assert_int_equal(ev->n, 2);
        expect_error(&ev->e[0], 1, RUN_ERROR_EXIT_CODE);
        expect_result(&ev->e[1], 2, "2");
        check_resume(j, ev, 2 * USEC_PER_SEC);
        events_done(ev);

        /* Everything of the manager was lost and nothing but anonymous lines is there. */
        j->n = 0;
        for (unsigned i = 0; i < 10; i++)
                add_line(j, "a", 1000 + i, 0, i + 1, (int) i);
        play(j, 0, SIZE_MAX, ev);
        assert_int_equal(ev->n, 10);
        assert_int_equal(count_results(ev), 10);
        check_resume(j, ev, 2 * USEC_PER_SEC);
        events_done(ev);
}

static void test_long_run_and_busy_manager(void **state)
{
        Journal *j = JOURNAL(state);
        Events *ev = EVENTS(state);

        /* Started long before the reader begins; its lines lie before that, too. Between them another service's
         * events give cursors to begin at. */
        add(j, RUN_ENTRY_START, "a", 1000, 1);
        add_line(j, "a", 1010, 1, 1, 1);
        for (unsigned i = 0; i < 10; i++) {
                add(j, RUN_ENTRY_START, "b", 20000 + 1000 * i, 10 + i);
                add_line(j, "b", 20010 + 1000 * i, 10 + i, 10 + i, 3);
                add(j, RUN_ENTRY_SUCCESS, "b", 20020 + 1000 * i, 10 + i);
        }
        add(j, RUN_ENTRY_SUCCESS, "a", 40000, 1);
        /* The manager was busy: the end of a run is logged long after its line, whose process is gone. */
        add(j, RUN_ENTRY_START, "a", 50000, 2);
        add_line(j, "a", 50010, 0, 2, 2);
        add(j, RUN_ENTRY_SUCCESS, "a", 54000, 2);
        play(j, 0, SIZE_MAX, ev);
        assert_int_equal(ev->n, 12);
        expect_result(&ev->e[10], 1, "1");
        assert_int_equal(ev->e[10].duration, 39000 * MSEC);
        expect_result(&ev->e[11], 2, "2");
        check_resume(j, ev, 2 * USEC_PER_SEC);
        events_done(ev);
}

static void test_boots(void **state)
{
        Journal *j = JOURNAL(state);
        Events *ev = EVENTS(state);

        add(j, RUN_ENTRY_START, "a", 1000, 1);
        add(j, RUN_ENTRY_SUCCESS, "a", 1010, 1); /* held when the boot ends */
        add(j, RUN_ENTRY_START, "b", 1020, 2);   /* cut short */
        add(j, RUN_ENTRY_START, "b", 100, 3)->e.boot_id = boot_b;
        add_line(j, "b", 110, 3, 3, 3)->e.boot_id = boot_b;
        add(j, RUN_ENTRY_SUCCESS, "b", 120, 3)->e.boot_id = boot_b;
        play(j, 0, SIZE_MAX, ev);
        assert_int_equal(ev->n, 2);
        expect_error(&ev->e[0], 1, RUN_ERROR_NO_STATUS_LINE);
        expect_result(&ev->e[1], 3, "3");
        events_done(ev);
}

static bool is_not_a(const char *slug, void *userdata)
{
        return !streq(slug, "a");
}

static void test_forget(void **state)
{
        _cleanup_(run_tracker_freep) RunTracker *t = NULL;
        Journal *j = JOURNAL(state);
        RunEvent e = RUN_EVENT_INIT;

        assert_int_equal(run_tracker_new(NULL, NULL, &t), 0);
        assert_int_equal(run_tracker_feed(t, entry(add(j, RUN_ENTRY_START, "a", 1000, 1))), 0);
        assert_int_equal(run_tracker_feed(t, entry(add(j, RUN_ENTRY_SUCCESS, "a", 1010, 1))), 0);
        assert_int_equal(run_tracker_feed(t, entry(add_line(j, "a", 1010, 0, 2, 2))), 0);
        assert_int_equal(run_tracker_feed(t, entry(add_line(j, "a", 1010, 0, 3, 2))), 0);
        for (unsigned i = 0; i < 16; i++) {
                char slug[16];

                snprintf(slug, sizeof(slug), "other-%u", i);
                assert_int_equal(run_tracker_feed(t, entry(add(j, RUN_ENTRY_START, slug, 1020, 100 + i))), 0);
        }
        run_tracker_sweep(t, is_not_a, NULL);
        assert_int_equal(run_tracker_advance(t, boot_a, 10 * USEC_PER_SEC), 0);
        assert_int_equal(run_tracker_next(t, &e), 1); /* concluded before: the first anonymous line */
        run_event_done(&e);
        assert_int_equal(run_tracker_next(t, &e), 0);
}

static void add_terminated(Journal *j, uint64_t ms, unsigned run)
{
        Entry *x;

        add(j, RUN_ENTRY_START, "a", ms, run);
        x = add(j, RUN_ENTRY_EXIT, "a", ms + 10, run);
        x->e.exit_code = "killed";
        x->e.exit_status = SIGTERM;
        add(j, RUN_ENTRY_FAILURE, "a", ms + 20, run)->e.result = "signal";
}

/* By an administrator, or since the host goes down: no alarm for anybody. */
static void test_stopped(void **state)
{
        Journal *j = JOURNAL(state);
        Events *ev = EVENTS(state);

        add_terminated(j, 1000, 1);
        add(j, RUN_ENTRY_STOP, "a", 1021, 1);
        add_terminated(j, 1100, 2); /* by somebody else */
        add(j, RUN_ENTRY_START, "a", 3000, 3);
        add_line(j, "a", 3010, 3, 3, 3);
        add(j, RUN_ENTRY_SUCCESS, "a", 3020, 3);
        add(j, RUN_ENTRY_STOP, "a", 3030, 3);
        add_line(j, "a", 4000, 4, 4, 4);
        add_terminated(j, 4001, 4);
        add(j, RUN_ENTRY_STOP, "a", 4022, 4);
        add(j, RUN_ENTRY_STOP, "a", 4023, 99); /* of a run that nobody has seen */
        play(j, 0, SIZE_MAX, ev);
        assert_int_equal(ev->n, 4);
        expect_error(&ev->e[0], 1, RUN_ERROR_SIGNAL);
        assert_true(ev->e[0].stopped);
        assert_string_equal(ev->e[0].detail, "was stopped before it ended");
        expect_error(&ev->e[1], 2, RUN_ERROR_SIGNAL);
        assert_false(ev->e[1].stopped);
        expect_result(&ev->e[2], 3, "3");
        expect_error(&ev->e[3], 4, RUN_ERROR_SIGNAL);
        assert_true(ev->e[3].stopped);
        check_resume(j, ev, 2 * USEC_PER_SEC);
        events_done(ev);
}

static bool is_kept(const char *slug, void *userdata)
{
        unsigned *asked = userdata;

        (*asked)++;
        return streq(slug, "kept");
}

/* A host on which services come and go for years must not remember each of them. */
static void test_sweep(void **state)
{
        _cleanup_(run_tracker_freep) RunTracker *t = NULL;
        Journal *j = JOURNAL(state);
        unsigned asked = 0, swept = 0;
        RunEvent e = RUN_EVENT_INIT;

        assert_int_equal(run_tracker_new(NULL, NULL, &t), 0);
        assert_int_equal(run_tracker_feed(t, entry(add(j, RUN_ENTRY_START, "kept", 1000, 1))), 0);
        for (unsigned i = 0; i < 1000; i++) {
                char slug[16];
                unsigned before = asked;

                snprintf(slug, sizeof(slug), "gone-%u", i);
                assert_int_equal(run_tracker_feed(t, entry(add(j, RUN_ENTRY_START, slug, 1001, 2 + i))), 0);
                run_tracker_sweep(t, is_kept, &asked);
                assert_true(asked - before < 20); /* of the thousand */
                swept += asked > before;
        }
        assert_in_range(swept, 1000 / 20, 1000 / 10);
        assert_int_equal(run_tracker_feed(t, entry(add_line(j, "kept", 1010, 1, 1, 7))), 0);
        assert_int_equal(run_tracker_feed(t, entry(add(j, RUN_ENTRY_SUCCESS, "kept", 1020, 1))), 0);
        assert_int_equal(run_tracker_next(t, &e), 1);
        assert_string_equal(e.message, "7");
        assert_int_equal(e.duration, 20 * MSEC);
        run_event_done(&e);
}

/* Memory is bounded: what is held longest is concluded before its time, and nothing is lost. */
static void test_flood(void **state)
{
        _cleanup_(run_tracker_freep) RunTracker *t = NULL;
        Journal *j = JOURNAL(state);
        unsigned n = 0;

        assert_int_equal(run_tracker_new(NULL, NULL, &t), 0);
        for (unsigned i = 1; i <= 20000; i++) {
                RunEvent e = RUN_EVENT_INIT;

                j->n = 0;
                assert_int_equal(run_tracker_feed(t, entry(add_line(j, "a", 1000, 0, i, 1))), 0);
                while (run_tracker_next(t, &e) > 0) {
                        run_event_done(&e);
                        n++;
                }
        }
        assert_true(n > 3000);
}

/* --- a random journal against a simple model --- */

static unsigned rnd(unsigned *seed, unsigned n)
{
        *seed = *seed * 1664525 + 1013904223;
        return (*seed >> 8) % n;
}

typedef struct Item {
        uint64_t at; /* us */
        unsigned order;
        RunEntryType type;
        unsigned service, run;
        bool known;
} Item;

static int compare_items(const void *a, const void *b)
{
        const Item *x = a, *y = b;

        return x->at != y->at ? (x->at < y->at ? -1 : 1) : x->order < y->order ? -1 : x->order > y->order;
}

static void random_journal(Journal *j, unsigned *seed, unsigned services, unsigned runs, unsigned *ret_results,
                           unsigned *ret_errors)
{
        Item items[2048];
        size_t n = 0;
        unsigned run = 0;

        *ret_results = *ret_errors = 0;
        for (unsigned s = 0; s < services; s++) {
                uint64_t at = 1000000 + rnd(seed, 300000), line_at = 0;

                for (unsigned i = 0; i < runs; i++) {
                        bool failed = rnd(seed, 6) == 0;
                        uint64_t length = rnd(seed, 10) == 0 ? 3000000 + rnd(seed, 5000000) : 1000 + rnd(seed, 30000);
                        uint64_t end = at + length, lag = rnd(seed, 3) == 0 ? rnd(seed, 400000) : 0;
                        uint64_t before = rnd(seed, 4) == 0 ? rnd(seed, 100000) : 0;

                        run++;
                        items[n] = (Item){ at, (unsigned) n, RUN_ENTRY_START, s, run, true };
                        n++;
                        items[n] = (Item){ end, (unsigned) n, failed ? RUN_ENTRY_FAILURE : RUN_ENTRY_SUCCESS,
                                           s,   run,          true };
                        n++;
                        if (failed)
                                (*ret_errors)++;
                        else {
                                uint64_t l = lag > 0 ? end + lag : before < length ? end - before : at - 1;

                                /* Streams of one service are read in order. */
                                l = MAX(l, line_at + 1);
                                line_at = l;
                                items[n] = (Item){ l, (unsigned) n, RUN_ENTRY_LINE, s, run, l < end && rnd(seed, 2) };
                                n++;
                                (*ret_results)++;
                        }
                        /* Lags do not pile up past the grace. */
                        at = end + 1 + (rnd(seed, 3) == 0 ? rnd(seed, 100000) : 900000 + rnd(seed, 3000000));
                        line_at = line_at > end + 400000 ? end + 400000 : line_at;
                }
        }
        /* cppcheck-suppress uninitvar ; n of them are set */
        qsort(items, n, sizeof(items[0]), compare_items);
        j->n = 0;
        for (size_t i = 0; i < n; i++) {
                char slug[16];
                Entry *x;

                snprintf(slug, sizeof(slug), "s%u", items[i].service);
                x = items[i].type == RUN_ENTRY_LINE ?
                            add_line(j, slug, 0, items[i].known ? items[i].run : 0, items[i].run, (int) items[i].run) :
                            add(j, items[i].type, slug, 0, items[i].run);
                x->e.monotonic = items[i].at;
                x->e.realtime = x->e.source_realtime = UINT64_C(1800000000) * USEC_PER_SEC + items[i].at;
        }
}

static void test_random(void **state)
{
        Journal *j = JOURNAL(state);
        Events *ev = EVENTS(state);

        for (unsigned round = 1; round <= 100; round++) {
                unsigned seed = round * 7919, results, errors, last[8] = {}, got = 0;

                random_journal(j, &seed, 4, 12, &results, &errors);
                play(j, 0, SIZE_MAX, ev);
                for (size_t i = 0; i < ev->n; i++) {
                        unsigned s = (unsigned) atoi(ev->e[i].slug + 1);

                        if (ev->e[i].status < 0) {
                                assert_int_equal(ev->e[i].error, RUN_ERROR_EXIT_CODE);
                                continue;
                        }
                        /* Each message once, in order, with its own run. */
                        got++;
                        assert_true((unsigned) atoi(ev->e[i].message) > last[s]);
                        last[s] = (unsigned) atoi(ev->e[i].message);
                        expect_result(&ev->e[i], last[s], ev->e[i].message);
                }
                assert_int_equal(got, results);
                assert_int_equal(ev->n, results + errors);
                check_resume(j, ev, 10 * USEC_PER_SEC);
                events_done(ev);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_plain, setup, teardown),
                cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_line, setup, teardown),
                cmocka_unit_test_setup_teardown(test_every_order_of_one_run, setup, teardown),
                cmocka_unit_test_setup_teardown(test_every_interleaving_of_three_runs, setup, teardown),
                cmocka_unit_test_setup_teardown(test_failed_then_late_line, setup, teardown),
                cmocka_unit_test_setup_teardown(test_many_late_lines, setup, teardown),
                cmocka_unit_test_setup_teardown(test_corrections, setup, teardown),
                cmocka_unit_test_setup_teardown(test_stale_invocation_id, setup, teardown),
                cmocka_unit_test_setup_teardown(test_id_of_the_next_run, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hidden_ends, setup, teardown),
                cmocka_unit_test_setup_teardown(test_long_run_and_busy_manager, setup, teardown),
                cmocka_unit_test_setup_teardown(test_boots, setup, teardown),
                cmocka_unit_test_setup_teardown(test_forget, setup, teardown),
                cmocka_unit_test_setup_teardown(test_sweep, setup, teardown),
                cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
                cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
                cmocka_unit_test_setup_teardown(test_random, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
