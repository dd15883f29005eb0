/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <sodium.h>

#include "auth/throttle.h"

/* Direct-mapped: if two keys share a slot, the first one keeps it until its window ends, and the other is
 * not counted. The random hash key keeps clients from choosing a slot, and no key is locked out for
 * another's failures. */
#define N_SLOTS 8192

typedef struct Slot {
        uint64_t hash; /* of the counted key */
        uint64_t since;
        unsigned n;
} Slot;

struct LoginThrottle {
        unsigned char key[crypto_shorthash_KEYBYTES];
        Slot slots[N_SLOTS];
};

int login_throttle_new(LoginThrottle **ret)
{
        LoginThrottle *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        crypto_shorthash_keygen(t->key);
        *ret = t;
        return 0;
}

LoginThrottle *login_throttle_free(LoginThrottle *t)
{
        free(t);
        return NULL;
}

static uint64_t hash_of(LoginThrottle *t, char kind, const char *s)
{
        unsigned char hash[crypto_shorthash_BYTES];
        char folded[256];
        uint64_t value;
        size_t n = 0;

        folded[n++] = kind;
        for (; *s && n < sizeof(folded); s++)
                folded[n++] = (char) tolower((unsigned char) *s);
        crypto_shorthash(hash, (const unsigned char *) folded, n, t->key);
        memcpy(&value, hash, sizeof(value));
        return value;
}

static uint64_t wait_of(LoginThrottle *t, uint64_t hash, unsigned max, uint64_t now)
{
        const Slot *slot = &t->slots[hash % N_SLOTS];
        uint64_t end = slot->since + LOGIN_WINDOW_SEC;

        return slot->hash == hash && slot->n >= max && end > now ? end - now : 0;
}

uint64_t login_throttle_check(LoginThrottle *t, const char *account, const char *peer, uint64_t now)
{
        return MAX(account ? wait_of(t, hash_of(t, 'a', account), LOGIN_FAILURES_MAX, now) : 0,
                   wait_of(t, hash_of(t, 'p', peer), LOGIN_PEER_FAILURES_MAX, now));
}

static void count(LoginThrottle *t, uint64_t hash, uint64_t now)
{
        Slot *slot = &t->slots[hash % N_SLOTS];

        if (slot->since + LOGIN_WINDOW_SEC <= now)
                *slot = (Slot){ .hash = hash, .since = now };
        if (slot->hash == hash)
                slot->n++;
}

void login_throttle_failed(LoginThrottle *t, const char *account, const char *peer, uint64_t now)
{
        if (account)
                count(t, hash_of(t, 'a', account), now);
        count(t, hash_of(t, 'p', peer), now);
}

uint64_t login_throttle_begin(LoginThrottle *t, const char *account, const char *peer, uint64_t now)
{
        uint64_t wait = login_throttle_check(t, account, peer, now);

        if (wait == 0)
                login_throttle_failed(t, account, peer, now);
        return wait;
}

static void uncount(LoginThrottle *t, uint64_t hash, uint64_t now)
{
        Slot *slot = &t->slots[hash % N_SLOTS];

        if (slot->hash == hash && slot->n > 0 && slot->since + LOGIN_WINDOW_SEC > now)
                slot->n--;
}

void login_throttle_take_back(LoginThrottle *t, const char *account, const char *peer, uint64_t now)
{
        if (account)
                uncount(t, hash_of(t, 'a', account), now);
        uncount(t, hash_of(t, 'p', peer), now);
}
