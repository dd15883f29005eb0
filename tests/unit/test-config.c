/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <sys/stat.h>
#include <syslog.h>

#include "config/config.h"

#define FILE_NAME "/tmp/ssi-test-config.conf"

static void write_config(const char *text)
{
        FILE *f = fopen(FILE_NAME, "we");

        assert_non_null(f);
        fputs(text, f);
        fclose(f);
}

static int load_with(const char *name, const char *value)
{
        Config c = {};
        int r;

        setenv(name, value, true);
        r = config_load("/nonexistent", &c);
        unsetenv(name);
        config_done(&c);
        return r;
}

static void test_defaults(void **state)
{
        Config c = {};

        assert_int_equal(config_load("/nonexistent", &c), 0);
        assert_string_equal(c.database_url, "host=/run/ssi-postgres dbname=ssi user=ssi-server");
        assert_null(c.public_url);
        assert_int_equal(c.history, CONFIG_HISTORY_ALL);
        assert_int_equal(c.history_days, 7);
        assert_int_equal(c.stale_grace_seconds, 120);
        assert_int_equal(c.rate_limit, 100);
        assert_int_equal(c.notify_timeout, 20);
        assert_int_equal(c.log_level, LOG_INFO);
        assert_false(c.access_log);
        assert_false(c.allow_private_targets);
        assert_string_equal(c.trusted_proxies, "127.0.0.0/8 ::1");
        assert_null(c.security_contact);
        assert_int_equal(c.sign_up, CONFIG_SIGN_UP_UNSET);
        assert_null(c.setup_code);
        assert_true(config_quota(&c, QUOTA_SERVERS).value == 5000);
        assert_true(config_quota(&c, QUOTA_RESULTS).burst == 2000000);
        assert_true(config_quota(&c, QUOTA_STORAGE).value == UINT64_C(7) * 8 << 30);
        config_done(&c);
}

