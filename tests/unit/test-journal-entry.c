/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <systemd/sd-messages.h>
#include <unistd.h>

#include "test.h"
#include "shared/journal/entry.h"
#include "shared/journal/follow.h"

/* Real journal files: systemd-journal-remote(8) writes them from the export format, with whatever fields it is given, those
 * of other releases of systemd, too. */
#define JOURNAL_REMOTE "/usr/lib/systemd/systemd-journal-remote"

#define OUTPUT  "MESSAGE_ID=" SSI_MESSAGE_ID_OUTPUT_STR "\n"
#define SUCCESS "MESSAGE_ID=" SD_MESSAGE_UNIT_SUCCESS_STR "\n"
#define FAILURE "MESSAGE_ID=" SD_MESSAGE_UNIT_FAILURE_RESULT_STR "\n"
#define RUN_ID  "00000000000000000000000000000abc"

#define LINE                                                                                                       \
        "_TRANSPORT=stdout\n_PID=77\n_UID=61000\n_SYSTEMD_UNIT=ssi-a.service\n_SYSTEMD_INVOCATION_ID=" RUN_ID "\n" \
        "_STREAM_ID=00000000000000000000000000000def\nMESSAGE=2026-11-23 10:00:00, OK, fine\nSSI_SERVICE=a\n" OUTPUT
#define MANAGER                                                                                                        \
        "_TRANSPORT=journal\n_PID=1\n_UID=0\n_SYSTEMD_UNIT=init.scope\nUNIT=ssi-a.service\nINVOCATION_ID=" RUN_ID "\n" \
        "MESSAGE=ssi-a.service: Deactivated successfully.\n"

typedef struct Files {
        char folder[32], path[64];
        sd_journal *journal;
} Files;

