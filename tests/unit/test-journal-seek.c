/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <unistd.h>

#include "test.h"
#include "shared/journal/follow-internal.h"
#include "shared/journal/entry.h"
#include "shared/time-util.h"

/* Where reading goes on when the entry of the cursor is gone, in files that systemd-journal-remote(8) has
 * written. */
#define JOURNAL_REMOTE "/usr/lib/systemd/systemd-journal-remote"

#define BEFORE  "0000000000000000000000000000000a"
#define CUT     "0000000000000000000000000000000b"
#define PRESENT "0000000000000000000000000000000c"

typedef struct Entry {
        const char *boot;
        unsigned monotonic, realtime;
        bool wanted; /* a line of a service */
} Entry;

typedef struct Files {
        char folder[32], path[64];
        JournalFollow follow;
        unsigned slices; /* of one entry, that the last search took */
} Files;

static int setup(void **state)
{
        Files *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        strcpy(f->folder, "/tmp/ssi-journal-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        snprintf(f->path, sizeof(f->path), "%s/test.journal", f->folder);
        *state = f;
        return access(JOURNAL_REMOTE, X_OK) == 0 ? run_tracker_new(NULL, NULL, &f->follow.tracker) : -1;
}

static int teardown(void **state)
{
        Files *f = *state;

        sd_journal_close(f->follow.journal);
        run_tracker_free(f->follow.tracker);
        free(f->follow.gap_cursor);
        free(f->follow.seek.cursor);
        (void) unlink(f->path);
        (void) rmdir(f->folder);
        free(f);
        return 0;
}

/* Entry number n has MESSAGE=n, from 1. */
static void write_journal(Files *f, const Entry *entries, size_t n)
{
        const char *paths[] = { f->path, NULL };
        char command[256];
        FILE *p;

        snprintf(command, sizeof(command), JOURNAL_REMOTE " --output=%s - >/dev/null 2>&1", f->path);
        p = popen(command, "w"); /* NOLINT(cert-env33-c) */
        assert_non_null(p);
        for (size_t i = 0; i < n; i++)
                fprintf(p, "__REALTIME_TIMESTAMP=%u\n__MONOTONIC_TIMESTAMP=%u\n_BOOT_ID=%s\nMESSAGE=%zu\n%s\n",
                        entries[i].realtime, entries[i].monotonic, entries[i].boot, i + 1,
                        entries[i].wanted ? "_TRANSPORT=stdout\nMESSAGE_ID=" SSI_MESSAGE_ID_OUTPUT_STR "\n" : "");
        assert_int_equal(pclose(p), 0);
        assert_int_equal(sd_journal_open_files(&f->follow.journal, paths, 0), 0);
}

/* Searches to the end, and returns in how many slices. */
static unsigned go_on(Files *f, unsigned entries)
{
        unsigned n = 1;
        int r;

        while ((r = journal_follow_seek_go_on(&f->follow, entries)) == 0)
                n++;
        assert_int_equal(r, 1);
        return n;
}

/* The number of the entry that is read first, after an entry of that number and moment; 0 for none. */
static int first_after(Files *f, unsigned number, const char *boot, unsigned monotonic, unsigned realtime)
{
        _cleanup_free_ char *real = NULL;
        char cursor[256];
        const void *data;
        size_t length;

        assert_int_equal(sd_journal_seek_head(f->follow.journal), 0);
        assert_int_equal(sd_journal_next(f->follow.journal), 1);
        assert_int_equal(sd_journal_get_cursor(f->follow.journal, &real), 0);
        assert_memory_equal(real, "s=", 2);
        snprintf(cursor, sizeof(cursor), "%.34s;i=%x;b=%s;m=%x;t=%x;x=123", real, number, boot, monotonic, realtime);
        assert_int_equal(journal_follow_add_matches(&f->follow), 0);
        assert_int_equal(journal_follow_seek_after(&f->follow, cursor), 0);
        f->slices = go_on(f, 1);
        assert_string_equal(f->follow.gap_cursor, cursor);
        assert_int_equal(f->follow.gap_from, realtime);
        if (sd_journal_next(f->follow.journal) == 0)
                return 0;
        assert_int_equal(sd_journal_get_data(f->follow.journal, "MESSAGE", &data, &length), 0);
        return (int) strtol((const char *) data + strlen("MESSAGE="), NULL, 10);
}

/* Entries 4 to 6 of the boot CUT are lost, and those numbers taken by the next boot. */
static const Entry after_power_cut[] = {
        { BEFORE, 5000, 10000, true },  { CUT, 1000, 20000, false },   { CUT, 2000, 21000, true },
        { PRESENT, 100, 30000, false }, { PRESENT, 200, 30100, true }, { PRESENT, 300, 30200, false },
        { PRESENT, 400, 30300, true },  { PRESENT, 500, 30400, true },
};

static void test_power_cut(void **state)
{
        Files *f = *state;

        write_journal(f, after_power_cut, ELEMENTSOF(after_power_cut));
        assert_int_equal(first_after(f, 6, CUT, 5000, 24000), 5);
        assert_int_equal(f->follow.gap_to, 30000);
}

/* More were lost than the present boot has written up to now. */
static void test_power_cut_numbers_ahead(void **state)
{
        Files *f = *state;

        write_journal(f, after_power_cut, ELEMENTSOF(after_power_cut));
        assert_int_equal(first_after(f, 500, CUT, 5000, 24000), 5);
        assert_int_equal(f->follow.gap_to, 30000);
}

/* A machine without a clock of its own may go back in time. */
static void test_power_cut_clock_behind(void **state)
{
        Files *f = *state;

        write_journal(f, after_power_cut, ELEMENTSOF(after_power_cut));
        assert_int_equal(first_after(f, 6, CUT, 5000, 40000), 5);
}

/* Nothing of the boot reached the disk. */
static void test_power_cut_of_a_short_boot(void **state)
{
        Files *f = *state;

        write_journal(f, after_power_cut, ELEMENTSOF(after_power_cut));
        assert_int_equal(first_after(f, 6, "0000000000000000000000000000000d", 100, 29000), 5);
}

/* The end of the journal was lost, and nothing came since. */
static void test_nothing_came_since(void **state)
{
        Files *f = *state;

        write_journal(f, after_power_cut, 3);
        assert_int_equal(first_after(f, 500, CUT, 5000, 24000), 0);
}

/* Rotated away: all that is there came after. */
static void test_rotated_away(void **state)
{
        Files *f = *state;

        write_journal(f, after_power_cut, ELEMENTSOF(after_power_cut));
        assert_int_equal(first_after(f, 0, BEFORE, 4000, 9000), 1);
        assert_int_equal(f->follow.gap_to, 10000);
}

/* A cursor that somebody made up: the search goes over everything, but not in one go. */
static void test_made_up(void **state)
{
        Entry entries[1000];
        Files *f = *state;

        for (unsigned i = 0; i < ELEMENTSOF(entries); i++)
                entries[i] = (Entry){ PRESENT, 100 + i, 30000 + i, i % 2 == 0 };
        write_journal(f, entries, ELEMENTSOF(entries));
        assert_int_equal(first_after(f, 0xffffffff, CUT, 1, 1), 1);
        assert_in_range(f->slices, ELEMENTSOF(entries), ELEMENTSOF(entries) + 2);
        assert_int_equal(f->follow.gap_to, 30000);
}

/* As many runs as the limit allows may have been under way: going back over their entries takes slices, too. */
static void test_warm_up(void **state)
{
        Entry entries[1000];
        Files *f = *state;

        for (unsigned i = 0; i < ELEMENTSOF(entries); i++)
                entries[i] = (Entry){ PRESENT, 100 + i, 30000 + i, true };
        write_journal(f, entries, ELEMENTSOF(entries));
        assert_int_equal(journal_follow_seek_since(&f->follow, USEC_INFINITY), 0);
        assert_int_equal(go_on(f, 10), ELEMENTSOF(entries) / 10);
        assert_int_equal(f->follow.muted_left, ELEMENTSOF(entries));
        assert_int_equal(sd_journal_next(f->follow.journal), 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_power_cut, setup, teardown),
                cmocka_unit_test_setup_teardown(test_power_cut_numbers_ahead, setup, teardown),
                cmocka_unit_test_setup_teardown(test_power_cut_clock_behind, setup, teardown),
                cmocka_unit_test_setup_teardown(test_power_cut_of_a_short_boot, setup, teardown),
                cmocka_unit_test_setup_teardown(test_nothing_came_since, setup, teardown),
                cmocka_unit_test_setup_teardown(test_rotated_away, setup, teardown),
                cmocka_unit_test_setup_teardown(test_made_up, setup, teardown),
                cmocka_unit_test_setup_teardown(test_warm_up, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
