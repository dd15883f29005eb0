/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Web push: message encryption (RFC 8291 on RFC 8188's aes128gcm) and the server's voluntary identification (VAPID,
 * RFC 8292). */

#include <openssl/evp.h>

#include "shared/util.h"

#define WEB_PUSH_POINT_SIZE  65 /* an uncompressed point of P-256 */
#define WEB_PUSH_AUTH_SIZE   16
#define WEB_PUSH_SALT_SIZE   16
#define WEB_PUSH_HEADER_SIZE (WEB_PUSH_SALT_SIZE + 4 + 1 + WEB_PUSH_POINT_SIZE)
#define WEB_PUSH_TEXT_MAX \
        ((size_t) 3993) /* what every push service accepts: 4,096 bytes after
                                              * encryption */
#define WEB_PUSH_BODY_MAX (WEB_PUSH_HEADER_SIZE + WEB_PUSH_TEXT_MAX + 1 + 16)

/* Encodes n bytes as base64url without padding; the caller frees it. NULL when out of memory. */
char *base64url_encode(const void *data, size_t n);
/* Decodes exactly n bytes; -EINVAL for anything else. Padding is optional. */
int base64url_decode(const char *s, void *ret, size_t n);

/* The subscription of a browser. */
typedef struct PushTarget {
        uint8_t point[WEB_PUSH_POINT_SIZE]; /* "p256dh" */
        uint8_t auth[WEB_PUSH_AUTH_SIZE];
} PushTarget;

/* Both are base64url. -EINVAL if either is invalid, or the point is not on the curve. */
int push_target_parse(const char *p256dh, const char *auth, PushTarget *ret);

/* Encrypts with a new key and salt. ret: room for WEB_PUSH_BODY_MAX bytes. -EMSGSIZE for a text longer than
 * WEB_PUSH_TEXT_MAX bytes, -EINVAL for an unusable target, -ENOMEM. */
int web_push_encrypt(const PushTarget *target, const void *text, size_t n, uint8_t *ret, size_t *ret_n);

/* The same with the caller's key and salt, which must never be used again. */
int web_push_encrypt_with(const PushTarget *target, EVP_PKEY *sender, const uint8_t salt[static WEB_PUSH_SALT_SIZE],
                          const void *text, size_t n, uint8_t *ret, size_t *ret_n);

typedef struct VapidKey {
        char *pem;                            /* the private key, in PKCS 8 */
        char public[WEB_PUSH_POINT_SIZE * 2]; /* base64url, which browsers subscribe with */
} VapidKey;

/* Loads the key from the file, or makes it there (mode 0600) if there is none. The file appears atomically;
 * if two processes make it at once, both use the one that came first. -EBADMSG if it holds something else.
 * Blocking. */
int vapid_key_ensure(const char *path, VapidKey *ret);
/* Parses the key in the PEM text. */
int vapid_key_parse(const char *pem, VapidKey *ret);
void vapid_key_done(VapidKey *k);

/* The Authorization header's value for this endpoint, to be freed. subject: a "mailto:" or "https:" address
 * of the operator. now: s since the epoch. -EINVAL if the endpoint is not a URL. */
int vapid_authorization(const VapidKey *k, const char *endpoint, const char *subject, uint64_t now, char **ret);