static int setup(void **state)
{
        Files *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        strcpy(f->folder, "/tmp/ssi-journal-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        snprintf(f->path, sizeof(f->path), "%s/test.journal", f->folder);
        *state = f;
        return access(JOURNAL_REMOTE, X_OK) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
        Files *f = *state;

        sd_journal_close(f->journal);
        (void) unlink(f->path);
        (void) rmdir(f->folder);
        free(f);
        return 0;
}

/* Writes the entries, each its fields, and opens them. */
static sd_journal *journal_of(void **state, const char *const *entries)
{
        Files *f = *state;
        const char *paths[] = { f->path, NULL };
        char command[256];
        FILE *p;
        int n = 0;

        snprintf(command, sizeof(command), JOURNAL_REMOTE " --output=%s - >/dev/null 2>&1", f->path);
        p = popen(command, "w"); /* NOLINT(cert-env33-c) */
        assert_non_null(p);
        for (; entries[n]; n++)
                fprintf(p,
                        "__REALTIME_TIMESTAMP=18000000000000%02d\n__MONOTONIC_TIMESTAMP=%d\n"
                        "_BOOT_ID=0000000000000000000000000000b007\n%s\n",
                        n, 1000 + n, entries[n]);
        assert_int_equal(pclose(p), 0);
        assert_int_equal(sd_journal_open_files(&f->journal, paths, 0), 0);
        return f->journal;
}

/* The next entry, as what it was taken for; -1 when it is none of ours. */
static int next(sd_journal *j, JournalEntry *e)
{
        int r;

        assert_int_equal(sd_journal_next(j), 1);
        r = journal_entry_read(j, e);
        assert_true(r >= 0);
        return r > 0 ? (int) e->entry.type : -1;
}

static void assert_types(void **state, const char *const *entries, const int *types)
{
        sd_journal *j = journal_of(state, entries);

        for (size_t i = 0; entries[i]; i++) {
                JournalEntry e = {};

                assert_int_equal(next(j, &e), types[i]);
                if (types[i] >= 0)
                        assert_string_equal(e.slug, "a");
                journal_entry_done(&e);
        }
}

/* systemd 253 and later: what the unit's LogExtraFields= names stands in the manager's entries of that unit, too. Which of the two
 * ids comes first in an entry is a matter of the file: which of them was the first to be written to it. */
static void test_two_message_ids(void **state)
{
        const char *const line_first[] = { LINE, MANAGER SUCCESS OUTPUT, MANAGER OUTPUT SUCCESS, NULL };

        assert_types(state, line_first, (const int[]){ RUN_ENTRY_LINE, RUN_ENTRY_SUCCESS, RUN_ENTRY_SUCCESS });
}

static void test_two_message_ids_manager_first(void **state)
{
        const char *const manager_first[] = { MANAGER SUCCESS, MANAGER SUCCESS OUTPUT, LINE, NULL };

        assert_types(state, manager_first, (const int[]){ RUN_ENTRY_SUCCESS, RUN_ENTRY_SUCCESS, RUN_ENTRY_LINE });
}

static void test_failure(void **state)
{
        const char *const entries[] = {
                LINE,
                MANAGER OUTPUT "MESSAGE_ID=" SD_MESSAGE_UNIT_PROCESS_EXIT_STR "\nEXIT_CODE=exited\nEXIT_STATUS=3\n",
                MANAGER OUTPUT FAILURE "UNIT_RESULT=exit-code\n",
                NULL,
        };
        sd_journal *j = journal_of(state, entries);
        JournalEntry e = {};
        sd_id128_t id;

        assert_int_equal(sd_id128_from_string(RUN_ID, &id), 0);
        assert_int_equal(next(j, &e), RUN_ENTRY_LINE);
        assert_int_equal(e.entry.length, strlen("2026-11-23 10:00:00, OK, fine"));
        assert_memory_equal(e.entry.text, "2026-11-23 10:00:00, OK, fine", e.entry.length);
        assert_true(sd_id128_equal(e.entry.invocation_id, id));
        journal_entry_done(&e);
        assert_int_equal(next(j, &e), RUN_ENTRY_EXIT);
        assert_string_equal(e.entry.exit_code, "exited");
        assert_int_equal(e.entry.exit_status, 3);
        assert_true(sd_id128_equal(e.entry.invocation_id, id));
        journal_entry_done(&e);
        assert_int_equal(next(j, &e), RUN_ENTRY_FAILURE);
        assert_string_equal(e.entry.result, "exit-code");
        journal_entry_done(&e);
}

/* An administrator's LogExtraFields= can name any field that the manager writes, or a line has. What is then not certain is not taken for
 * certain, and never for another unit's. */
static void test_other_doubles(void **state)
{
        const char *const entries[] = {
                LINE "MESSAGE_ID=0123456789abcdef0123456789abcdef\n",
                MANAGER SUCCESS "MESSAGE_ID=0123456789abcdef0123456789abcdef\n",
                MANAGER SUCCESS FAILURE,
                MANAGER SUCCESS "UNIT=ssi-b.service\n",
                MANAGER SUCCESS "INVOCATION_ID=00000000000000000000000000000123\n",
                LINE "MESSAGE=2026-11-23 10:00:00, FAILURE, another\n",
                LINE "INVOCATION_ID=00000000000000000000000000000123\nUNIT=ssi-b.service\n",
                NULL,
        };

        assert_types(state, entries,
                     (const int[]){ RUN_ENTRY_LINE, RUN_ENTRY_SUCCESS, -1, -1, -1, -1, RUN_ENTRY_LINE });
}

static void test_doubled_exit(void **state)
{
        const char *const entries[] = {
                MANAGER "MESSAGE_ID=" SD_MESSAGE_UNIT_PROCESS_EXIT_STR
                        "\nEXIT_CODE=exited\nEXIT_CODE=killed\nEXIT_STATUS=3\nEXIT_STATUS=9\n",
                NULL,
        };
        sd_journal *j = journal_of(state, entries);
        JournalEntry e = {};

        assert_int_equal(next(j, &e), RUN_ENTRY_EXIT);
        assert_null(e.entry.exit_code);
        assert_int_equal(e.entry.exit_status, 0);
        journal_entry_done(&e);
}

/* Whoever else writes into the journal. */
static void test_forged(void **state)
{
        const char *const entries[] = {
                "_TRANSPORT=journal\n_PID=77\n_UID=0\nUNIT=ssi-a.service\nINVOCATION_ID=" RUN_ID
                "\nMESSAGE=x\n" SUCCESS,
                "_TRANSPORT=journal\n_PID=1\n_UID=1000\nUNIT=ssi-a.service\nINVOCATION_ID=" RUN_ID
                "\nMESSAGE=x\n" SUCCESS,
                "_TRANSPORT=syslog\n_PID=1\n_UID=0\nUNIT=ssi-a.service\nINVOCATION_ID=" RUN_ID "\nMESSAGE=x\n" SUCCESS,
                "_TRANSPORT=journal\n_PID=77\n_UID=0\n_SYSTEMD_UNIT=ssi-a.service\nMESSAGE=2026-11-23 10:00:00, OK, x\n" OUTPUT,
                "_TRANSPORT=stdout\n_PID=77\n_UID=0\n_SYSTEMD_UNIT=user@1000.service\nUNIT=ssi-a.service\nMESSAGE=x\n"
                "_STREAM_ID=00000000000000000000000000000def\n" OUTPUT SUCCESS,
                "_TRANSPORT=stdout\n_PID=77\n_UID=0\n_SYSTEMD_UNIT=ssi-a.service\nMESSAGE=x\n" SUCCESS,
                "_TRANSPORT=journal\n_PID=1\n_UID=0\nUNIT=ssi-a.service\nINVOCATION_ID=" RUN_ID "\nMESSAGE=x\n" OUTPUT,
                NULL,
        };

        assert_types(state, entries, (const int[]){ -1, -1, -1, -1, -1, -1, -1 });
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_two_message_ids, setup, teardown),
                cmocka_unit_test_setup_teardown(test_two_message_ids_manager_first, setup, teardown),
                cmocka_unit_test_setup_teardown(test_failure, setup, teardown),
                cmocka_unit_test_setup_teardown(test_other_doubles, setup, teardown),
                cmocka_unit_test_setup_teardown(test_doubled_exit, setup, teardown),
                cmocka_unit_test_setup_teardown(test_forged, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
