/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "unit-file.h"

static Metadata *header(const char *more)
{
        _cleanup_free_ char *text = NULL;
        Metadata *m = NULL;

        assert_true(asprintf(&text,
                             "#!/bin/bash\n# name: Disk 100%% full\\\n# description: d\n# version: 1\n"
                             "# schedule: hourly\n# timeout: 20\n%s",
                             more) > 0);
        assert_int_equal(metadata_parse(text, strlen(text), &m), 0);
        assert_int_equal(m->n_errors, 0);
        return m;
}

static char *service(const char *more)
{
        _cleanup_(metadata_freep) Metadata *m = header(more);
        const UnitSpec spec = { .metadata = m, .timeout_usec = 20 * USEC_PER_SEC };
        char *text = unit_file_service(&spec);

        assert_non_null(text);
        assert_non_null(startswith(text, UNIT_FILE_MARK));
        return text;
}

static void assert_has(const char *text, const char *line)
{
        _cleanup_free_ char *whole = NULL;

        assert_true(asprintf(&whole, "\n%s\n", line) > 0);
        if (!strstr(text, whole))
                fail_msg("no line \"%s\" in:\n%s", line, text);
}

static void test_default(void **state)
{
        _cleanup_free_ char *text = service("");

        assert_has(text, "Description=Disk 100%% full\\ ");
        assert_has(text, "Type=oneshot");
        assert_has(text, "ExecStart=" SSI_SCRIPT_DIR "/disk-100-full");
        assert_has(text, "TimeoutStartSec=20000000us");
        assert_has(text, "SyslogIdentifier=ssi-disk-100-full");
        assert_has(text, "DynamicUser=yes");
        assert_has(text, "User=_ssi-disk-100-full");
        assert_has(text, "NoNewPrivileges=yes");
        assert_has(text, "ProtectSystem=strict");
        assert_has(text, "CapabilityBoundingSet=");
        assert_has(text, "Environment=STATUS_FAILURE=FAILURE");
        assert_has(text, "RestrictNamespaces=yes");
        assert_has(text, "UMask=0077");
        assert_has(text, "SystemCallErrorNumber=EPERM");
        assert_null(strstr(text, "ExecPaths"));
        assert_non_null(strstr(text, "LogExtraFields=SSI_SERVICE=disk-100-full MESSAGE_ID="));
}

static void test_user(void **state)
{
        _cleanup_free_ char *named = service("# user: backup\n"), *root = service("# user: root\n");

        assert_has(named, "User=backup");
        assert_has(named, "CapabilityBoundingSet=");
        assert_null(strstr(named, "DynamicUser"));
        assert_has(root, "User=root");
        assert_has(root, "ProtectSystem=strict");
        assert_non_null(strstr(root, "\nCapabilityBoundingSet=CAP_DAC_OVERRIDE "));
        assert_has(root, "AmbientCapabilities=CAP_SETUID");
        assert_null(strstr(named, "AmbientCapabilities"));
        assert_null(strstr(root, "CAP_SYS_BOOT"));
}

static void test_no_sandbox(void **state)
{
        _cleanup_free_ char *text = service("# sandbox: off\n");

        assert_null(strstr(text, "Protect"));
        assert_null(strstr(text, "DynamicUser"));
        assert_has(text, "TasksMax=256");
}

static void test_tried(void **state)
{
        _cleanup_(metadata_freep) Metadata *m = header("");
        const UnitSpec spec = { .metadata = m, .timeout_usec = 1, .test_path = "/run/ssid/x/disk-100-full" };
        _cleanup_free_ char *text = unit_file_service(&spec);

        assert_non_null(text);
        assert_has(text, "CollectMode=inactive-or-failed");
        assert_has(text, "BindsTo=ssid.service");
        assert_has(text, "ExecStart=/run/ssid/x/disk-100-full");
        assert_has(text, "ExecPaths=/run/ssid/x/disk-100-full");
        assert_has(text, "DynamicUser=yes");
        assert_null(strstr(text, "\nUser="));
        assert_has(text, "SystemCallFilter=~@privileged @resources");
        assert_null(strstr(text, "SSI_SERVICE"));
}

