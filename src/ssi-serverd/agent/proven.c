/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>

#include "agent/proven.h"

#define N_BITS   (1U << 20)
#define N_HASHES 4

struct Proven {
        unsigned char secret[crypto_generichash_KEYBYTES]; /* so that nobody can choose what shares bits */
        uint64_t bits[N_BITS / 64];
};

int proven_new(Proven **ret)
{
        Proven *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        randombytes_buf(p->secret, sizeof(p->secret));
        *ret = p;
        return 0;
}

Proven *proven_free(Proven *p)
{
        free(p);
        return NULL;
}

static void find_bits(const Proven *p, const char *agent_id, const char *key, uint32_t ret[static N_HASHES])
{
        crypto_generichash_state h;

        crypto_generichash_init(&h, p->secret, sizeof(p->secret), N_HASHES * sizeof(uint32_t));
        /* With the NUL byte, which ends the ID. */
        crypto_generichash_update(&h, (const unsigned char *) agent_id, strlen(agent_id) + 1);
        crypto_generichash_update(&h, (const unsigned char *) key, strlen(key));
        crypto_generichash_final(&h, (unsigned char *) ret, N_HASHES * sizeof(uint32_t));
        for (size_t i = 0; i < N_HASHES; i++)
                ret[i] %= N_BITS;
}

bool proven_has(const Proven *p, const char *agent_id, const char *key)
{
        uint32_t bits[N_HASHES];
        bool has = true;

        find_bits(p, agent_id, key, bits);
        for (size_t i = 0; i < N_HASHES; i++)
                has &= p->bits[bits[i] / 64] >> bits[i] % 64 & 1;
        return has;
}

void proven_add(Proven *p, const char *agent_id, const char *key)
{
        uint32_t bits[N_HASHES];

        find_bits(p, agent_id, key, bits);
        for (size_t i = 0; i < N_HASHES; i++)
                p->bits[bits[i] / 64] |= UINT64_C(1) << bits[i] % 64;
}

void proven_remove(Proven *p, const char *agent_id, const char *key)
{
        uint32_t bits[N_HASHES];

        find_bits(p, agent_id, key, bits);
        for (size_t i = 0; i < N_HASHES; i++)
                p->bits[bits[i] / 64] &= ~(UINT64_C(1) << bits[i] % 64);
}
