/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "notify/template.h"

static const char *lookup(const char *name, void *userdata)
{
        if (streq(name, "nasty"))
                return "\"}, <b>&\\\n\x01\x7f\xd7\xa9";
        if (streq(name, "braces"))
                return "{{nasty}}";
        if (streq(name, "empty"))
                return "";
        return NULL;
}

static void expect(const char *text, TemplateEscape escape, const char *want)
{
        _cleanup_free_ char *got = NULL;

        assert_int_equal(template_render(text, escape, lookup, NULL, &got, NULL), 0);
        assert_string_equal(got, want);
}

static void test_escapes(void **state)
{
        expect("{{nasty}}", TEMPLATE_JSON, "\\\"}, <b>&\\\\\\n\\u0001\\u007f\xd7\xa9");
        expect("{{nasty}}", TEMPLATE_MARKUP, "\\\"}, &lt;b&gt;&amp;\\\\\\n\\u0001\\u007f\xd7\xa9");
        expect("/x/{{nasty}}", TEMPLATE_URL, "/x/%22%7D%2C%20%3Cb%3E%26%5C%0A%01%7F%D7%A9");
}

static void test_places(void **state)
{
        expect("", TEMPLATE_JSON, "");
        expect("plain { } text }}", TEMPLATE_JSON, "plain { } text }}");
        expect("a{{ empty }}b{{empty}}c", TEMPLATE_JSON, "abc");
        /* What is put in is not looked at again. */
        expect("{{braces}}", TEMPLATE_JSON, "{{nasty}}");
}

static void test_refused(void **state)
{
        static const char *const texts[] = { "{{",          "{{nasty",       "{{nasty}",   "{{}}",
                                             "{{ }}",       "{{other}}",     "{{na sty}}", "{{Nasty}}",
                                             "{{{nasty}}}", "{{nasty|raw}}", "{{#if}}" };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_free_ char *got = NULL, *detail = NULL;

                if (template_render(texts[i], TEMPLATE_JSON, lookup, NULL, &got, &detail) != -EINVAL)
                        fail_msg("%s is taken", texts[i]);
                assert_null(got);
                assert_non_null(detail);
        }
}

static void test_size(void **state)
{
        size_t n = RENDERED_MAX / 9 + 10;
        _cleanup_free_ char *text = malloc(n * 9 + 1), *got = NULL;

        for (size_t i = 0; i < n; i++)
                memcpy(text + i * 9, "{{nasty}}", 10);
        assert_int_equal(template_render(text, TEMPLATE_JSON, lookup, NULL, &got, NULL), -E2BIG);
        assert_null(got);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_escapes),
                cmocka_unit_test(test_places),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_size),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
