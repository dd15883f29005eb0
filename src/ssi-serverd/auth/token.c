/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>

#include "auth/token.h"

void id_new(const char *prefix, char ret[static ID_MAX])
{
        static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
        unsigned char random[16];
        size_t n;

        randombytes_buf(random, sizeof(random));
        n = (size_t) snprintf(ret, ID_MAX, "%.4s-", prefix);
        for (size_t i = 0; i < sizeof(random); i++)
                ret[n++] = alphabet[random[i] & 31];
        ret[n] = '\0';
}

void token_new(const char *kind, char ret[static TOKEN_MAX])
{
        unsigned char random[32];
        int n;

        randombytes_buf(random, sizeof(random));
        n = snprintf(ret, TOKEN_MAX, "ssi_%.10s_", kind);
        sodium_bin2base64(ret + n, TOKEN_MAX - (size_t) n, random, sizeof(random),
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        sodium_memzero(random, sizeof(random));
}

static void hash_of(const char *token, size_t n, char ret[static TOKEN_HASH_MAX])
{
        unsigned char hash[32];

        crypto_generichash(hash, sizeof(hash), (const unsigned char *) token, n, NULL, 0);
        ret[0] = '\\';
        ret[1] = 'x';
        sodium_bin2hex(ret + 2, TOKEN_HASH_MAX - 2, hash, sizeof(hash));
}

void token_hash(const char *token, char ret[static TOKEN_HASH_MAX])
{
        hash_of(token, strlen(token), ret);
}

/* Of the text in base64url, which is as long for each token of a kind. */
#define DIFFERENT 21

void token_chain(char token[static TOKEN_MAX], const char *before)
{
        size_t n = strlen(token);

        if (strlen(before) == n)
                memcpy(token, before, n - DIFFERENT);
}

void token_chain_hash(const char *token, char ret[static TOKEN_HASH_MAX])
{
        size_t n = strlen(token);

        hash_of(token, n > DIFFERENT ? n - DIFFERENT : 0, ret);
}

static void seal_key(const char *by, unsigned char ret[static crypto_secretbox_KEYBYTES])
{
        static const unsigned char context[] = "ssi sealed token";

        crypto_generichash(ret, crypto_secretbox_KEYBYTES, (const unsigned char *) by, strlen(by), context,
                           sizeof(context) - 1);
}

void token_seal(const char *token, const char *by, char ret[static TOKEN_SEALED_MAX])
{
        unsigned char box[crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + TOKEN_MAX],
                key[crypto_secretbox_KEYBYTES];
        size_t n = strnlen(token, TOKEN_MAX - 1);

        seal_key(by, key);
        randombytes_buf(box, crypto_secretbox_NONCEBYTES);
        crypto_secretbox_easy(box + crypto_secretbox_NONCEBYTES, (const unsigned char *) token, n, box, key);
        ret[0] = '\\';
        ret[1] = 'x';
        sodium_bin2hex(ret + 2, TOKEN_SEALED_MAX - 2, box, crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + n);
        sodium_memzero(key, sizeof(key));
}

int token_open(const char *sealed, const char *by, char ret[static TOKEN_MAX])
{
        unsigned char box[TOKEN_SEALED_MAX / 2], text[sizeof(box)], key[crypto_secretbox_KEYBYTES];
        size_t n;
        int r;

        if (!startswith(sealed, "\\x") ||
            sodium_hex2bin(box, sizeof(box), sealed + 2, strlen(sealed + 2), NULL, &n, NULL) != 0 ||
            n < crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES)
                return -EBADMSG;
        n -= crypto_secretbox_NONCEBYTES;
        seal_key(by, key);
        r = crypto_secretbox_open_easy(text, box + crypto_secretbox_NONCEBYTES, n, box, key);
        sodium_memzero(key, sizeof(key));
        n -= crypto_secretbox_MACBYTES;
        if (r != 0 || n >= TOKEN_MAX)
                return -EBADMSG;
        memcpy(ret, text, n);
        ret[n] = '\0';
        return 0;
}
