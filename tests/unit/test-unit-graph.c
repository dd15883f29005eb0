/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "unit-graph.h"

/* "a.service>b.service" says that the one needs the other, "a=b" that a is an alias of b, "svc:a.service" that the
 * service watches the unit. */
static UnitGraph *make(const char *const *facts)
{
        UnitGraph *g = unit_graph_new();

        assert_non_null(g);
        for (; *facts; facts++) {
                size_t n = strcspn(*facts, ">=:");
                _cleanup_free_ char *left = memdup_string(*facts, n);
                const char *right = *facts + n + 1;
                UnitNode *a, *b;

                assert_return_code(unit_graph_add(g, right, &b), 0);
                assert_string_equal(unit_node_name(b), right);
                if ((*facts)[n] == ':') {
                        /* Borrowed: a string that lives on. */
                        static char slugs[64][16];
                        static size_t used;
                        char *slug = slugs[used++ % ELEMENTSOF(slugs)];

                        snprintf(slug, sizeof(slugs[0]), "%s", left);
                        assert_return_code(unit_graph_watch(g, slug, b), 0);
                        continue;
                }
                assert_return_code(unit_graph_add(g, left, &a), 0);
                if ((*facts)[n] == '=')
                        unit_node_set_alias(a, b);
                else
                        assert_return_code(unit_node_needs(a, b), 0);
        }
        return g;
}

static void assert_depends(UnitGraph *g, const char *slug, size_t max, const char *expected)
{
        _cleanup_free_ char *list = NULL;

        assert_return_code(unit_graph_depends_on(g, slug, max, &list), 0);
        assert_string_equal(list, expected);
}

#define MAKE(...) make((const char *const[]){ __VA_ARGS__, NULL })

static void test_at_any_remove(void **state)
{
        _cleanup_(unit_graph_freep) UnitGraph *g =
                MAKE("web>app", "app>db", "db>slice", "other>slice", "www:web", "api:app", "sql:db", "else:other");

        assert_depends(g, "www", 64, "api, sql");
        assert_depends(g, "api", 64, "sql");
        assert_depends(g, "sql", 64, "");
        assert_depends(g, "else", 64, "");
        assert_depends(g, "nobody", 64, "");
}

static void test_one_unit_of_two_services(void **state)
{
        _cleanup_(unit_graph_freep) UnitGraph *g =
                MAKE("app>db", "one:app", "two:app", "sql:db", "sql-age:db", "both:app", "both:db");

        assert_depends(g, "one", 64, "both, sql, sql-age");
        assert_depends(g, "sql", 64, "");
        /* Being about what it needs as well, it does not depend on itself. */
        assert_depends(g, "both", 64, "sql, sql-age");
}

static void test_cycles_end(void **state)
{
        _cleanup_(unit_graph_freep) UnitGraph *g =
                MAKE("a>b", "b>c", "c>a", "a>a", "c>d", "one:a", "two:b", "three:c", "same:a", "four:d");

        assert_depends(g, "one", 64, "four, same, three, two");
        assert_depends(g, "four", 64, "");
}

static void test_aliases(void **state)
{
        _cleanup_(unit_graph_freep) UnitGraph *g =
                MAKE("nick=db", "app>nick", "web>db", "x:app", "y:web", "sql:nick", "sql-too:db");

        assert_depends(g, "x", 64, "sql, sql-too");
        assert_depends(g, "y", 64, "sql, sql-too");
        assert_depends(g, "sql", 64, "");
}

static void test_nearest_first(void **state)
{
        _cleanup_(unit_graph_freep) UnitGraph *g =
                MAKE("a>b", "b>c", "c>d", "s:a", "z-near:b", "m-far:c", "a-farthest:d");

        assert_depends(g, "s", 2, "m-far, z-near");
        assert_depends(g, "s", 64, "a-farthest, m-far, z-near");
}

static void test_limit(void **state)
{
        _cleanup_(unit_graph_freep) UnitGraph *g = unit_graph_new();
        UnitNode *first = NULL, *last = NULL, *n;
        char name[32];

        for (int i = 0; i < UNIT_GRAPH_MAX; i++) {
                snprintf(name, sizeof(name), "u%d", i);
                assert_int_equal(unit_graph_add(g, name, &n), 1);
                if (last)
                        assert_return_code(unit_node_needs(last, n), 0);
                else
                        first = n;
                last = n;
        }
        assert_int_equal(unit_graph_add(g, "u0", &n), 0);
        assert_ptr_equal(n, first);
        assert_int_equal(unit_graph_add(g, "one-more", &n), -ENOSPC);
        assert_return_code(unit_graph_watch(g, "begin", first), 0);
        assert_return_code(unit_graph_watch(g, "end", last), 0);
        assert_depends(g, "begin", 64, "end");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_at_any_remove), cmocka_unit_test(test_one_unit_of_two_services),
                cmocka_unit_test(test_cycles_end),    cmocka_unit_test(test_aliases),
                cmocka_unit_test(test_nearest_first), cmocka_unit_test(test_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
