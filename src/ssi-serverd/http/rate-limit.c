/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>

#include "http/rate-limit.h"

/* Each client has a cell in each row, chosen by a keyed hash, so nobody knows who shares it. A cell holds the time at
 * which the allowance of its clients is full again (GCRA, the leaky bucket of ATM); the earliest of a client's cells is
 * closest to the truth. To count, only cells below the new value are raised ("conservative update"). */
#define N_ROWS    4
#define N_COLUMNS 32768

struct RateLimit {
        unsigned char key[crypto_shorthash_siphashx24_KEYBYTES];
        uint64_t interval, span; /* span: of the whole burst */
        uint64_t cells[N_ROWS][N_COLUMNS];
};

int rate_limit_new(unsigned burst, uint64_t interval, RateLimit **ret)
{
        RateLimit *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        l->interval = interval;
        l->span = burst * interval;
        randombytes_buf(l->key, sizeof(l->key));
        *ret = l;
        return 0;
}

RateLimit *rate_limit_free(RateLimit *l)
{
        free(l);
        return NULL;
}

static void find_cells(const RateLimit *l, const char *client, uint32_t ret[static N_ROWS])
{
        _Static_assert(N_ROWS * sizeof(uint32_t) == crypto_shorthash_siphashx24_BYTES, "a hash has all columns");

        crypto_shorthash_siphashx24((unsigned char *) ret, (const unsigned char *) client, strlen(client), l->key);
        for (size_t i = 0; i < N_ROWS; i++)
                ret[i] %= N_COLUMNS;
}

/* How far the client's allowance is from full. */
static uint64_t level_of(const RateLimit *l, const uint32_t columns[static N_ROWS], uint64_t now)
{
        uint64_t earliest = UINT64_MAX;

        for (size_t i = 0; i < N_ROWS; i++)
                earliest = MIN(earliest, l->cells[i][columns[i]]);
        return earliest > now ? earliest - now : 0;
}

uint64_t rate_limit_check(const RateLimit *l, const char *client, unsigned n_more, uint64_t now)
{
        uint32_t columns[N_ROWS];
        uint64_t level;

        find_cells(l, client, columns);
        level = level_of(l, columns, now) + (n_more + UINT64_C(1)) * l->interval;
        return level > l->span ? (level - l->span + USEC_PER_SEC - 1) / USEC_PER_SEC : 0;
}

void rate_limit_count(RateLimit *l, const char *client, uint64_t now)
{
        uint32_t columns[N_ROWS];
        uint64_t value;

        find_cells(l, client, columns);
        value = now + level_of(l, columns, now) + l->interval;
        for (size_t i = 0; i < N_ROWS; i++)
                l->cells[i][columns[i]] = MAX(l->cells[i][columns[i]], value);
}

uint64_t rate_limit_take(RateLimit *l, const char *client, uint64_t now)
{
        uint64_t wait = rate_limit_check(l, client, 0, now);

        if (wait == 0)
                rate_limit_count(l, client, now);
        return wait;
}