static void test_timer(void **state)
{
        _cleanup_(metadata_freep) Metadata *m = header("");
        const UnitSpec plain = { .metadata = m, .timeout_usec = 1 };
        const UnitSpec delayed = { .metadata = m, .timeout_usec = 1, .random_delay_usec = 3000000 };
        _cleanup_free_ char *a = unit_file_timer(&plain), *b = unit_file_timer(&delayed);

        assert_has(a, "ConditionPathExists=" SSI_PKGLIB_DIR "/library.bash");
        assert_has(a, "OnCalendar=hourly");
        assert_has(a, "Persistent=yes");
        assert_has(a, "AccuracySec=1s");
        assert_null(strstr(a, "RandomizedDelaySec"));
        assert_has(b, "RandomizedDelaySec=3000000us");
        assert_has(b, "FixedRandomDelay=yes");
}

static char *timer(const char *normalized, uint64_t zone_minutes)
{
        _cleanup_(metadata_freep) Metadata *m = header("");
        const UnitSpec spec = {
                .metadata = m, .timeout_usec = 1, .normalized = normalized, .zone_minutes = zone_minutes
        };
        char *text = unit_file_timer(&spec);

        assert_non_null(text);
        return text;
}

#define HOURLY  "*-*-* *:00:00"
#define ATHENS  UINT64_C(1)
#define KOLKATA (UINT64_C(1) << 30)

static void test_timer_in_utc(void **state)
{
        _cleanup_free_ char *athens = timer(HOURLY, ATHENS), *kolkata = timer(HOURLY, KOLKATA),
                            *unknown = timer(NULL, ATHENS);

        assert_has(athens, "OnCalendar=" HOURLY " UTC");
        assert_has(athens, "Schedule=hourly");
        assert_has(athens, "Normalized=" HOURLY);
        assert_has(kolkata, "OnCalendar=hourly");
        assert_has(kolkata, "Normalized=" HOURLY);
        assert_has(unknown, "OnCalendar=hourly");
        assert_null(strstr(unknown, "X-SSI"));
}

static void assert_update(const char *text, const char *normalized, uint64_t zone_minutes, const char *expected)
{
        _cleanup_free_ char *result = NULL;
        int r = unit_file_timer_update(text, normalized, zone_minutes, &result);

        assert_int_equal(r, expected ? TIMER_UPDATE_TEXT : TIMER_UPDATE_NONE);
        if (expected)
                assert_string_equal(result, expected);
        else
                assert_null(result);
}

/* The zone of the host changes: the timer becomes what it would have been. */
static void test_timer_moves(void **state)
{
        _cleanup_free_ char *athens = timer(HOURLY, ATHENS), *kolkata = timer(HOURLY, KOLKATA);

        assert_update(athens, NULL, KOLKATA, kolkata);
        assert_update(kolkata, NULL, ATHENS, athens);
        assert_update(athens, NULL, ATHENS, NULL);
        assert_update(kolkata, NULL, KOLKATA, NULL);
        assert_update(athens, NULL, 0, kolkata);
}

/* Of a version that did not write what systemd makes of the schedule. */
static void test_timer_of_old(void **state)
{
        _cleanup_free_ char *old = timer(NULL, ATHENS), *athens = timer(HOURLY, ATHENS),
                            *kolkata = timer(HOURLY, KOLKATA);
        _cleanup_free_ char *schedule = NULL;

        assert_int_equal(unit_file_timer_update(old, NULL, ATHENS, &schedule), TIMER_UPDATE_UNKNOWN);
        assert_string_equal(schedule, "hourly");
        assert_update(old, HOURLY, ATHENS, athens);
        assert_update(old, HOURLY, KOLKATA, kolkata);
}

static char *replaced(const char *text, const char *old, const char *new)
{
        const char *s = strstr(text, old);
        char *result;

        assert_non_null(s);
        assert_true(asprintf(&result, "%.*s%s%s", (int) (s - text), text, new, s + strlen(old)) >= 0);
        return result;
}

