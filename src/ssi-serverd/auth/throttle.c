/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "auth/throttle.h"
#include "http/rate-limit.h"

struct LoginAttempt {
        LoginThrottle *throttle;
        char *account, *network, *pair;
        bool counts; /* for the account and the network alone, too */
        struct LoginAttempt *prev, *next;
};

struct LoginThrottle {
        RateLimit *pairs, *accounts, *networks, *sign_ups;
        LoginAttempt *under_way;
        unsigned n_under_way;
};

static int limit_new(unsigned max, unsigned seconds, RateLimit **ret)
{
        return rate_limit_new(max, seconds * USEC_PER_SEC, ret);
}

int login_throttle_new(LoginThrottle **ret)
{
        LoginThrottle *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        if (limit_new(LOGIN_FAILURES_MAX, LOGIN_FAILURES_SEC, &t->pairs) < 0 ||
            limit_new(LOGIN_ACCOUNT_FAILURES_MAX, LOGIN_ACCOUNT_FAILURES_SEC, &t->accounts) < 0 ||
            limit_new(LOGIN_NETWORK_FAILURES_MAX, LOGIN_NETWORK_FAILURES_SEC, &t->networks) < 0 ||
            limit_new(SIGN_UPS_MAX, SIGN_UPS_SEC, &t->sign_ups) < 0) {
                login_throttle_free(t);
                return -ENOMEM;
        }
        *ret = t;
        return 0;
}

LoginThrottle *login_throttle_free(LoginThrottle *t)
{
        if (!t)
                return NULL;
        while (t->under_way)
                login_attempt_free(t->under_way);
        rate_limit_free(t->pairs);
        rate_limit_free(t->accounts);
        rate_limit_free(t->networks);
        rate_limit_free(t->sign_ups);
        free(t);
        return NULL;
}

LoginAttempt *login_attempt_free(LoginAttempt *a)
{
        if (!a)
                return NULL;
        DL_DELETE(a->throttle->under_way, a);
        a->throttle->n_under_way--;
        free(a->account);
        free(a->network);
        free(a->pair);
        free(a);
        return NULL;
}

const char *login_attempt_account(const LoginAttempt *a)
{
        return a->account;
}

static LoginAttempt *attempt_add(LoginThrottle *t, const char *account, const char *network)
{
        LoginAttempt *a = calloc(1, sizeof(*a));

        if (!a)
                return NULL;
        a->throttle = t;
        DL_APPEND(t->under_way, a);
        t->n_under_way++;
        a->account = strdup(account);
        a->network = strdup(network);
        /* An address has no blank. */
        if (asprintf(&a->pair, "%s %s", network, account) < 0)
                a->pair = NULL;
        return a->account && a->network && a->pair ? a : login_attempt_free(a);
}

uint64_t login_attempt_new(LoginThrottle *t, const char *account, const char *network, uint64_t now, LoginAttempt **ret)
{
        LoginAttempt *a, *other;
        unsigned n = 0;
        uint64_t wait;

        a = t->n_under_way < LOGIN_ATTEMPTS_MAX ? attempt_add(t, account, network) : NULL;
        if (!a)
                return 1;
        DL_FOREACH(t->under_way, other)
                n += other != a && streq(other->pair, a->pair);
        wait = rate_limit_check(t->pairs, a->pair, n, now);
        if (wait > 0)
                login_attempt_free(a);
        else
                *ret = a;
        return wait;
}

uint64_t login_attempt_admit(LoginAttempt *a, bool known, uint64_t now)
{
        unsigned same_account = 0, same_network = 0;
        LoginThrottle *t = a->throttle;
        LoginAttempt *other;

        if (known)
                return 0;
        DL_FOREACH(t->under_way, other) {
                same_account += other->counts && streq(other->account, a->account);
                same_network += other->counts && streq(other->network, a->network);
        }
        a->counts = true;
        return MAX(rate_limit_check(t->accounts, a->account, same_account, now),
                   rate_limit_check(t->networks, a->network, same_network, now));
}

void login_attempt_failed(LoginAttempt *a, uint64_t now)
{
        LoginThrottle *t = a->throttle;

        rate_limit_count(t->pairs, a->pair, now);
        if (a->counts) {
                rate_limit_count(t->accounts, a->account, now);
                rate_limit_count(t->networks, a->network, now);
        }
}

uint64_t login_throttle_check_network(LoginThrottle *t, const char *network, uint64_t now)
{
        return rate_limit_check(t->networks, network, 0, now);
}

void login_throttle_network_failed(LoginThrottle *t, const char *network, uint64_t now)
{
        rate_limit_count(t->networks, network, now);
}

uint64_t login_throttle_sign_up(LoginThrottle *t, const char *network, uint64_t now)
{
        return rate_limit_take(t->sign_ups, network, now);
}
