/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/stat.h>

#include "admin/first-host.h"
#include "admin/join-client.h"
#include "admin/join-files.h"
#include "admin/renew-client.h"
#include "config/share.h"
#include "db/local.h"
#include "shared/tls/issue.h"
#include "test.h"

#define PIN "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static char dir[] = "/tmp/test-join-client-XXXXXX";

static char *read_text(const char *name)
{
        char path[128], *text = NULL;
        size_t n = 0;
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        f = fopen(path, "re");
        if (!f)
                return NULL;
        assert_true(getdelim(&text, &n, '\0', f) >= 0);
        fclose(f);
        return text;
}

static bool is_there(const char *name)
{
        _cleanup_free_ char *text = read_text(name);

        return text;
}

static void test_addresses(void **state)
{
        static const char *const bad[] = { "",
                                           "first:8443",
                                           "http://first:8443",
                                           "https://",
                                           "https://:8443",
                                           "https://a@first",
                                           "https://first/path",
                                           "https://first?x",
                                           "https://first\nx" };

        assert_true(first_host_address_is_valid("https://first"));
        assert_true(first_host_address_is_valid("https://first.example.org:8443"));
        assert_true(first_host_address_is_valid("https://[2001:db8::1]:8443"));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(first_host_address_is_valid(bad[i]));
}

static void test_when_a_certificate_is_due(void **state)
{
        assert_int_equal(renew_due(1000, 1300), 1200);
        assert_int_equal(renew_due(0, 397), 265);
        assert_int_equal(renew_due(1000, 1000), 1000);
        assert_int_equal(renew_due(1000, 900), 1000);
}

/* What curl would read as a file, or as several keys, is none. */
static void test_pins(void **state)
{
        static const char *const bad[] = { "",
                                           "/etc/ssl/x.pem",
                                           "sha256//",
                                           "sha256//AAAA",
                                           PIN ";" PIN,
                                           PIN "A",
                                           "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" };

        assert_true(join_pin_is_valid(PIN));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(join_pin_is_valid(bad[i]));
}

static void test_local_databases(void **state)
{
        static const char *const local[] = { "",
                                             "dbname=ssi",
                                             "host=/run/ssi-postgres dbname=ssi user=ssi-server",
                                             "postgresql:///ssi",
                                             "postgresql://ssi@localhost/ssi",
                                             "postgresql://ssi@127.0.0.1:6432/ssi",
                                             "postgresql://ssi@[::1]/ssi",
                                             "host=localhost,/run/x",
                                             "host=db.example.org hostaddr=127.0.0.1" };
        static const char *const remote[] = { "postgresql://ssi@db.example.org/ssi",
                                              "postgresql://ssi@localhost,db2/ssi", "host=192.0.2.1",
                                              "host=localhost hostaddr=192.0.2.1", "host=localhost.example.org" };

        unsetenv("PGHOST");
        unsetenv("PGHOSTADDR");
        for (size_t i = 0; i < ELEMENTSOF(local); i++)
                assert_true(db_is_local(local[i]));
        for (size_t i = 0; i < ELEMENTSOF(remote); i++)
                assert_false(db_is_local(remote[i]));
}

static void test_values(void **state)
{
        _cleanup_json_ json_object *all = NULL, *own = NULL;
        Config c = {};

        setenv("SSI_HISTORY_DAYS", "30", true);
        setenv("SSI_QUOTA_RESULTS", "60:600", true);
        assert_int_equal(config_load("/nonexistent", &c), 0);
        assert_int_equal(config_shared(&c, &all), 0);
        assert_int_equal(config_shared_own(&c, &own), 0);
        assert_string_equal(json_get_string(all, "SSI_HISTORY_DAYS"), "30");
        assert_string_equal(json_get_string(all, "SSI_QUOTA_RESULTS"), "60:600");
        assert_string_equal(json_get_string(all, "SSI_HISTORY"), "all");
        assert_string_equal(json_get_string(all, "SSI_PUBLIC_URL"), "");
        assert_string_equal(json_get_string(all, "SSI_ALLOW_PRIVATE_TARGETS"), "no");
        assert_null(json_get_string(all, "SSI_TLS_KEY"));
        assert_int_equal(json_object_object_length(own), 0);
        /* Each is a value that its setting takes. */
        json_object_object_foreach(all, name, value)
        {
                if (!config_is_same_value(name, json_object_get_string(value), json_object_get_string(value)))
                        fail_msg("%s=%s", name, json_object_get_string(value));
        }
        assert_true(config_is_same_value("SSI_HISTORY_DAYS", "", "7"));
        assert_false(config_is_same_value("SSI_HISTORY_DAYS", "8", "7"));
        assert_false(config_is_same_value("SSI_HISTORY_DAYS", "x", "x"));
        assert_false(config_is_same_value("SSI_TLS_KEY", "/a", "/a"));
        config_done(&c);
        unsetenv("SSI_HISTORY_DAYS");
        unsetenv("SSI_QUOTA_RESULTS");
}

