/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "api/qr-code.h"

/* What a reader looks for first: the rings of seven modules in three corners, inside the quiet zone. That the text is
 * in it is for a real reader to say, in the tests of the dashboard. */
static void test_svg(void **state)
{
        _cleanup_free_ char *svg = NULL;
        char corner[64];
        size_t size;
        int edge;

        assert_int_equal(qr_svg("ssictl register https://ssi.example.org <&\">", &svg, &size), 0);
        assert_int_equal(strlen(svg), size);
        assert_int_equal(sscanf(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d", &edge), 1);
        assert_int_equal((edge - 8 - 17) % 4, 0);
        assert_non_null(strstr(svg, "M4 4h7v1h-7z"));
        snprintf(corner, sizeof(corner), "M%d 4h7v1h-7z", edge - 11);
        assert_non_null(strstr(svg, corner));
        snprintf(corner, sizeof(corner), "M4 %dh7v1h-7z", edge - 5);
        assert_non_null(strstr(svg, corner));
        assert_null(strstr(svg, "register"));
}

static void test_lengths(void **state)
{
        _cleanup_free_ char *longest = calloc(1, QR_TEXT_MAX + 1), *svg = NULL;
        char too_long[4001] = {};
        size_t size;

        assert_non_null(longest);
        memset(longest, '~', QR_TEXT_MAX);
        assert_int_equal(qr_svg(longest, &svg, &size), 0);
        free(svg);
        svg = NULL;
        memset(too_long, '~', sizeof(too_long) - 1);
        assert_int_equal(qr_svg(too_long, &svg, &size), -E2BIG);
        assert_null(svg);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_svg),
                cmocka_unit_test(test_lengths),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
