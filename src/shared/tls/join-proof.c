/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "shared/tls/join-proof.h"

static void to_hex(const unsigned char *bytes, size_t n, char *ret)
{
        for (size_t i = 0; i < n; i++)
                snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
}

int join_secret_new(char ret[static JOIN_SECRET_MAX])
{
        unsigned char random[(JOIN_SECRET_MAX - 1) / 2];

        if (RAND_bytes(random, sizeof(random)) != 1)
                return -EIO;
        to_hex(random, sizeof(random), ret);
        OPENSSL_cleanse(random, sizeof(random));
        return 0;
}

int join_proof(const char *secret, const char *public_key, const TlsNames *names, char ret[static JOIN_PROOF_MAX])
{
        _cleanup_free_ char *text = NULL;
        unsigned char hash[32];
        unsigned n_hash;
        size_t size;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        fprintf(f, "ssi join\n%s\n", public_key);
        for (size_t i = 0; i < names->n; i++)
                fprintf(f, "%s\n", names->names[i]);
        if (fclose(f) != 0)
                return -ENOMEM;
        if (!HMAC(EVP_sha256(), secret, (int) strlen(secret), (const unsigned char *) text, size, hash, &n_hash))
                return -EIO;
        to_hex(hash, sizeof(hash), ret);
        return 0;
}

bool join_proof_matches(const char *secret, const char *public_key, const TlsNames *names, const char *proof)
{
        char mine[JOIN_PROOF_MAX];

        return join_proof(secret, public_key, names, mine) >= 0 && strlen(proof) == strlen(mine) &&
               CRYPTO_memcmp(proof, mine, strlen(mine)) == 0;
}
