/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "test.h"
#include "tls/tls.h"
#include "shared/tls/issue.h"

static char dir[] = "/tmp/test-http-tls-XXXXXX";

static void path_of(const char *name, char path[static 128])
{
        snprintf(path, 128, "%s/tls/%s", dir, name);
}

static void assert_mode(const char *name, mode_t mode)
{
        char path[128];
        struct stat st;

        path_of(name, path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, mode);
}

static ino_t inode(const char *name)
{
        char path[128];
        struct stat st;

        path_of(name, path);
        assert_int_equal(stat(path, &st), 0);
        return st.st_ino;
}

static void overwrite(const char *name, const char *content)
{
        char path[128];
        FILE *f;

        path_of(name, path);
        f = fopen(path, "we");
        assert_non_null(f);
        fputs(content, f);
        fclose(f);
}

static int ensure(void)
{
        TlsFiles f = {};
        char path[128];
        int r;

        path_of("", path);
        path[strlen(path) - 1] = '\0';
        r = tls_files_ensure(path, false, &f);
        if (r >= 0) {
                path_of("server.pem", path);
                assert_string_equal(f.cert, path);
                assert_string_equal(f.key, path);
        }
        tls_files_done(&f);
        return r;
}

static void test_first_start_and_later(void **state)
{
        ino_t ca, server;

        umask(0077);
        assert_int_equal(ensure(), 1);
        assert_mode("", 0755);
        assert_mode("ca.pem", 0644);
        assert_mode("ca.key", 0600);
        assert_mode("server.pem", 0600);
        ca = inode("ca.pem");
        server = inode("server.pem");
        assert_int_equal(ensure(), 0);
        assert_int_equal(inode("server.pem"), server);
        /* A broken certificate is made again, under the same CA. */
        overwrite("server.pem", "nonsense");
        assert_int_equal(ensure(), 1);
        assert_int_equal(inode("ca.pem"), ca);
        assert_int_equal(ensure(), 0);
        /* What a crash between two files leaves. */
        overwrite("ca.key", "");
        assert_int_equal(ensure(), 1);
        assert_int_not_equal(inode("ca.pem"), ca);
        assert_int_equal(ensure(), 0);
}

static void test_names(void **state)
{
        _cleanup_(tls_names_done) TlsNames names = {}, others = {};
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL, *ca_key = NULL;
        _cleanup_(x509_freep) X509 *ca = NULL, *cert = NULL;

        assert_int_equal(tls_names_of_host(false, &names), 0);
        assert_true(names.n >= 3);
        assert_int_equal(tls_key_new(&ca_key), 0);
        assert_int_equal(tls_ca_new(ca_key, &ca), 0);
        assert_int_equal(X509_check_ca(ca), 1);
        assert_int_equal(X509_get_pathlen(ca), 0);
        assert_int_equal(X509_get_extended_key_usage(ca), XKU_SSL_SERVER);
        assert_int_equal(tls_key_new(&key), 0);
        assert_int_equal(tls_server_new(&names, key, ca, ca_key, &cert), 0);
        assert_int_equal(X509_check_ca(cert), 0);
        assert_int_equal(X509_verify(cert, ca_key), 1);
        assert_true(tls_names_covered_by(&names, cert));
        others.names[0] = strdup("203.0.113.9");
        others.is_address[0] = true;
        others.n = 1;
        assert_false(tls_names_covered_by(&others, cert));
}

static void test_given_by_the_administrator(void **state)
{
        _cleanup_(tls_files_done) TlsFiles f = {}, g = {};
        char path[128];

        unsetenv("CREDENTIALS_DIRECTORY");
        assert_int_equal(tls_files_find(NULL, NULL, &f), 0);
        assert_int_equal(tls_files_find("/a.pem", NULL, &f), -EINVAL);
        assert_int_equal(tls_files_find("/a.pem", "/a.key", &f), 1);
        assert_string_equal(f.cert, "/a.pem");
        assert_string_equal(f.key, "/a.key");
        path_of("", path);
        setenv("CREDENTIALS_DIRECTORY", path, true);
        assert_int_equal(tls_files_find(NULL, NULL, &g), 0);
        overwrite("tls.cert", "");
        assert_int_equal(tls_files_find(NULL, NULL, &g), -EINVAL);
        overwrite("tls.key", "");
        assert_int_equal(tls_files_find(NULL, NULL, &g), 1);
        assert_non_null(endswith(g.cert, "/tls.cert"));
}

static int setup(void **state)
{
        return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
        const char *names[] = { "ca.pem", "ca.key", "server.pem", "tls.cert", "tls.key", "" };
        char path[128];

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                path_of(names[i], path);
                assert_int_equal(remove(path), 0);
        }
        return rmdir(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_first_start_and_later),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_given_by_the_administrator),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
