/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "model/rules.h"
#include "notify/delivery.h"
#include "notify/mail-header.h"

static void test_addresses(void **state)
{
        static const char *const good[] = { "a@b", "first.last+tag@example.org", "\xc3\xbc@example.org" };
        static const char *const bad[] = { "",      "a",       "@b",      "a@",   "a@b@c", "a b@c", "a@b\r\nDATA",
                                           "<a@b>", "a@b,c@d", "\"a\"@b", "a@b;", "a@\xff" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(email_is_mailbox(good[i]));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(email_is_mailbox(bad[i]));
}

static void expect(const char *text, const char *want)
{
        _cleanup_free_ char *got = mail_header_encode(text);

        assert_string_equal(got, want);
}

static void test_headers(void **state)
{
        _cleanup_free_ char *text = NULL, *got = NULL;

        expect("", "");
        expect("[SSI] OK: Root Disk on web-01", "[SSI] OK: Root Disk on web-01");
        expect("a\r\nBcc: x@y", "=?UTF-8?B?YQ0KQmNjOiB4QHk=?=");
        expect("=?UTF-8?B?YQ==?=", "=?UTF-8?B?PT9VVEYtOD9CP1lRPT0/PQ==?=");
        expect("\xc3\xbc", "=?UTF-8?B?w7w=?=");

        /* Words are short, and no character is cut in two: 41 letters, and then one of four bytes. */
        assert_return_code(asprintf(&text, "%041d\xf0\x9f\x98\x80%0200d", 0, 0), errno);
        got = mail_header_encode(text);
        for (char *rest, *line = strtok_r(got, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest))
                assert_in_range(strlen(line), 1, 76);
        got[0] = '\0';
}

static void test_config(void **state)
{
        Config config = {
                .smtp_url = (char *) "smtps://ssi%40x:se%2Fcret@mail.example.org:465",
                .smtp_from = (char *) "SSI <ssi@example.org>",
                .public_url = (char *) "https://ssi.example.org",
        };
        static const struct {
                const char *url;
                bool local;
        } urls[] = {
                { "smtp://localhost", true },
                { "smtp://LocalHost:25", true },
                { "smtp://127.0.0.1", true },
                { "smtp://127.5.5.5:25", true },
                { "smtp://[::1]:25", true },
                { "smtp://user:secret@localhost", true },
                { "smtp://localhost.example.org", false },
                { "smtp://localhosts", false },
                { "smtp://127.example.org", false },
                { "smtp://127.0.0.1.example.org", false },
                { "smtp://localhost@mail.example.org", false },
                { "smtp://[::2]", false },
                { "smtp://mail.example.org", false },
        };
        DeliveryConfig c = {};

        assert_int_equal(delivery_config_load(&config, &c), 0);
        assert_string_equal(c.smtp_url, "smtps://mail.example.org:465/");
        assert_string_equal(c.smtp_user, "ssi@x");
        assert_string_equal(c.smtp_password, "se/cret");
        assert_string_equal(c.public_url, "https://ssi.example.org");
        assert_false(c.allow_private);
        assert_true(delivery_has_mail(&c));
        delivery_config_done(&c);

        /* Without TLS to this machine only, and not to a host whose name begins like it. */
        for (size_t i = 0; i < ELEMENTSOF(urls); i++) {
                config.smtp_url = (char *) urls[i].url;
                assert_int_equal(delivery_config_load(&config, &c), 0);
                if (c.smtp_local != urls[i].local)
                        fail_msg("%s", urls[i].url);
                delivery_config_done(&c);
        }

        config.smtp_url = (char *) "smtp://[";
        assert_int_equal(delivery_config_load(&config, &c), -EINVAL);
        config.smtp_url = NULL;
        assert_int_equal(delivery_config_load(&config, &c), 0);
        assert_false(delivery_has_mail(&c));
        delivery_config_done(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_headers),
                cmocka_unit_test(test_config),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
