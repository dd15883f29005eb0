#include <ctype.h>
#include <sodium.h>

#include "auth-throttle.h"

/* Direct-mapped: two keys of one slot share its count, which the random hash key makes nobody's choice. */
#define N_SLOTS 8192

typedef struct Slot {
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

static Slot *slot_of(LoginThrottle *t, char kind, const char *s)
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
        return &t->slots[value % N_SLOTS];
}

static uint64_t wait_of(const Slot *slot, unsigned max, uint64_t now)
{
        uint64_t end = slot->since + LOGIN_WINDOW_SEC;

        return slot->n >= max && end > now ? end - now : 0;
}

uint64_t login_throttle_check(LoginThrottle *t, const char *account, const char *peer, uint64_t now)
{
        return MAX(wait_of(slot_of(t, 'a', account), LOGIN_FAILURES_MAX, now),
                   wait_of(slot_of(t, 'p', peer), LOGIN_PEER_FAILURES_MAX, now));
}

static void count(Slot *slot, uint64_t now)
{
        if (slot->since + LOGIN_WINDOW_SEC <= now)
                *slot = (Slot){ .since = now };
        slot->n++;
}

void login_throttle_failed(LoginThrottle *t, const char *account, const char *peer, uint64_t now)
{
        count(slot_of(t, 'a', account), now);
        count(slot_of(t, 'p', peer), now);
}
