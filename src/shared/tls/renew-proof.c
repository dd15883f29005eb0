/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "shared/tls/renew-proof.h"

#define SIGNATURE_MAX 128 /* bytes; on P-256, it has 72 at most */

static inline void evp_md_ctx_freep(EVP_MD_CTX **c)
{
        EVP_MD_CTX_free(*c);
}

static inline void openssl_freep(unsigned char **p)
{
        OPENSSL_free(*p);
}

/* What is signed. */
static int text_of(const char *certificate, const char *public_key, char **ret)
{
        if (asprintf(ret, "ssi renew\n%s\n%s\n", certificate, public_key) < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        return 0;
}

int renew_proof(EVP_PKEY *key, const char *certificate, const char *public_key, char **ret)
{
        _cleanup_(evp_md_ctx_freep) EVP_MD_CTX *c = EVP_MD_CTX_new();
        unsigned char signature[SIGNATURE_MAX];
        _cleanup_free_ char *text = NULL;
        size_t n = sizeof(signature);
        char *hex;
        int r;

        r = text_of(certificate, public_key, &text);
        if (r < 0)
                return r;
        if (!c || EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key) != 1 ||
            EVP_DigestSign(c, signature, &n, (const unsigned char *) text, strlen(text)) != 1)
                return -EIO;
        hex = malloc(2 * n + 1);
        if (!hex)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                snprintf(hex + 2 * i, 3, "%02x", signature[i]);
        *ret = hex;
        return 0;
}

bool renew_proof_matches(X509 *cert, const char *certificate, const char *public_key, const char *proof)
{
        _cleanup_(evp_md_ctx_freep) EVP_MD_CTX *c = EVP_MD_CTX_new();
        _cleanup_(openssl_freep) unsigned char *signature = NULL;
        _cleanup_free_ char *text = NULL;
        bool matches;
        long n = 0;

        if (!c || text_of(certificate, public_key, &text) < 0)
                return false;
        if (strlen(proof) <= 2 * (size_t) SIGNATURE_MAX)
                signature = OPENSSL_hexstr2buf(proof, &n);
        matches = signature && EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL, X509_get0_pubkey(cert)) == 1 &&
                  EVP_DigestVerify(c, signature, (size_t) n, (const unsigned char *) text, strlen(text)) == 1;
        ERR_clear_error();
        return matches;
}
