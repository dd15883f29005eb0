/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "test.h"
#include "fileset.h"

typedef struct Folders {
        char root[64], scripts[80], units[80];
} Folders;

static int setup(void **state)
{
        Folders *f = calloc(1, sizeof(*f));

        strcpy(f->root, "/tmp/ssi-test-XXXXXX");
        if (!mkdtemp(f->root))
                return -1;
        snprintf(f->scripts, sizeof(f->scripts), "%s/scripts", f->root);
        snprintf(f->units, sizeof(f->units), "%s/units", f->root);
        *state = f;
        return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static int teardown(void **state)
{
        Folders *f = *state;

        nftw(f->root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        free(f);
        return 0;
}

static void make_content(const char *tag, char buf[3][32], FilesetContent ret[_FILESET_MAX])
{
        for (size_t i = 0; i < _FILESET_MAX; i++) {
                ret[i].size = (size_t) snprintf(buf[i], 32, "%s %zu", tag, i);
                ret[i].data = buf[i];
        }
}

static int install(const Folders *f, const char *tag, Fileset **ret)
{
        FilesetContent content[_FILESET_MAX];
        char buf[3][32];

        make_content(tag, buf, content);
        return fileset_install(f->scripts, f->units, "x", content, ret);
}

/* tag NULL: none of the files are there. In either case nothing else is. */
static void assert_files(const Folders *f, const char *tag)
{
        const char *const names[_FILESET_MAX] = { "scripts/x", "units/ssi-x.service", "units/ssi-x.timer" };
        const char *const folders[] = { f->scripts, f->units };
        size_t n_entries = 0;

        for (size_t i = 0; i < _FILESET_MAX; i++) {
                char path[128], expected[32], found[32] = "";
                int fd;

                snprintf(path, sizeof(path), "%s/%s", f->root, names[i]);
                fd = open(path, O_RDONLY);
                if (!tag) {
                        assert_int_equal(fd, -1);
                        continue;
                }
                assert_true(fd >= 0);
                snprintf(expected, sizeof(expected), "%s %zu", tag, i);
                assert_true(read(fd, found, sizeof(found) - 1) > 0);
                assert_string_equal(found, expected);
                close(fd);
        }
        for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
                DIR *d = opendir(folders[i]);

                for (struct dirent *e; d && (e = readdir(d));)
                        n_entries += !streq(e->d_name, ".") && !streq(e->d_name, "..");
                if (d)
                        closedir(d);
        }
        assert_int_equal(n_entries, tag ? _FILESET_MAX : 0);
}

static void test_install_commit_remove(void **state)
{
        _cleanup_(fileset_freep) Fileset *a = NULL, *b = NULL, *c = NULL;
        const Folders *f = *state;

        assert_int_equal(install(f, "one", &a), 0);
        assert_int_equal(fileset_commit(a), 0);
        assert_files(f, "one");

        assert_int_equal(install(f, "two", &b), 0);
        assert_int_equal(fileset_commit(b), 0);
        assert_files(f, "two");

        assert_int_equal(fileset_begin_removal(f->scripts, f->units, "x", &c), 0);
        assert_int_equal(fileset_put_aside(c), 0);
        assert_int_equal(fileset_commit(c), 0);
        assert_files(f, NULL);
}

static void test_rollback(void **state)
{
        _cleanup_(fileset_freep) Fileset *a = NULL, *b = NULL, *c = NULL;
        const Folders *f = *state;

        assert_int_equal(install(f, "one", &a), 0);
        assert_int_equal(fileset_rollback(a), 0);
        assert_files(f, NULL);

        assert_int_equal(install(f, "one", &b), 0);
        assert_int_equal(fileset_commit(b), 0);
        assert_int_equal(install(f, "two", &c), 0);
        assert_int_equal(fileset_rollback(c), 0);
        assert_files(f, "one");
}

/* Begun, and with a part of the files aside. */
static void test_rollback_of_a_removal(void **state)
{
        _cleanup_(fileset_freep) Fileset *a = NULL, *b = NULL, *c = NULL;
        const Folders *f = *state;

        assert_int_equal(install(f, "one", &a), 0);
        assert_int_equal(fileset_commit(a), 0);
        assert_int_equal(fileset_begin_removal(f->scripts, f->units, "x", &b), 0);
        assert_int_equal(fileset_rollback(b), 0);
        assert_files(f, "one");
        assert_int_equal(fileset_begin_removal(f->scripts, f->units, "x", &c), 0);
        assert_int_equal(fileset_put_aside(c), 0);
        assert_int_equal(fileset_rollback(c), 0);
        assert_files(f, "one");
}

static void on_recovered(const char *slug, bool removed, void *userdata)
{
        assert_string_equal(slug, "x");
        *(int *) userdata = removed;
}

static void test_recover(void **state)
{
        _cleanup_(fileset_freep) Fileset *a = NULL, *b = NULL, *c = NULL, *d = NULL;
        const Folders *f = *state;
        int removed = -1;

        /* A new service, not committed: as if it had never been. */
        assert_int_equal(install(f, "one", &a), 0);
        assert_int_equal(fileset_recover(f->scripts, f->units, on_recovered, &removed), 0);
        assert_int_equal(removed, true);
        assert_files(f, NULL);

        /* A replacement, not committed: the old one is back. */
        assert_int_equal(install(f, "one", &b), 0);
        assert_int_equal(fileset_commit(b), 0);
        assert_int_equal(install(f, "two", &c), 0);
        assert_int_equal(fileset_recover(f->scripts, f->units, on_recovered, &removed), 0);
        assert_int_equal(removed, false);
        assert_files(f, "one");

        /* A removal, not committed: it is finished. */
        assert_int_equal(fileset_begin_removal(f->scripts, f->units, "x", &d), 0);
        assert_int_equal(fileset_put_aside(d), 0);
        assert_int_equal(fileset_recover(f->scripts, f->units, on_recovered, &removed), 0);
        assert_int_equal(removed, true);
        assert_files(f, NULL);

        /* Nothing to do: nobody is called. */
        removed = -1;
        assert_int_equal(fileset_recover(f->scripts, f->units, on_recovered, &removed), 0);
        assert_int_equal(removed, -1);
}

/* A child replaces the service over and over and is killed at a random instant: what stands is the old or the new. */
static void test_killed_anywhere(void **state)
{
        _cleanup_(fileset_freep) Fileset *a = NULL;
        const Folders *f = *state;
        int removed;

        assert_int_equal(install(f, "one", &a), 0);
        assert_int_equal(fileset_commit(a), 0);
        srand(1);
        for (int i = 0; i < 100; i++) {
                char path[128], found[16] = "";
                pid_t pid = fork();
                int fd;

                assert_true(pid >= 0);
                if (pid == 0)
                        for (bool two = true;; two = !two) {
                                Fileset *s = NULL;

                                if (install(f, two ? "two" : "one", &s) < 0 || fileset_commit(s) < 0)
                                        _exit(1);
                                fileset_free(s);
                        }
                usleep((useconds_t) (rand() % 5000));
                assert_int_equal(kill(pid, SIGKILL), 0);
                waitpid(pid, NULL, 0);
                assert_int_equal(fileset_recover(f->scripts, f->units, on_recovered, &removed), 0);

                snprintf(path, sizeof(path), "%s/x", f->scripts);
                fd = open(path, O_RDONLY);
                assert_true(fd >= 0);
                assert_true(read(fd, found, 3) == 3);
                close(fd);
                assert_files(f, found);
        }
}

static void test_bad_slug(void **state)
{
        const FilesetContent content[_FILESET_MAX] = {};
        const Folders *f = *state;
        Fileset *s = NULL;

        assert_int_equal(fileset_install(f->scripts, f->units, "../x", content, &s), -EINVAL);
        assert_null(s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_install_commit_remove, setup, teardown),
                cmocka_unit_test_setup_teardown(test_rollback, setup, teardown),
                cmocka_unit_test_setup_teardown(test_rollback_of_a_removal, setup, teardown),
                cmocka_unit_test_setup_teardown(test_recover, setup, teardown),
                cmocka_unit_test_setup_teardown(test_killed_anywhere, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bad_slug, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