/* What commit 9b3e215 wrote. */
static void test_service_of_old(void **state)
{
        static const char *const headers[] = { "", "# user: root\n", "# sandbox: off\n" };

        for (size_t i = 0; i < ELEMENTSOF(headers); i++) {
                _cleanup_(metadata_freep) Metadata *m = header(headers[i]);
                _cleanup_free_ char *text = service(headers[i]);
                _cleanup_free_ char *accounted =
                        replaced(text, "MemoryAccounting=yes\n", "CPUAccounting=yes\nMemoryAccounting=yes\n");
                bool root = strstr(text, "AmbientCapabilities=CAP_SETUID\n"),
                     dynamic = strstr(text, "DynamicUser=yes\n");
                const char *new = root    ? "AmbientCapabilities=CAP_SETUID\n" :
                                  dynamic ? "User=_ssi-disk-100-full\n" :
                                            NULL;
                _cleanup_free_ char *old = replaced(accounted, new ?: "CPUAccounting", new ? "" : "CPUAccounting");
                _cleanup_free_ char *edited = replaced(old, "MemoryAccounting=yes", "MemoryAccounting=no");
                _cleanup_free_ char *added = replaced(old, "MemoryAccounting=yes\n", "MemoryAccounting=yes\nNice=5\n");
                _cleanup_free_ char *removed = replaced(old, "MemoryAccounting=yes\n", "");
                _cleanup_free_ char *untimed = replaced(old, "TimeoutStartSec=", "TimeoutStopSec=");
                _cleanup_free_ char *result = NULL;

                assert_int_equal(root, i == 1);
                assert_int_equal(unit_file_service_update(old, m, &result), 1);
                assert_string_equal(result, text);
                free(TAKE_PTR(result));
                assert_int_equal(unit_file_service_update(text, m, &result), 0);
                assert_int_equal(unit_file_service_update(edited, m, &result), 0);
                assert_int_equal(unit_file_service_update(added, m, &result), 0);
                assert_int_equal(unit_file_service_update(removed, m, &result), 0);
                assert_int_equal(unit_file_service_update(untimed, m, &result), 0);
                assert_int_equal(unit_file_service_update("", m, &result), 0);
                assert_null(result);
        }
}

/* The script's header was changed by hand: its unit stays what it was installed as. */
static void test_service_of_another_header(void **state)
{
        _cleanup_(metadata_freep) Metadata *m = header("# user: root\n");
        _cleanup_free_ char *text = service(""), *result = NULL;

        assert_int_equal(unit_file_service_update(text, m, &result), 0);
}

static void test_timer_by_hand(void **state)
{
        _cleanup_free_ char *text = timer(HOURLY, ATHENS);
        _cleanup_free_ char *edited = replaced(text, "OnCalendar=" HOURLY " UTC", "OnCalendar=daily");
        _cleanup_free_ char *second = replaced(text, "Persistent=yes", "OnCalendar=daily");
        _cleanup_free_ char *foreign = replaced(text, UNIT_FILE_MARK, "");
        _cleanup_free_ char *none = replaced(text, "OnCalendar=" HOURLY " UTC\n", "");
        _cleanup_free_ char *half = replaced(text, "Normalized=", "X=");

        assert_update(edited, NULL, KOLKATA, NULL);
        assert_update(second, NULL, KOLKATA, NULL);
        assert_update(foreign, NULL, KOLKATA, NULL);
        assert_update(none, NULL, KOLKATA, NULL);
        assert_update(half, NULL, KOLKATA, NULL);
        assert_update(UNIT_FILE_MARK "[Timer]\nOnCalendar=hourly", HOURLY, ATHENS, NULL);
        assert_update(UNIT_FILE_MARK "[Timer]\nOnCalendar=100%%\n", HOURLY, ATHENS, NULL);
        assert_update(UNIT_FILE_MARK, HOURLY, ATHENS, NULL);
        assert_update("", HOURLY, ATHENS, NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_default),
                cmocka_unit_test(test_user),
                cmocka_unit_test(test_no_sandbox),
                cmocka_unit_test(test_timer),
                cmocka_unit_test(test_timer_in_utc),
                cmocka_unit_test(test_timer_moves),
                cmocka_unit_test(test_timer_of_old),
                cmocka_unit_test(test_timer_by_hand),
                cmocka_unit_test(test_tried),
                cmocka_unit_test(test_service_of_old),
                cmocka_unit_test(test_service_of_another_header),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
