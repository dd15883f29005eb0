/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ftw.h>
#include <sys/stat.h>

#include "test.h"
#include "unit-dropin.h"
#include "unit-file.h"

static char dir[] = "/tmp/test-unit-dropin-XXXXXX";

static char *path_of(const char *name)
{
        char *path;

        assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
        return path;
}

static void put(const char *name, const char *text)
{
        _cleanup_free_ char *path = path_of(name), *folder = strdup(path);
        FILE *f;

        *strrchr(folder, '/') = '\0';
        if (mkdir(folder, 0755) < 0)
                assert_int_equal(errno, EEXIST);
        f = fopen(path, "we");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static void drop(const char *name)
{
        _cleanup_free_ char *path = path_of(name);

        assert_int_equal(unlink(path), 0);
}

static int setup(void **state)
{
        static const char *const folders[] = { "first", "second" };

        assert_non_null(mkdtemp(dir));
        for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
                _cleanup_free_ char *path = path_of(folders[i]);

                assert_int_equal(mkdir(path, 0755), 0);
        }
        return 0;
}

static int drop_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static int teardown(void **state)
{
        return nftw(dir, drop_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* What widens ssi-a-b.service; NULL: nothing. */
static void assert_widened(const char *part)
{
        _cleanup_free_ char *first = path_of("first"), *second = path_of("second"), *why = NULL;
        const char *const folders[] = { first, second, NULL };

        assert_int_equal(unit_dropins_widen_in(folders, "ssi-a-b.service", &why), part != NULL);
        if (part && !strstr(why, part))
                fail_msg("not \"%s\": %s", part, why);
}

static void test_settings(void **state)
{
        static const struct {
                const char *text, *part;
        } cases[] = {
                { "", NULL },
                { "[Service]\nNice=5\nCPUQuota=10%\nMemoryMax=1G\n# User=root\n ; User=root\n\n", NULL },
                { "[Service]\n  Nice =5\n\tEnvironment=\"A=User=root\"\n", NULL },
                { "[Unit]\nDescription=%n\nAfter=network.target\nConditionPathExists=/x\n[X-Own]\nX-Note=1\n", NULL },
                { "[Service]\nUser=root", "sets User=" },
                { "[Service]\nUser =root\n", "sets User=" },
                { "[Service]\n \t User=root\n", "sets User=" },
                { "\xef\xbb\xbfUser=root\n", "User=" },
                { "[Service]\nNice=5\\\nUser=root\n", "sets User=" },
                { "[X-Own]\nUser=root\n", "sets User=" },
                { "[Service]\nNice=5\rUser=root\n", "control" },
                { "[Service]\nUs\\\ner=root\n", "without" },
                { "[Service]\nX-=\n", "sets X-=" },
                { "[Service]\nNiceness=5\n", "sets Niceness=" },
                { "[Service]\nnice=5\n", "sets nice=" },
                { ".include /etc/x\n", "without" },
                { "[Service]\nExecStartPre=+/bin/true\n", "sets ExecStartPre=" },
                { "[Service]\nEnvironmentFile=/etc/secret\n", "sets EnvironmentFile=" },
                { "[Service]\nLoadCredential=\nReadWritePaths= \t\nImportCredential =\n", NULL },
                { "[Service]\nLoadCredential=a:/etc/shadow\n", "sets LoadCredential=" },
                { "[Service]\nLoadCredential= =\n", "sets LoadCredential=" },
                { "[Service]\nReadWritePaths=\\\n/etc\n", "sets ReadWritePaths=" },
                { "[Service]\nSystemCallFilter=\n", "sets SystemCallFilter=" },
                { "[Service]\nDynamicUser=no\n", "sets DynamicUser=" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                put("first/ssi-a-b.service.d/x.conf", cases[i].text);
                assert_widened(cases[i].part);
        }
        drop("first/ssi-a-b.service.d/x.conf");
}

/* What the generator of LXC's images writes for all services: for each container, and more for a privileged one. */
static void test_lxc(void **state)
{
        put("first/service.d/zzz-lxc-service.conf",
            "[Service]\nProcSubset=all\nProtectProc=default\nProtectControlGroups=no\nProtectKernelTunables=no\n"
            "NoNewPrivileges=no\nLoadCredential=\nPrivateNetwork=no\nImportCredential=\nProtectHome=no\n"
            "ProtectSystem=no\nPrivateDevices=no\nPrivateTmp=no\nProtectKernelLogs=no\nProtectKernelModules=no\n"
            "ReadWritePaths=\n");
        assert_widened(NULL);
        drop("first/service.d/zzz-lxc-service.conf");
}

static void test_folders(void **state)
{
        static const char *const names[] = { "ssi-a-b.service.d", "ssi-a-.service.d", "ssi-.service.d", "service.d" };
        static const char *const others[] = { "ssi-a.service.d", "ssi-b.service.d", "ssi.service.d",     "-.service.d",
                                              "timer.d",         "ssi-a-b.timer.d", "ssi-a-b-.service.d" };

        for (size_t i = 0; i < 2 * ELEMENTSOF(names); i++) {
                _cleanup_free_ char *file = NULL;

                assert_true(asprintf(&file, "%s/%s/x.conf", i % 2 ? "first" : "second", names[i / 2]) > 0);
                put(file, "[Service]\nUser=root\n");
                assert_widened(file);
                drop(file);
                assert_widened(NULL);
        }
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                _cleanup_free_ char *file = NULL;

                assert_true(asprintf(&file, "first/%s/x.conf", others[i]) > 0);
                put(file, "[Service]\nUser=root\n");
                assert_widened(NULL);
                drop(file);
        }
        put("first/ssi-a-b.service.d/x.conf~", "[Service]\nUser=root\n");
        assert_widened(NULL);
}

/* One folder overrides the next, and in it the longer name the shorter; the type comes last. */
static void test_override(void **state)
{
        _cleanup_free_ char *mask = path_of("first/ssi-.service.d/x.conf");

        put("second/ssi-a-b.service.d/x.conf", "[Service]\nUser=root\n");
        put("first/service.d/x.conf", "[Service]\nNice=5\n");
        assert_widened("second/ssi-a-b.service.d/x.conf sets User=");
        put("first/ssi-.service.d/x.conf", "[Service]\nNice=5\n");
        assert_widened(NULL);
        drop("first/ssi-.service.d/x.conf");
        assert_int_equal(symlink("/dev/null", mask), 0);
        assert_widened(NULL);
        put("first/ssi-a-.service.d/x.conf", "[Service]\nGroup=disk\n");
        assert_widened("first/ssi-a-.service.d/x.conf sets Group=");
        drop("first/ssi-a-.service.d/x.conf");
        drop("first/ssi-.service.d/x.conf");
        assert_int_equal(symlink("/nowhere", mask), 0);
        assert_widened("cannot be read");
        drop("first/ssi-.service.d/x.conf");
        assert_int_equal(symlink("/dev/zero", mask), 0);
        assert_widened("not a regular file");
        drop("first/ssi-.service.d/x.conf");
        drop("first/service.d/x.conf");
        drop("second/ssi-a-b.service.d/x.conf");
}

static char *unit_of(const char *more)
{
        _cleanup_(metadata_freep) Metadata *m = NULL;
        _cleanup_free_ char *text = NULL;
        char *unit;

        assert_true(
                asprintf(
                        &text,
                        "#!/bin/bash\n# name: A b\n# description: d\n# version: 1\n# schedule: hourly\n# timeout: 20\n%s",
                        more) > 0);
        assert_int_equal(metadata_parse(text, strlen(text), &m), 0);
        unit = unit_file_service(&(UnitSpec){ .metadata = m, .timeout_usec = 20 * USEC_PER_SEC });
        assert_non_null(unit);
        return unit;
}

static void assert_unit_widened(const char *unit, const char *more, const char *part)
{
        _cleanup_free_ char *text = NULL, *why = NULL;

        assert_true(asprintf(&text, "%s%s", unit, more) > 0);
        assert_int_equal(unit_text_widens("a-b", text, &why), part != NULL);
        if (part && !strstr(why, part))
                fail_msg("not \"%s\": %s", part, why);
}

static void test_unit(void **state)
{
        _cleanup_free_ char *plain = unit_of(""), *root = unit_of("# user: root\n"), *off = unit_of("# sandbox: off\n");

        assert_unit_widened(plain, "", NULL);
        assert_unit_widened(plain, "Nice=5\n", NULL);
        assert_unit_widened(plain, "User=root\n", "sets User=");
        assert_unit_widened(plain, "User=_ssi-a-b\n", NULL);
        assert_unit_widened(plain, "User=ssi-a-b\n", "sets User=");
        assert_unit_widened(plain, "ExecStart=+" SSI_SCRIPT_DIR "/a-b\n", "sets ExecStart=");
        assert_unit_widened(plain, "AmbientCapabilities=CAP_KILL\n", "sets AmbientCapabilities=");
        assert_unit_widened(plain, "DynamicUser=no\n", "sets DynamicUser=");
        assert_unit_widened(plain, "DynamicUser=yes\n", NULL);
        assert_unit_widened(plain, "CapabilityBoundingSet=CAP_KILL\n", "sets CapabilityBoundingSet=");
        assert_unit_widened(plain, "NoNewPrivileges=no\n", "sets NoNewPrivileges=");
        assert_unit_widened(root, "", "lacks DynamicUser=yes");
        assert_unit_widened(off, "", "lacks DynamicUser=yes");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_settings), cmocka_unit_test(test_lxc),  cmocka_unit_test(test_folders),
                cmocka_unit_test(test_override), cmocka_unit_test(test_unit),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
