/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include "shared/tls/pem-text.h"

static int text_of(BIO *b, int written, char **ret)
{
        char *data, *copy;
        long n;

        if (written != 1)
                return -EIO;
        n = BIO_get_mem_data(b, &data);
        if (n <= 0)
                return -EIO;
        copy = memdup_string(data, (size_t) n);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

int pem_text_of_cert(X509 *cert, char **ret)
{
        _cleanup_(bio_freep) BIO *b = BIO_new(BIO_s_mem());

        return b ? text_of(b, PEM_write_bio_X509(b, cert), ret) : -ENOMEM;
}

int pem_text_of_public(EVP_PKEY *key, char **ret)
{
        _cleanup_(bio_freep) BIO *b = BIO_new(BIO_s_mem());

        return b ? text_of(b, PEM_write_bio_PUBKEY(b, key), ret) : -ENOMEM;
}

int pem_text_of_private(EVP_PKEY *key, char **ret)
{
        _cleanup_(bio_freep) BIO *b = BIO_new(BIO_s_secmem());

        return b ? text_of(b, PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL), ret) : -ENOMEM;
}

bool pem_key_is_p256(EVP_PKEY *key)
{
        char group[32];
        size_t n;

        return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
               EVP_PKEY_get_group_name(key, group, sizeof(group), &n) == 1 && streq(group, SN_X9_62_prime256v1);
}

int pem_text_to_cert(const char *text, X509 **ret)
{
        _cleanup_(bio_freep) BIO *b = BIO_new_mem_buf(text, -1);
        X509 *cert = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;

        ERR_clear_error();
        if (!cert)
                return -EBADMSG;
        *ret = cert;
        return 0;
}

static int take_key(EVP_PKEY *key_taken, EVP_PKEY **ret)
{
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = key_taken;

        ERR_clear_error();
        if (!key || !pem_key_is_p256(key))
                return -EBADMSG;
        *ret = TAKE_PTR(key);
        return 0;
}

int pem_text_to_public(const char *text, EVP_PKEY **ret)
{
        _cleanup_(bio_freep) BIO *b = BIO_new_mem_buf(text, -1);

        return take_key(b ? PEM_read_bio_PUBKEY(b, NULL, NULL, NULL) : NULL, ret);
}

/* Never asks for a passphrase. */
static int no_passphrase(char *buffer, int size, int writing, void *userdata)
{
        return -1;
}

int pem_text_to_private(const char *text, EVP_PKEY **ret)
{
        _cleanup_(bio_freep) BIO *b = BIO_new_mem_buf(text, -1);

        return take_key(b ? PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL) : NULL, ret);
}

int pem_pin_of_cert(X509 *cert, char ret[static PEM_PIN_MAX])
{
        unsigned char hash[SHA256_DIGEST_LENGTH], *der = NULL;
        int n;

        n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
        if (n <= 0)
                return -EIO;
        SHA256(der, (size_t) n, hash);
        OPENSSL_free(der);
        strcpy(ret, "sha256//");
        EVP_EncodeBlock((unsigned char *) ret + strlen(ret), hash, sizeof(hash));
        return 0;
}
