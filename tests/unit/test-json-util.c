/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "shared/json-util.h"

static int parse(const char *s, size_t n)
{
        _cleanup_json_ json_object *o = NULL;

        return json_parse(s, n, &o);
}

static void test_valid(void **state)
{
        static const char *const texts[] = {
                "{}",
                " [ ] ",
                "null",
                "\ttrue\n",
                "false",
                "0",
                "-0",
                "1.5e+3",
                "12E-1",
                "\"\"",
                "\"\\\"\\\\\\u00e9\xc3\xa9\"",
                "{\"a\": [1, {\"b\": null}]}",
                "9223372036854775807",
                "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                assert_int_equal(parse(texts[i], strlen(texts[i])), 0);
}

/* Most of these json-c's strict mode lets pass. */
static void test_invalid(void **state)
{
        static const char *const texts[] = {
                "",
                " ",
                "{",
                "[1,]",
                "{\"a\":1,}",
                "{'a':1}",
                "['a']",
                "{a:1}",
                "[NaN]",
                "[Infinity]",
                "[-Infinity]",
                "nULL",
                "True",
                "01",
                "[01]",
                "[01.5]",
                "[-00.5]",
                "1.",
                "[1.]",
                "[.5]",
                "[1e]",
                "+1",
                "-",
                "1 2",
                "[1 2]",
                "/* */1",
                "\"\n\"",
                "\"\x01\"",
                "\"\\x\"",
                "\"\\u12\"",
                "\"",
                "\"\\",
                "\"\xff\"",
                "\f1",
                "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                assert_int_equal(parse(texts[i], strlen(texts[i])), -EBADMSG);
        assert_int_equal(parse("{}\0", 3), -EBADMSG);
        assert_int_equal(parse("1\0", 2), -EBADMSG);
        assert_int_equal(parse("\"a\0b\"", 5), -EBADMSG);
}

static void test_getters(void **state)
{
        static const char text[] =
                "{\"s\": \"x\", \"nul\": \"a\\u0000b\", \"i\": -7, \"d\": 1.5, \"b\": true, \"a\": [], \"o\": {}, \"n\": null}";
        _cleanup_json_ json_object *o = NULL;
        int64_t i = 1;
        bool b = false;

        assert_int_equal(json_parse(text, sizeof(text) - 1, &o), 0);
        assert_string_equal(json_get_string(o, "s"), "x");
        assert_null(json_get_string(o, "nul"));
        assert_null(json_get_string(o, "i"));
        assert_null(json_get_string(o, "absent"));
        assert_int_equal(json_get_int64(o, "i", &i), 0);
        assert_int_equal(i, -7);
        assert_int_equal(json_get_int64(o, "d", &i), -EINVAL);
        assert_int_equal(json_get_int64(o, "n", &i), -ENOENT);
        assert_int_equal(i, -7);
        assert_int_equal(json_get_bool(o, "b", &b), 0);
        assert_true(b);
        assert_int_equal(json_get_bool(o, "i", &b), -EINVAL);
        assert_non_null(json_get_array(o, "a"));
        assert_null(json_get_array(o, "o"));
        assert_non_null(json_get_object(o, "o"));
        assert_null(json_get_object(NULL, "o"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_valid),
                cmocka_unit_test(test_invalid),
                cmocka_unit_test(test_getters),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
