/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <jwt.h>
#include <sodium.h>
#include <sys/stat.h>
#include <time.h>
#include <utime.h>

#include "auth/access-key.h"
#include "auth/jwt-access.h"
#include "test.h"

#define NOW UINT64_C(1800000000)

static char dir[] = "/tmp/test-access-token-XXXXXX";
static AccessKey key, other_key;

static void in_dir(const char *name, char path[static 128])
{
        snprintf(path, 128, "%s/%s", dir, name);
}

static const char *given; /* by the administrator */

static int load(const char *name, AccessKey *ret)
{
        char path[128];

        in_dir(name, path);
        return access_key_load(given, path, ret);
}

static int setup(void **state)
{
        return sodium_init() < 0 || !mkdtemp(dir) || load("a", &key) < 0 || load("b", &other_key) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
        static const char *const names[] = { "a/access-token.pem", "a", "b/access-token.pem", "b", "given.pem", "" };
        char path[128];

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                in_dir(names[i], path);
                (void) remove(path);
        }
        access_key_done(&key);
        access_key_done(&other_key);
        return 0;
}

static void test_key_stays(void **state)
{
        AccessKey again = {};
        char path[128];
        struct stat st;

        assert_return_code(load("a", &again), 0);
        assert_string_equal(again.id, key.id);
        assert_string_equal(again.private_pem, key.private_pem);
        assert_string_not_equal(key.id, other_key.id);
        assert_null(strstr(key.public_pem, "PRIVATE"));
        in_dir("a/access-token.pem", path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        access_key_done(&again);
}

static void test_key_is_replaced(void **state)
{
        struct utimbuf long_ago = { .modtime = time(NULL) - (ACCESS_KEY_DAYS + 1) * 86400L };
        AccessKey k = {}, next = {};
        char path[128];
        FILE *f;

        assert_return_code(load("b", &k), 0);
        in_dir("b/access-token.pem", path);
        assert_int_equal(utime(path, &long_ago), 0);
        assert_return_code(load("b", &next), 0);
        assert_string_not_equal(k.id, next.id);
        access_key_done(&k);

        f = fopen(path, "we");
        assert_non_null(f);
        fputs("broken", f);
        fclose(f);
        assert_return_code(load("b", &k), 0);
        assert_string_not_equal(k.id, next.id);
        access_key_done(&k);
        access_key_done(&next);
}

static void test_key_given(void **state)
{
        static const char secp384r1[] = "-----BEGIN EC PRIVATE KEY-----\n"
                                        "MIGkAgEBBDBkXG3Ab0cAuPm0QdFc2Y7Jp3r5Z5b6dXn7mFvS1yC0w0cGmO9wS7oK\n"
                                        "-----END EC PRIVATE KEY-----\n";
        AccessKey k = {};
        char path[128];
        FILE *f;

        in_dir("given.pem", path);
        given = path;
        assert_int_equal(load("a", &k), -ENOENT);
        f = fopen(path, "we");
        assert_non_null(f);
        fputs(other_key.private_pem, f);
        fclose(f);
        assert_return_code(load("a", &k), 0);
        assert_string_equal(k.id, other_key.id);
        access_key_done(&k);
        f = fopen(path, "we");
        assert_non_null(f);
        fputs(secp384r1, f);
        fclose(f);
        assert_int_equal(load("a", &k), -EBADMSG);
        given = NULL;
}

static void test_good(void **state)
{
        _cleanup_free_ char *token = NULL, *id = NULL;
        AccessToken t = {};

        assert_return_code(access_token_new(key.id, key.private_pem, "usr-1", "ses-1", NOW, &token), 0);
        assert_return_code(access_token_key_id(token, &id), 0);
        assert_string_equal(id, key.id);
        assert_return_code(access_token_check(key.public_pem, token, NOW, &t), 0);
        assert_string_equal(t.user, "usr-1");
        assert_string_equal(t.session, "ses-1");
        assert_int_equal(t.expires, NOW + ACCESS_TOKEN_LIFETIME);
        access_token_done(&t);
}

static void check_refused(const AccessKey *k, const char *token, uint64_t now)
{
        AccessToken t = {};

        assert_int_equal(access_token_check(k->public_pem, token, now, &t), -EACCES);
        assert_null(t.user);
}

static void test_refused(void **state)
{
        _cleanup_free_ char *token = NULL;
        char *flipped, *big;

        assert_return_code(access_token_new(key.id, key.private_pem, "usr-1", "ses-1", NOW, &token), 0);
        check_refused(&other_key, token, NOW);
        check_refused(&key, token, NOW + ACCESS_TOKEN_LIFETIME);
        check_refused(&key, "", NOW);
        check_refused(&key, ".", NOW);
        check_refused(&key, "a.b.c", NOW);
        /* One bit anywhere, except in the padding of the last character. */
        for (size_t i = 0; i < strlen(token) - 1; i++) {
                flipped = strdup(token);
                flipped[i] ^= 1;
                check_refused(&key, flipped, NOW);
                free(flipped);
        }
        *strrchr(token, '.') = '\0';
        check_refused(&key, token, NOW);
        big = calloc(1, 5000);
        memset(big, 'a', 4999);
        big[40] = '.';
        check_refused(&key, big, NOW);
        free(big);
}

/* "alg" is the sender's word. */
static void test_other_algorithms(void **state)
{
        /* HMAC with the public key, which is no secret, as the secret. */
        static const jwt_alg_t forgeries[] = { JWT_ALG_HS256, JWT_ALG_HS384, JWT_ALG_HS512, JWT_ALG_NONE };

        for (size_t i = 0; i < ELEMENTSOF(forgeries); i++) {
                _cleanup_free_ char *token = NULL, *id = NULL;
                const unsigned char *secret = (const unsigned char *) key.public_pem;
                bool none = forgeries[i] == JWT_ALG_NONE;
                jwt_t *jwt;

                assert_int_equal(jwt_new(&jwt), 0);
                assert_int_equal(
                        jwt_set_alg(jwt, forgeries[i], none ? NULL : secret, none ? 0 : (int) strlen(key.public_pem)),
                        0);
                jwt_add_header(jwt, "kid", key.id);
                jwt_add_grant(jwt, "sub", "usr-1");
                jwt_add_grant(jwt, "sid", "ses-1");
                jwt_add_grant_int(jwt, "exp", (long) NOW + 60);
                token = jwt_encode_str(jwt);
                assert_non_null(token);
                check_refused(&key, token, NOW);
                assert_int_equal(access_token_key_id(token, &id), -EACCES);
                assert_null(id);
                jwt_free(jwt);
        }
}

/* A good signature under a header that was changed: the signature covers it, and the name of the algorithm is exact. */
static void test_other_headers(void **state)
{
        static const char *const headers[] = {
                "{\"alg\":\"none\",\"kid\":\"x\"}",
                "{\"alg\":\"es256\",\"kid\":\"x\"}",
                "{\"alg\":\"ES384\",\"kid\":\"x\"}",
                "{\"alg\":[\"ES256\"],\"kid\":\"x\"}",
                "{\"alg\":\"ES256\"}",
                "{\"alg\":\"ES256\",\"kid\":1}",
                "[]",
                "7",
                "{\"alg\":\"ES256\",\"kid\":\"x\"}",
        };
        _cleanup_free_ char *token = NULL;

        assert_return_code(access_token_new(key.id, key.private_pem, "usr-1", "ses-1", NOW, &token), 0);
        for (size_t i = 0; i < ELEMENTSOF(headers); i++) {
                char forged[4096], *end;

                sodium_bin2base64(forged, sizeof(forged), (const unsigned char *) headers[i], strlen(headers[i]),
                                  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
                end = forged + strlen(forged);
                snprintf(end, sizeof(forged) - (size_t) (end - forged), "%s", strchr(token, '.'));
                check_refused(&key, forged, NOW);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_key_stays),     cmocka_unit_test(test_key_is_replaced),
                cmocka_unit_test(test_key_given),     cmocka_unit_test(test_good),
                cmocka_unit_test(test_refused),       cmocka_unit_test(test_other_algorithms),
                cmocka_unit_test(test_other_headers),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
