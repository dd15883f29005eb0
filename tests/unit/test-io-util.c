/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "shared/io-util.h"

static int folder(char path[static 32])
{
        strcpy(path, "/tmp/ssi-test-io-XXXXXX");
        assert_non_null(mkdtemp(path));
        return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void test_read(void **state)
{
        _cleanup_free_ char *whole = NULL, *part = NULL;
        _cleanup_close_ int dir = -EBADF, fd = -EBADF;
        char path[32];
        size_t n;

        dir = folder(path);
        assert_int_equal(write_file_at(dir, "f", 0640, "abc\0def", 7), 0);
        fd = openat(dir, "f", O_RDONLY | O_CLOEXEC);
        assert_int_equal(read_at_most(fd, 4, &part, &n), 0);
        assert_int_equal(n, 4);
        assert_memory_equal(part, "abc\0", 5);
        assert_int_equal(read_at_most(fd, 100, &whole, &n), 0);
        assert_int_equal(n, 3);
        assert_string_equal(whole, "def");
        unlinkat(dir, "f", 0);
        rmdir(path);
}

/* A link that somebody put there is replaced, not followed, and the mode does not depend on the umask. */
static void test_replace(void **state)
{
        _cleanup_close_ int dir = -EBADF;
        char path[32];
        struct stat st;

        dir = folder(path);
        umask(0077);
        assert_int_equal(symlinkat("/etc/passwd", dir, "f"), 0);
        assert_int_equal(symlinkat("/etc/passwd", dir, ".f.new"), 0);
        assert_int_equal(replace_file_at(dir, "f", 0644, "new", 3), 0);
        assert_int_equal(fstatat(dir, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(S_ISREG(st.st_mode));
        assert_int_equal(st.st_mode & 07777, 0644);
        assert_int_equal(st.st_size, 3);
        assert_int_equal(faccessat(dir, ".f.new", F_OK, AT_SYMLINK_NOFOLLOW), -1);
        unlinkat(dir, "f", 0);
        rmdir(path);
}

/* Nothing is left of what could not be written. */
static void test_failure(void **state)
{
        _cleanup_close_ int dir = -EBADF;
        char path[32], name[300];

        dir = folder(path);
        memset(name, 'x', sizeof(name));
        name[255] = '\0';
        assert_int_equal(replace_file_at(dir, name, 0600, "x", 1), -ENAMETOOLONG);
        assert_int_equal(mkdirat(dir, "f", 0700), 0);
        assert_int_equal(replace_file_at(dir, "f", 0600, "x", 1), -EISDIR);
        assert_int_equal(faccessat(dir, ".f.new", F_OK, AT_SYMLINK_NOFOLLOW), -1);
        unlinkat(dir, "f", AT_REMOVEDIR);
        assert_int_equal(rmdir(path), 0);
}

static void test_credential(void **state)
{
        _cleanup_free_ char *found = NULL;
        char path[32], *none = NULL;
        _cleanup_close_ int dir = -EBADF;

        dir = folder(path);
        unsetenv("CREDENTIALS_DIRECTORY");
        assert_int_equal(credential_path("c", &none), 0);
        setenv("CREDENTIALS_DIRECTORY", "relative", 1);
        assert_int_equal(credential_path("c", &none), 0);
        setenv("CREDENTIALS_DIRECTORY", path, 1);
        assert_int_equal(credential_path("c", &none), 0);
        assert_null(none);
        assert_int_equal(write_file_at(dir, "c", 0400, "x", 1), 0);
        assert_int_equal(credential_path("c", &found), 1);
        assert_non_null(strstr(found, path));
        unlinkat(dir, "c", 0);
        rmdir(path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_read),
                cmocka_unit_test(test_replace),
                cmocka_unit_test(test_failure),
                cmocka_unit_test(test_credential),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