static void test_files(void **state)
{
        _cleanup_json_ json_object *settings = json_object_new_object(), *own = json_object_new_object();
        _cleanup_(evp_pkey_freep) EVP_PKEY *ca_key = NULL, *key = NULL;
        _cleanup_free_ char *conf = NULL, *address = NULL;
        _cleanup_(tls_names_done) TlsNames names = {};
        _cleanup_(x509_freep) X509 *ca = NULL, *cert = NULL;
        char path[128];
        struct stat st;

        assert_non_null(mkdtemp(dir));
        assert_false(join_has_left(dir));
        assert_int_equal(json_add_string(settings, "SSI_DATABASE_URL", "host=db password='a\"b\\c$d`'"), 0);
        assert_int_equal(json_add_string(settings, "SSI_HISTORY_DAYS", "7"), 0);
        assert_int_equal(json_add_string(settings, "SSI_STALE_GRACE", "60"), 0);
        assert_int_equal(json_add_string(own, "SSI_STALE_GRACE", "60"), 0);
        assert_int_equal(tls_key_new(&ca_key), 0);
        assert_int_equal(tls_ca_new(ca_key, &ca), 0);
        assert_int_equal(tls_key_new(&key), 0);
        assert_int_equal(tls_names_add(&names, "b.example.org"), 0);
        assert_int_equal(tls_server_new(&names, key, ca, ca_key, &cert), 0);

        JoinFiles f = {
                .address = "https://first:8443",
                .settings = settings,
                .own_settings = own,
                .key = key,
                .cert = cert,
                .ca = ca,
                .push_key = "a key\n",
        };

        assert_int_equal(join_files_write(dir, &f), 0);
        conf = read_text(JOIN_CONF);
        assert_non_null(strstr(conf, "SSI_DATABASE_URL=\"host=db password='a\\\"b\\\\c\\$d\\`'\"\n"));
        /* Neither a default nor what the administrator has set. */
        assert_null(strstr(conf, "SSI_HISTORY_DAYS"));
        assert_null(strstr(conf, "SSI_STALE_GRACE"));
        assert_non_null(strstr(conf, "SSI_PUSH_KEY="));
        assert_non_null(strstr(conf, "SSI_TLS_CERT="));
        assert_int_equal(join_read_address(dir, &address), 0);
        assert_string_equal(address, "https://first:8443");
        snprintf(path, sizeof(path), "%s/%s", dir, JOIN_CONF);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);

        assert_int_equal(join_undo(dir), 0);
        assert_true(join_has_left(dir));
        free(TAKE_PTR(address));
        assert_int_equal(join_read_address(dir, &address), 0);
        assert_null(address);
        assert_false(is_there(JOIN_CONF) || is_there("server.pem") || is_there("push.pem") || is_there("ca.pem"));

        /* Comes back. A line break would be another setting. */
        assert_int_equal(join_files_write(dir, &f), 0);
        assert_false(join_has_left(dir));
        assert_int_equal(join_undo(dir), 0);
        assert_int_equal(json_add_string(settings, "SSI_DATABASE_URL", "host=db\nSSI_TLS_KEY=x"), 0);
        assert_int_equal(join_files_write(dir, &f), -EINVAL);
        assert_true(join_has_left(dir));
        assert_int_equal(join_undo(dir), 0);
        snprintf(path, sizeof(path), "%s/%s", dir, JOIN_LEFT);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_addresses), cmocka_unit_test(test_when_a_certificate_is_due),
                cmocka_unit_test(test_pins),      cmocka_unit_test(test_local_databases),
                cmocka_unit_test(test_values),    cmocka_unit_test(test_files),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
