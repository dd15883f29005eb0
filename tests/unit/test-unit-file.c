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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_default),
                cmocka_unit_test(test_user),
                cmocka_unit_test(test_no_sandbox),
                cmocka_unit_test(test_timer),
                cmocka_unit_test(test_tried),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
