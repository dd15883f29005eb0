/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include <limits.h>

#include "shared/util.h"

static void test_utf8_is_valid(void **state)
{
        assert_true(utf8_is_valid("h\xc3\xa9llo", 6));
        assert_true(utf8_is_valid("\xf0\x9f\x98\x80", 4));
        assert_false(utf8_is_valid("\xc0\x80", 2));         /* overlong NUL */
        assert_false(utf8_is_valid("\xed\xa0\x80", 3));     /* surrogate */
        assert_false(utf8_is_valid("\xf4\x90\x80\x80", 4)); /* past U+10FFFF */
        assert_false(utf8_is_valid("\xe2\x82", 2));         /* cut short */
}

static void assert_sanitized(const char *in, size_t n, size_t max, const char *out, bool expect_cut)
{
        _cleanup_free_ char *s = NULL;
        bool cut;

        s = utf8_sanitize(in, n, max, &cut);
        assert_non_null(s);
        assert_string_equal(s, out);
        assert_int_equal(cut, expect_cut);
}

static void test_utf8_sanitize(void **state)
{
        assert_sanitized("plain", 5, 64, "plain", false);
        assert_sanitized("a\tb", 3, 64, "a b", false);
        assert_sanitized("a\0b", 3, 64,
                         "a\xef\xbf\xbd"
                         "b",
                         false);
        assert_sanitized("a\xff", 2, 64, "a\xef\xbf\xbd", false);
        assert_sanitized("\x1b[31mred\x1b[0m", 12, 64, "red", false);
        assert_sanitized("\x1b]0;title\axyz", 13, 64, "xyz", false);
        assert_sanitized("\x1b[31", 4, 64, "", false);
        assert_sanitized("abc", 3, 2, "ab", true);
        /* Never cut inside a character. */
        assert_sanitized("a\xc3\xa9", 3, 2, "a", true);
        assert_sanitized("", 0, 8, "", false);
}

static void test_parse_unsigned(void **state)
{
        static const char *const bad[] = { "", " 1", "+1", "-1", "1 ", "0x1", "1.0", "11", "99999999999999999999" };
        unsigned v = 7;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(parse_unsigned(bad[i], 10, &v), -EINVAL);
        assert_int_equal(v, 7);
        assert_int_equal(parse_unsigned("10", 10, &v), 0);
        assert_int_equal(v, 10);
        assert_int_equal(parse_unsigned("007", 10, &v), 0);
        assert_int_equal(v, 7);
        assert_int_equal(parse_unsigned("4294967295", UINT_MAX, &v), 0);
        assert_true(v == UINT_MAX);
        assert_int_equal(parse_unsigned("4294967296", UINT_MAX, &v), -EINVAL);
}

static void test_free_and_strdup(void **state)
{
        _cleanup_free_ char *s = NULL;

        assert_int_equal(free_and_strdup(&s, "a"), 1);
        assert_int_equal(free_and_strdup(&s, "a"), 0);
        assert_int_equal(free_and_strdup(&s, NULL), 1);
        assert_null(s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_utf8_is_valid),
                cmocka_unit_test(test_utf8_sanitize),
                cmocka_unit_test(test_parse_unsigned),
                cmocka_unit_test(test_free_and_strdup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
