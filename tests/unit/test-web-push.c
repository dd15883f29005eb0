/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <jwt.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "test.h"
#include "notify/web-push.h"

/* RFC 8291, appendix A. */
#define TEXT           "When I grow up, I want to be a watermelon"
#define SENDER_PUBLIC  "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
#define SENDER_PRIVATE "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
#define BROWSER_PUBLIC "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
#define BROWSER_AUTH   "BTBZMqHH6r4Tts7J_aSIgg"
#define SALT           "DGv6ra1nlYgDCS1FRnbzlw"
#define ENCRYPTED                                                                                                  \
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK" \
        "6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"

static EVP_PKEY *sender_key(void)
{
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
        uint8_t private[32], public[WEB_PUSH_POINT_SIZE];
        char group[] = "prime256v1";
        EVP_PKEY *key = NULL;
        OSSL_PARAM params[4];

        assert_int_equal(base64url_decode(SENDER_PRIVATE, private, sizeof(private)), 0);
        assert_int_equal(base64url_decode(SENDER_PUBLIC, public, sizeof(public)), 0);
        /* OpenSSL takes numbers in the machine's order. */
        for (size_t i = 0; i < sizeof(private) / 2; i++) {
                uint8_t b = private[i];

                private[i] = private[sizeof(private) - 1 - i];
                private[sizeof(private) - 1 - i] = b;
        }
        params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
        params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, public, sizeof(public));
        params[2] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, private, sizeof(private));
        params[3] = OSSL_PARAM_construct_end();
        assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
        assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params), 1);
        EVP_PKEY_CTX_free(ctx);
        return key;
}

static void test_rfc8291(void **state)
{
        uint8_t salt[WEB_PUSH_SALT_SIZE], body[WEB_PUSH_BODY_MAX];
        EVP_PKEY *sender = sender_key();
        _cleanup_free_ char *text = NULL;
        PushTarget target;
        size_t n;

        assert_int_equal(base64url_decode(SALT, salt, sizeof(salt)), 0);
        assert_int_equal(push_target_parse(BROWSER_PUBLIC, BROWSER_AUTH "==", &target), 0);
        assert_int_equal(web_push_encrypt_with(&target, sender, salt, TEXT, strlen(TEXT), body, &n), 0);
        text = base64url_encode(body, n);
        assert_string_equal(text, ENCRYPTED);
        EVP_PKEY_free(sender);
}

static void test_limits(void **state)
{
        static const char text[WEB_PUSH_TEXT_MAX + 1];
        uint8_t a[WEB_PUSH_BODY_MAX], b[WEB_PUSH_BODY_MAX];
        PushTarget target;
        size_t n;

        assert_int_equal(push_target_parse(BROWSER_PUBLIC, BROWSER_AUTH, &target), 0);
        assert_int_equal(web_push_encrypt(&target, text, sizeof(text), a, &n), -EMSGSIZE);
        assert_int_equal(web_push_encrypt(&target, text, sizeof(text) - 1, a, &n), 0);
        assert_int_equal(n, 4096);
        assert_int_equal(web_push_encrypt(&target, text, 0, a, &n), 0);
        assert_int_equal(web_push_encrypt(&target, text, 0, b, &n), 0);
        /* Neither salt nor key is used twice. */
        assert_memory_not_equal(a, b, WEB_PUSH_SALT_SIZE);
        assert_memory_not_equal(a + 21, b + 21, WEB_PUSH_POINT_SIZE);
}

static void test_target_refused(void **state)
{
        PushTarget target;

        /* Not on the curve, compressed, of another length, no base64. */
        assert_int_equal(
                push_target_parse("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6S"
                                  "RpkNtoIAiw5",
                                  BROWSER_AUTH, &target),
                -EINVAL);
        assert_int_equal(push_target_parse("AyVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcx", BROWSER_AUTH, &target),
                         -EINVAL);
        assert_int_equal(push_target_parse(BROWSER_PUBLIC, "BTBZMqHH6r4Tts7J_aSI", &target), -EINVAL);
        assert_int_equal(push_target_parse(BROWSER_PUBLIC, "BTBZMqHH6r4Tts7J aSIgg", &target), -EINVAL);
        assert_int_equal(push_target_parse("", "", &target), -EINVAL);
}

static void test_vapid(void **state)
{
        char path[] = "/tmp/ssi-test-vapid-XXXXXX";
        _cleanup_free_ char *file = NULL, *value = NULL, *token = NULL;
        VapidKey key = {}, again = {}, other = {};
        char *public_pem = NULL, *end;
        EVP_PKEY *pkey;
        struct stat st;
        BIO *bio;
        jwt_t *jwt;

        assert_non_null(mkdtemp(path));
        assert_return_code(asprintf(&file, "%s/vapid.pem", path), errno);
        assert_int_equal(vapid_key_ensure(file, &key), 0);
        assert_int_equal(vapid_key_ensure(file, &again), 0);
        assert_string_equal(key.public, again.public);
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);

        assert_int_equal(vapid_authorization(&key, "https://push.example.org:8443/send/1?x=y", "mailto:a@example.org",
                                             1000, &value),
                         0);
        assert_ptr_equal(strstr(value, "vapid t="), value);
        end = strchr(value, ',');
        assert_non_null(end);
        assert_string_equal(end + strlen(", k="), key.public);
        token = strndup(value + strlen("vapid t="), (size_t) (end - value) - strlen("vapid t="));

        /* The public half verifies it. */
        bio = BIO_new_mem_buf(key.pem, -1);
        pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        BIO_free(bio);
        bio = BIO_new(BIO_s_mem());
        assert_int_equal(PEM_write_bio_PUBKEY(bio, pkey), 1);
        BIO_write(bio, "", 1);
        BIO_get_mem_data(bio, &public_pem);
        assert_int_equal(jwt_decode(&jwt, token, (unsigned char *) public_pem, (int) strlen(public_pem)), 0);
        assert_int_equal(jwt_get_alg(jwt), JWT_ALG_ES256);
        assert_string_equal(jwt_get_grant(jwt, "aud"), "https://push.example.org:8443");
        assert_string_equal(jwt_get_grant(jwt, "sub"), "mailto:a@example.org");
        assert_int_equal(jwt_get_grant_int(jwt, "exp"), 1000 + 12 * 3600);
        jwt_free(jwt);
        BIO_free(bio);
        EVP_PKEY_free(pkey);

        free(TAKE_PTR(value));
        assert_int_equal(vapid_authorization(&key, "nonsense://", "mailto:a@example.org", 1000, &value), -EINVAL);

        /* Something else than a key is not overwritten. */
        assert_int_equal(truncate(file, 10), 0);
        assert_int_equal(vapid_key_ensure(file, &other), -EBADMSG);
        assert_int_equal(unlink(file), 0);
        assert_int_equal(rmdir(path), 0);
        vapid_key_done(&key);
        vapid_key_done(&again);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rfc8291),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_target_refused),
                cmocka_unit_test(test_vapid),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
