/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <sodium.h>

#include "notify/web-push.h"

#define RECORD_SIZE 4096
#define SECRET_SIZE 32
#define KEY_SIZE    16
#define NONCE_SIZE  12
#define TAG_SIZE    16

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free);
DEFINE_CLEANUP(EVP_PKEY_CTX *, EVP_PKEY_CTX_free);
DEFINE_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free);
DEFINE_CLEANUP(EVP_KDF *, EVP_KDF_free);
DEFINE_CLEANUP(EVP_KDF_CTX *, EVP_KDF_CTX_free);

char *base64url_encode(const void *data, size_t n)
{
        size_t size = sodium_base64_ENCODED_LEN(n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        char *s = malloc(size);

        return s ? sodium_bin2base64(s, size, data, n, sodium_base64_VARIANT_URLSAFE_NO_PADDING) : NULL;
}

int base64url_decode(const char *s, void *ret, size_t n)
{
        size_t length = strlen(s), got;
        const char *end;

        while (length > 0 && s[length - 1] == '=')
                length--;
        if (sodium_base642bin(ret, n, s, length, NULL, &got, &end, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
            end != s + length || got != n)
                return -EINVAL;
        return 0;
}

/* Converts the point to a key; NULL if it is not on the curve. */
static EVP_PKEY *point_to_key(const uint8_t *point)
{
        _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
        char group[] = "prime256v1";
        OSSL_PARAM params[] = {
                OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *) (uintptr_t) point,
                                                  WEB_PUSH_POINT_SIZE),
                OSSL_PARAM_construct_end(),
        };
        EVP_PKEY *key = NULL;

        if (ctx && EVP_PKEY_fromdata_init(ctx) == 1 && EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1)
                return key;
        ERR_clear_error();
        return NULL;
}

static int key_to_point(EVP_PKEY *key, uint8_t ret[static WEB_PUSH_POINT_SIZE])
{
        size_t n;

        if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, ret, WEB_PUSH_POINT_SIZE, &n) !=
                    1 ||
            n != WEB_PUSH_POINT_SIZE)
                return -EINVAL;
        return 0;
}

int push_target_parse(const char *p256dh, const char *auth, PushTarget *ret)
{
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        PushTarget target;
        int r;

        r = base64url_decode(p256dh, target.point, sizeof(target.point));
        if (r >= 0)
                r = base64url_decode(auth, target.auth, sizeof(target.auth));
        if (r < 0)
                return r;
        key = point_to_key(target.point);
        if (!key)
                return -EINVAL;
        *ret = target;
        return 0;
}

static int derive_secret(EVP_PKEY *own, EVP_PKEY *peer, uint8_t ret[static SECRET_SIZE])
{
        _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
        size_t n = SECRET_SIZE;

        if (!ctx || EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer(ctx, peer) != 1 ||
            EVP_PKEY_derive(ctx, ret, &n) != 1 || n != SECRET_SIZE) {
                ERR_clear_error();
                return -EINVAL;
        }
        return 0;
}

/* HKDF with SHA-256 (RFC 5869). */
static int hkdf(const uint8_t *salt, size_t n_salt, const uint8_t *secret, const void *info, size_t n_info,
                uint8_t *ret, size_t n_ret)
{
        _cleanup_(EVP_KDF_freep) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
        _cleanup_(EVP_KDF_CTX_freep) EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
        char digest[] = "SHA256";
        OSSL_PARAM params[] = {
                OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *) (uintptr_t) salt, n_salt),
                OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *) (uintptr_t) secret, SECRET_SIZE),
                OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *) (uintptr_t) info, n_info),
                OSSL_PARAM_construct_end(),
        };

        return ctx && EVP_KDF_derive(ctx, ret, n_ret, params) == 1 ? 0 : -ENOMEM;
}