static void test_quotas(void **state)
{
        static const struct {
                QuotaKind kind;
                const char *text;
                uint64_t value, burst; /* 0: invalid */
        } cases[] = {
                { QUOTA_SERVERS, "20", 20, 0 },
                { QUOTA_SERVERS, "unlimited", QUOTA_NONE, 0 },
                { QUOTA_RESULTS, "unlimited", QUOTA_NONE, 0 },
                { QUOTA_STORAGE, "unlimited", QUOTA_NONE, 0 },
                { QUOTA_SERVERS, "none", QUOTA_NONE, 0 }, /* of earlier versions */
                { QUOTA_SERVERS, "0", 0, 0 },             /* neither none at all nor no limit */
                { QUOTA_STORAGE, "0", 0, 0 },
                { QUOTA_SERVERS, "00", 0, 0 },
                { QUOTA_SERVERS, "1000000000", 1000000000, 0 },
                { QUOTA_SERVERS, "1000000001", 0, 0 },
                { QUOTA_SERVERS, "18446744073709551617", 0, 0 },
                { QUOTA_SERVERS, "-1", 0, 0 },
                { QUOTA_SERVERS, " 1", 0, 0 },
                { QUOTA_SERVERS, "2G", 0, 0 },
                { QUOTA_SERVERS, "", 0, 0 },
                { QUOTA_SERVERS, "5:6", 0, 0 },
                { QUOTA_RESULTS, "60", 60, 600 },
                { QUOTA_RESULTS, "60:5", 60, 5 },
                { QUOTA_RESULTS, "60:", 0, 0 },
                { QUOTA_RESULTS, "60:0", 0, 0 },
                { QUOTA_RESULTS, "60:5x", 0, 0 },
                { QUOTA_RESULTS, ":5", 0, 0 },
                { QUOTA_STORAGE, "5", 5, 0 },
                { QUOTA_STORAGE, "2k", 2048, 0 },
                { QUOTA_STORAGE, "3G", UINT64_C(3) << 30, 0 },
                { QUOTA_STORAGE, "1T", UINT64_C(1) << 40, 0 },
                { QUOTA_STORAGE, "9999999T", 0, 0 },
                { QUOTA_STORAGE, "1GB", 0, 0 },
                { QUOTA_STORAGE, "G", 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Quota q = {};
                int r = quota_parse(cases[i].kind, cases[i].text, &q);

                if ((r >= 0) != (cases[i].value > 0) || q.value != cases[i].value || q.burst != cases[i].burst)
                        fail_msg("%s=%s: %d", quota_name(cases[i].kind), cases[i].text, r);
        }
}

/* The default of one setting follows another, also after a reload. */
static void test_storage_follows_the_days(void **state)
{
        Config c = {};

        write_config("SSI_QUOTA_STORAGE=5M\n");
        setenv("SSI_HISTORY_DAYS", "30", true);
        assert_int_equal(config_load("/nonexistent", &c), 0);
        unsetenv("SSI_HISTORY_DAYS");
        assert_true(config_quota(&c, QUOTA_STORAGE).value == UINT64_C(30) * 8 << 30);
        assert_int_equal(config_reload(FILE_NAME, &c), 0);
        assert_true(config_quota(&c, QUOTA_STORAGE).value == UINT64_C(5) << 20);
        write_config("SSI_QUOTA_STORAGE=lots\n");
        assert_int_equal(config_reload(FILE_NAME, &c), 0);
        assert_true(config_quota(&c, QUOTA_STORAGE).value == UINT64_C(5) << 20);
        config_done(&c);
}

static void test_values(void **state)
{
        static const struct {
                const char *name, *value;
                int r;
        } cases[] = {
                { "SSI_HISTORY", "changes", 0 },
                { "SSI_HISTORY", "", 0 },
                { "SSI_HISTORY", "some", -EINVAL },
                { "SSI_AUDIT_DAYS", "3650", 0 },
                { "SSI_AUDIT_DAYS", "0", -EINVAL },
                { "SSI_HISTORY_DAYS", "3650", 0 },
                { "SSI_HISTORY_DAYS", "3651", -EINVAL },
                { "SSI_HISTORY_DAYS", "0", -EINVAL },
                { "SSI_HISTORY_DAYS", "-1", -EINVAL },
                { "SSI_HISTORY_DAYS", " 7", -EINVAL },
                { "SSI_HISTORY_DAYS", "7d", -EINVAL },
                { "SSI_HISTORY_DAYS", "99999999999999999999", -EINVAL },
                { "SSI_SIGN_UP", "closed", 0 },
                { "SSI_SIGN_UP", "open", 0 },
                { "SSI_SIGN_UP", "", 0 },
                { "SSI_SIGN_UP", "Closed", -EINVAL },
                { "SSI_SETUP_CODE", "", 0 },
                { "SSI_SETUP_CODE", "sixteen-letters-", 0 },
                { "SSI_SETUP_CODE", "fifteen-letters", -EINVAL },
                { "SSI_SETUP_CODE", "sixteen letters -", -EINVAL },
                { "SSI_RATE_LIMIT", "0", 0 },
                { "SSI_QUOTA_SERVERS", "20", 0 },
                { "SSI_QUOTA_SERVERS", "many", 0 }, /* reloadable: only warned about */
                { "SSI_ALLOW_PRIVATE_TARGETS", "TRUE", 0 },
                { "SSI_ALLOW_PRIVATE_TARGETS", "off", 0 },
                { "SSI_ALLOW_PRIVATE_TARGETS", "maybe", -EINVAL },
                { "SSI_PUBLIC_URL", "ssi.example.org", -EINVAL },
                { "SSI_SMTP_URL", "mail.example.org", -EINVAL },
                { "SSI_SMTP_URL", "smtp://mail.example.org", -EINVAL }, /* without SSI_SMTP_FROM */
                { "SSI_SMTP_FROM", "nobody", -EINVAL },
                { "SSI_SMTP_FROM", "a@b\nBcc: c@d", -EINVAL },
                { "SSI_TLS_CERT", "/a.pem", -EINVAL }, /* without SSI_TLS_KEY */
                { "SSI_LOG_LEVEL", "loud", 0 },        /* reloadable: only warned about */
                { "SSI_TRUSTED_PROXIES", "localhost", 0 },
                { "SSI_HISTORY_DAY", "7", 0 }, /* unknown: only warned about */
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (load_with(cases[i].name, cases[i].value) != cases[i].r)
                        fail_msg("%s=%s: not %d", cases[i].name, cases[i].value, cases[i].r);
}

static void test_url_ends_without_slashes(void **state)
{
        Config c = {};

        setenv("SSI_PUBLIC_URL", "https://ssi.example.org//", true);
        assert_int_equal(config_load("/nonexistent", &c), 0);
        unsetenv("SSI_PUBLIC_URL");
        assert_string_equal(c.public_url, "https://ssi.example.org");
        config_done(&c);
}

/* As systemd does it: the file is the environment, at the start. */
static void test_reload(void **state)
{
        Config c = {};

        write_config("SSI_ACCESS_LOG=yes\nSSI_HISTORY_DAYS=9\n");
        setenv("SSI_ACCESS_LOG", "yes", true);
        setenv("SSI_HISTORY_DAYS", "9", true);
        assert_int_equal(config_load(FILE_NAME, &c), 0);
        assert_true(c.access_log);

        write_config("# A comment\n SSI_ACCESS_LOG = \"on\" \nSSI_LOG_LEVEL='debug'\nSSI_HISTORY_DAYS=12\nOTHER=1\n"
                     "SSI_TRUSTED_PROXIES=10.0.0.1 2001:db8::/32\nSSI_SECURITY_CONTACT=mailto:security@example.org\n");
        assert_int_equal(config_reload(FILE_NAME, &c), 0);
        assert_true(c.access_log);
        assert_string_equal(c.trusted_proxies, "10.0.0.1 2001:db8::/32");
        assert_string_equal(c.security_contact, "mailto:security@example.org");
        assert_int_equal(c.log_level, LOG_DEBUG);
        assert_int_equal(c.history_days, 9); /* until a restart */

        write_config("SSI_ACCESS_LOG=perhaps\nSSI_LOG_LEVEL=loud\nSSI_TRUSTED_PROXIES=10.0.0.1/33\n");
        assert_int_equal(config_reload(FILE_NAME, &c), 0);
        assert_string_equal(c.trusted_proxies, "10.0.0.1 2001:db8::/32");
        assert_true(c.access_log);
        assert_int_equal(c.log_level, LOG_DEBUG);

        /* What was named once and is no more has its default, though it stands in the environment. */
        write_config("");
        assert_int_equal(config_reload(FILE_NAME, &c), 0);
        assert_false(c.access_log);
        assert_int_equal(c.log_level, LOG_INFO);
        assert_string_equal(c.trusted_proxies, "127.0.0.0/8 ::1");
        assert_int_equal(config_reload("/", &c), -EISDIR);
        unsetenv("SSI_ACCESS_LOG");
        unsetenv("SSI_HISTORY_DAYS");
        config_done(&c);
}

/* In a container there is no file. */
static void test_reload_without_a_file(void **state)
{
        Config c = {};

        setenv("SSI_ACCESS_LOG", "yes", true);
        assert_int_equal(config_load("/nonexistent", &c), 0);
        assert_int_equal(config_reload("/nonexistent", &c), 0);
        assert_true(c.access_log);
        unsetenv("SSI_ACCESS_LOG");
        config_done(&c);
}

static void test_check(void **state)
{
        static const struct {
                const char *text;
                int n;
        } cases[] = {
                { "SSI_HISTORY_DAYS=7\nSSI_ACCESS_LOG=yes\n", 0 },
                { "# a comment\n; another\n\n  \nPGAPPNAME=ours\n", 0 },
                { "SSI_HISTORY_DAYS=week\nSSI_ACCES_LOG=yes\n", 2 },
                { "SSI_TLS_KEY=/nonexistent.key\n", 2 }, /* half of a pair, and not there */
                { "SSI_TLS_CERT=cert.pem\nSSI_TLS_KEY=/etc/passwd\n", 2 },
                { "export SSI_HISTORY_DAYS=7\n", 1 },
                { "garbage\n", 1 },
                { "HISTORY_DAYS=7\n", 1 },
                { "SSI_HISTORY_DAYS=7\nSSI_HISTORY_DAYS=8\n", 1 },
                { "SSI_SMTP_CA=/nonexistent.pem\n", 1 },
                { "SSI_TRUSTED_PROXIES=none\nSSI_SECURITY_CONTACT=https://example.org/security\n", 0 },
                { "SSI_TRUSTED_PROXIES=10.0.0.1, fd00::/8\n", 0 },
                { "SSI_TRUSTED_PROXIES=proxy.example.org\n", 1 },
                { "SSI_TRUSTED_PROXIES=10.0.0.0/33\n", 1 },
                { "SSI_SECURITY_CONTACT=security@example.org\n", 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                write_config(cases[i].text);
                if (config_check(FILE_NAME) != cases[i].n)
                        fail_msg("not %d: %s", cases[i].n, cases[i].text);
        }
        unlink(FILE_NAME);
        assert_int_equal(config_check(FILE_NAME), 0);
}

/* Far down, long lines, NUL bytes, what never ends. */
static void test_odd_files(void **state)
{
        FILE *f = fopen(FILE_NAME, "we");

        assert_non_null(f);
        for (unsigned i = 0; i < 2000; i++)
                fputs("# nothing\n", f);
        fprintf(f, "# %010000d SSI_HISTORY_DAYS=week\n", 0);
        fputs("SSI_HISTORY_DAYS=week\n", f);
        fwrite("SSI_RATE_LIMIT=1\0000\n", 1, 20, f);
        fclose(f);
        assert_int_equal(config_check(FILE_NAME), 2);
        unlink(FILE_NAME);
        assert_int_equal(mkfifo(FILE_NAME, 0600), 0);
        assert_int_equal(config_check(FILE_NAME), -EINVAL);
        unlink(FILE_NAME);
        assert_int_equal(config_check("/dev/zero"), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_url_ends_without_slashes),
                cmocka_unit_test(test_quotas),
                cmocka_unit_test(test_storage_follows_the_days),
                cmocka_unit_test(test_reload),
                cmocka_unit_test(test_reload_without_a_file),
                cmocka_unit_test(test_check),
                cmocka_unit_test(test_odd_files),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
