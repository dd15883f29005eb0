/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "credentials.h"

static int setup(void **state)
{
        char *dir = strdup("/tmp/ssi-test-credentials-XXXXXX");

        *state = dir;
        return dir && mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
        int r = rmdir(*state);

        free(*state);
        return r;
}

static char *file_path(void **state)
{
        char *path;

        assert_true(asprintf(&path, "%s/credentials.json", (const char *) *state) > 0);
        return path;
}

static void write_file(void **state, const char *text, mode_t mode)
{
        _cleanup_free_ char *path = file_path(state);
        int fd;

        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
        assert_true(fd >= 0);
        assert_int_equal(fchmod(fd, mode), 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
}

static void test_round_trip(void **state)
{
        _cleanup_free_ char *path = file_path(state);
        Credentials in = { .server_url = (char *) "https://a",
                           .agent_id = (char *) "agt-1",
                           .api_key = (char *) "k\"ey",
                           .ca = (char *) "PEM\n" },
                    out = {};
        struct stat st;

        assert_int_equal(credentials_load(*state, &out), -ENOENT);
        assert_int_equal(credentials_remove(*state), -ENOENT);
        assert_int_equal(credentials_save(*state, &in), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        in.ca = NULL;
        assert_int_equal(credentials_save(*state, &in), 0);
        assert_int_equal(credentials_load(*state, &out), 0);
        assert_string_equal(out.server_url, "https://a");
        assert_string_equal(out.agent_id, "agt-1");
        assert_string_equal(out.api_key, "k\"ey");
        assert_null(out.ca);
        credentials_done(&out);
        assert_int_equal(credentials_remove(*state), 0);
        assert_int_equal(credentials_load(*state, &out), -ENOENT);
}

/* A new key is saved beside the old one, and takes its place or not. */
static void test_next_key(void **state)
{
        Credentials in = { .server_url = (char *) "https://a",
                           .agent_id = (char *) "agt-1",
                           .api_key = (char *) "old" },
                    out = {};

        in.next_api_key = (char *) "new";
        assert_int_equal(credentials_save(*state, &in), 0);
        for (int accepted = 0; accepted < 2; accepted++) {
                assert_int_equal(credentials_load(*state, &out), 0);
                assert_string_equal(out.api_key, "old");
                assert_string_equal(out.next_api_key, "new");
                credentials_settle_key(&out, accepted);
                credentials_settle_key(&out, !accepted); /* there is none any more */
                assert_string_equal(out.api_key, accepted ? "new" : "old");
                assert_null(out.next_api_key);
                if (accepted)
                        assert_int_equal(credentials_save(*state, &out), 0);
                credentials_done(&out);
        }
        assert_int_equal(credentials_load(*state, &out), 0);
        assert_string_equal(out.api_key, "new");
        assert_null(out.next_api_key);
        credentials_done(&out);
        assert_int_equal(credentials_remove(*state), 0);
}

static void test_damaged(void **state)
{
        static const char *const table[] = {
                "",
                "{",
                "[]",
                "{}",
                "{\"server_url\":\"https://a\",\"agent_id\":\"a\"}",
                "{\"server_url\":1,\"agent_id\":\"a\",\"api_key\":\"k\"}",
        };
        Credentials out;

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                write_file(state, table[i], 0600);
                assert_int_equal(credentials_load(*state, &out), -EBADMSG);
        }
        write_file(state, "{\"server_url\":\"https://a\",\"agent_id\":\"a\",\"api_key\":\"k\"}", 0640);
        assert_int_equal(credentials_load(*state, &out), -EPERM);
        assert_int_equal(credentials_remove(*state), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
                cmocka_unit_test_setup_teardown(test_next_key, setup, teardown),
                cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
