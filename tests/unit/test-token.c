#include "test.h"

#include "jwt-access.h"
#include "token.h"

#define NOW UINT64_C(1800000000)

static const unsigned char key[ACCESS_TOKEN_KEY_SIZE] = "0123456789abcdef0123456789abcde";
static const unsigned char other_key[ACCESS_TOKEN_KEY_SIZE] = "1123456789abcdef0123456789abcde";

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

static void test_access_token(void **state)
{
        _cleanup_free_ char *token = NULL, *user = NULL;
        uint64_t expires = 0;

        assert_return_code(access_token_new(key, "usr-1", NOW, &token), 0);
        assert_return_code(access_token_check(key, token, NOW, &user, &expires), 0);
        assert_string_equal(user, "usr-1");
        assert_int_equal(expires, NOW + ACCESS_TOKEN_LIFETIME);
}

static void check_refused(const unsigned char *k, const char *token, uint64_t now)
{
        char *user = NULL;
        uint64_t expires = 7;

        assert_int_equal(access_token_check(k, token, now, &user, &expires), -EACCES);
        assert_null(user);
        assert_int_equal(expires, 7);
}

static void test_access_token_refused(void **state)
{
        /* {"alg":"none"}.{"sub":"usr-1","exp":4000000000}. */
        static const char unsigned_token[] = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c3ItMSIsImV4cCI6NDAwMDAwMDAwMH0.";
        _cleanup_free_ char *token = NULL;
        char *flipped, *big;

        assert_return_code(access_token_new(key, "usr-1", NOW, &token), 0);
        check_refused(other_key, token, NOW);
        check_refused(key, token, NOW + ACCESS_TOKEN_LIFETIME);
        check_refused(key, unsigned_token, NOW);
        check_refused(key, "", NOW);
        check_refused(key, "a.b.c", NOW);
        flipped = strdup(token);
        flipped[strcspn(flipped, ".") + 5] ^= 1;
        check_refused(key, flipped, NOW);
        free(flipped);
        big = calloc(1, 5000);
        memset(big, 'a', 4999);
        check_refused(key, big, NOW);
        free(big);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ids_and_tokens),
                cmocka_unit_test(test_hash),
                cmocka_unit_test(test_access_token),
                cmocka_unit_test(test_access_token_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
