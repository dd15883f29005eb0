/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include "text.h"

static void assert_cut(const char *s, unsigned width, const char *expected)
{
        _cleanup_free_ char *cut = text_cut(s, width);

        assert_non_null(cut);
        assert_string_equal(cut, expected);
        assert_true(text_width(cut) <= width);
}

static void test_width(void **state)
{
        assert_int_equal(text_width(""), 0);
        assert_int_equal(text_width("abc"), 3);
        assert_int_equal(text_width("Größe"), 5);
        assert_int_equal(text_width("日本"), 4);
        assert_int_equal(text_width("e\u0301"), 1); /* a combining accent takes no column */
        assert_int_equal(text_width("\xff\xfe"), 2);
        assert_int_equal(text_width("a\tb"), 3);
}

static void test_cut(void **state)
{
        assert_cut("abcdef", 6, "abcdef");
        assert_cut("abcdef", 5, "abcd…");
        assert_cut("abcdef", 1, "…");
        assert_cut("abcdef", 0, "");
        assert_cut("", 0, "");
        assert_cut("Größe", 4, "Grö…");
        /* A wide character is not cut in half. */
        assert_cut("日本語", 6, "日本語");
        assert_cut("日本語", 5, "日本…");
        assert_cut("日本語", 4, "日…");
        assert_cut("e\u0301e\u0301", 2, "e\u0301e\u0301");
}

static void test_cut_what_cannot_be_printed(void **state)
{
        assert_cut("\x1b[31mred", 80, "?[31mred");
        assert_cut("a\tb\nc", 80, "a b?c");
        assert_cut("\xff", 80, "?");
        assert_cut("\xc2\x9b"
                   "31mred",
                   80, "?31mred"); /* CSI as one character */
        assert_cut("a\u202ecba\u202c", 80, "a?cba?");
        assert_cut("\u2067x\u2069", 80, "?x?");
        assert_cut("שלום", 80, "שלום");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_width),
                cmocka_unit_test(test_cut),
                cmocka_unit_test(test_cut_what_cannot_be_printed),
        };

        text_setup();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
