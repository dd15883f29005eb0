/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include "auth/token.h"

static void test_ids_and_tokens(void **state)
{
        char a[ID_MAX], b[ID_MAX], t[TOKEN_MAX], u[TOKEN_MAX];

        id_new("srv", a);
        id_new("srv", b);
        assert_int_equal(strlen(a), 20);
        assert_non_null(startswith(a, "srv-"));
        assert_string_not_equal(a, b);
        assert_int_equal(strspn(a + 4, "abcdefghijklmnopqrstuvwxyz234567"), 16);
        token_new("refresh", t);
        token_new("refresh", u);
        assert_non_null(startswith(t, "ssi_refresh_"));
        assert_int_equal(strlen(t), strlen("ssi_refresh_") + 43);
        assert_string_not_equal(t, u);
}

static void test_hash(void **state)
{
        char a[TOKEN_HASH_MAX], b[TOKEN_HASH_MAX];

        /* BLAKE2b-256 of the empty string. */
        token_hash("", a);
        assert_string_equal(a, "\\x0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
        token_hash("x", b);
        assert_string_not_equal(a, b);
}

static void test_seal(void **state)
{
        char by[TOKEN_MAX], other[TOKEN_MAX], token[TOKEN_MAX], opened[TOKEN_MAX] = "as it was",
                                                                sealed[TOKEN_SEALED_MAX];

        token_new("refresh", by);
        token_new("refresh", other);
        token_new("refresh", token);
        token_seal(token, by, sealed);
        assert_null(strstr(sealed, token));
        assert_int_equal(token_open(sealed, other, opened), -EBADMSG);
        assert_int_equal(token_open("", by, opened), -EBADMSG);
        assert_int_equal(token_open("\\x00", by, opened), -EBADMSG);
        sealed[10] = sealed[10] == '0' ? '1' : '0';
        assert_int_equal(token_open(sealed, by, opened), -EBADMSG);
        assert_string_equal(opened, "as it was");
        token_seal(token, by, sealed);
        assert_return_code(token_open(sealed, by, opened), 0);
        assert_string_equal(opened, token);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ids_and_tokens),
                cmocka_unit_test(test_hash),
                cmocka_unit_test(test_seal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