/* Derives the key and the nonce of the only record (RFC 8291, 3.4). */
static int derive_keys(const PushTarget *target, EVP_PKEY *sender, const uint8_t *point, const uint8_t *salt,
                       uint8_t key[static KEY_SIZE], uint8_t nonce[static NONCE_SIZE])
{
        static const char intro[] = "WebPush: info", key_info[] = "Content-Encoding: aes128gcm",
                          nonce_info[] = "Content-Encoding: nonce";
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *receiver = point_to_key(target->point);
        uint8_t info[sizeof(intro) + 2 * WEB_PUSH_POINT_SIZE], secret[SECRET_SIZE], ikm[SECRET_SIZE];
        int r;

        if (!receiver)
                return -EINVAL;
        /* Including the strings' terminating NUL bytes. */
        memcpy(info, intro, sizeof(intro));
        memcpy(info + sizeof(intro), target->point, WEB_PUSH_POINT_SIZE);
        memcpy(info + sizeof(intro) + WEB_PUSH_POINT_SIZE, point, WEB_PUSH_POINT_SIZE);

        r = derive_secret(sender, receiver, secret);
        if (r >= 0)
                r = hkdf(target->auth, sizeof(target->auth), secret, info, sizeof(info), ikm, sizeof(ikm));
        if (r >= 0)
                r = hkdf(salt, WEB_PUSH_SALT_SIZE, ikm, key_info, sizeof(key_info), key, KEY_SIZE);
        if (r >= 0)
                r = hkdf(salt, WEB_PUSH_SALT_SIZE, ikm, nonce_info, sizeof(nonce_info), nonce, NONCE_SIZE);
        sodium_memzero(secret, sizeof(secret));
        sodium_memzero(ikm, sizeof(ikm));
        return r;
}

/* Encrypts the text and the delimiter of the last record. */
static int seal(const uint8_t *key, const uint8_t *nonce, const void *text, size_t n, uint8_t *ret)
{
        _cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
        static const uint8_t delimiter = 2;
        int n_text = 0, n_end = 0, n_final = 0;

        if (!ctx || EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, nonce) != 1 ||
            (n > 0 && EVP_EncryptUpdate(ctx, ret, &n_text, text, (int) n) != 1) ||
            EVP_EncryptUpdate(ctx, ret + n_text, &n_end, &delimiter, 1) != 1 ||
            EVP_EncryptFinal_ex(ctx, ret + n_text + n_end, &n_final) != 1 ||
            EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, ret + n_text + n_end) != 1)
                return -ENOMEM;
        return 0;
}

int web_push_encrypt_with(const PushTarget *target, EVP_PKEY *sender, const uint8_t salt[static WEB_PUSH_SALT_SIZE],
                          const void *text, size_t n, uint8_t *ret, size_t *ret_n)
{
        uint8_t key[KEY_SIZE], nonce[NONCE_SIZE], *p = ret;
        int r;

        if (n > WEB_PUSH_TEXT_MAX)
                return -EMSGSIZE;
        memcpy(p, salt, WEB_PUSH_SALT_SIZE);
        p += WEB_PUSH_SALT_SIZE;
        *p++ = 0;
        *p++ = 0;
        *p++ = RECORD_SIZE >> 8;
        *p++ = RECORD_SIZE & 0xff;
        *p++ = WEB_PUSH_POINT_SIZE;
        r = key_to_point(sender, p);
        if (r >= 0)
                r = derive_keys(target, sender, p, salt, key, nonce);
        if (r >= 0)
                r = seal(key, nonce, text, n, p + WEB_PUSH_POINT_SIZE);
        sodium_memzero(key, sizeof(key));
        if (r < 0)
                return r;
        *ret_n = WEB_PUSH_HEADER_SIZE + n + 1 + TAG_SIZE;
        return 0;
}

int web_push_encrypt(const PushTarget *target, const void *text, size_t n, uint8_t *ret, size_t *ret_n)
{
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *sender = EVP_EC_gen("prime256v1");
        uint8_t salt[WEB_PUSH_SALT_SIZE];

        if (!sender)
                return -ENOMEM;
        randombytes_buf(salt, sizeof(salt));
        return web_push_encrypt_with(target, sender, salt, text, n, ret, ret_n);
}
