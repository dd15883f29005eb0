/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "shared/slug.h"

static void assert_slug(const char *name, const char *slug)
{
        _cleanup_free_ char *s = NULL;

        assert_int_equal(slug_from_name(name, &s), 0);
        assert_string_equal(s, slug);
        assert_true(slug_is_valid(s));
}

static void test_from_name(void **state)
{
        char long_name[SLUG_MAX + 2];
        _cleanup_free_ char *s = NULL;

        assert_slug("System Updates", "system-updates");
        assert_slug("  CPU: load (5 min) ", "cpu-load-5-min");
        assert_slug("../../etc/passwd", "etc-passwd");
        assert_slug("Größe", "gr-e");
        assert_slug("a\nb", "a-b");
        assert_int_equal(slug_from_name("", &s), -EINVAL);
        assert_int_equal(slug_from_name("---", &s), -EINVAL);
        assert_int_equal(slug_from_name("\xe2\x82\xac", &s), -EINVAL);
        memset(long_name, 'x', sizeof(long_name) - 1);
        long_name[SLUG_MAX + 1] = '\0';
        assert_int_equal(slug_from_name(long_name, &s), -ENAMETOOLONG);
        long_name[SLUG_MAX] = '\0';
        assert_slug(long_name, long_name);
}

static void test_is_valid(void **state)
{
        static const char *const bad[] = { "", "-", "-a", "a-", "a--b", "A", "a_b", "a.b", "a/b", "..", "\xc3\xa9" };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(slug_is_valid(bad[i]));
        assert_true(slug_is_valid("a-1"));
}

static void test_from_unit(void **state)
{
        char slug[SLUG_MAX + 1];

        assert_int_equal(slug_from_service_unit("ssi-disk-space.service", slug), 0);
        assert_string_equal(slug, "disk-space");
        assert_int_equal(slug_from_service_unit("ssi-.service", slug), -EINVAL);
        assert_int_equal(slug_from_service_unit("ssi-a.timer", slug), -EINVAL);
        assert_int_equal(slug_from_service_unit("xssi-a.service", slug), -EINVAL);
        assert_int_equal(slug_from_service_unit("ssi-a@b.service", slug), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_from_name),
                cmocka_unit_test(test_is_valid),
                cmocka_unit_test(test_from_unit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
