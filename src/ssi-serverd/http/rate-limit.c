/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>

#include "http/rate-limit.h"

/* Each slot holds the time at which its client's allowance is full again (GCRA, the leaky bucket of ATM).
 * Direct-mapped: a slot that is in use stays with its client, and another client that maps to it is not
 * limited until then. The random hash key keeps clients from choosing their slot. */
#define N_SLOTS 8192

typedef struct Slot {
        uint64_t hash;
        uint64_t free_at; /* usec */
} Slot;

struct RateLimit {
        unsigned char key[crypto_shorthash_KEYBYTES];
        uint64_t interval; /* usec per request */
        Slot slots[N_SLOTS];
};

int rate_limit_new(unsigned per_second, RateLimit **ret)
{
        RateLimit *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        l->interval = USEC_PER_SEC / per_second;
        crypto_shorthash_keygen(l->key);
        *ret = l;
        return 0;
}

RateLimit *rate_limit_free(RateLimit *l)
{
        free(l);
        return NULL;
}

uint64_t rate_limit_take(RateLimit *l, const char *client, uint64_t now)
{
        unsigned char bytes[crypto_shorthash_BYTES];
        uint64_t hash;
        Slot *slot;

        crypto_shorthash(bytes, (const unsigned char *) client, strlen(client), l->key);
        memcpy(&hash, bytes, sizeof(hash));
        slot = &l->slots[hash % N_SLOTS];
        if (slot->free_at <= now)
                *slot = (Slot){ .hash = hash, .free_at = now };
        else if (slot->hash != hash)
                return 0;
        if (slot->free_at - now > RATE_BURST_SEC * USEC_PER_SEC - l->interval)
                return (slot->free_at - now - (RATE_BURST_SEC * USEC_PER_SEC - l->interval)) / USEC_PER_SEC + 1;
        slot->free_at += l->interval;
        return 0;
}
