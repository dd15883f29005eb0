#include <sodium.h>

#include "token.h"

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

void token_hash(const char *token, char ret[static TOKEN_HASH_MAX])
{
        unsigned char hash[32];

        crypto_generichash(hash, sizeof(hash), (const unsigned char *) token, strlen(token), NULL, 0);
        ret[0] = '\\';
        ret[1] = 'x';
        sodium_bin2hex(ret + 2, TOKEN_HASH_MAX - 2, hash, sizeof(hash));
}
