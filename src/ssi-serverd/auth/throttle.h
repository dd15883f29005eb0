/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Limits guessing. Failed log-ins are counted three ways: by account and network together, by account, and by network
 * (docs/adr/0040). Where the account has logged in from the network before, only the first counts: what others do
 * elsewhere locks nobody out at home. */

#include "shared/util.h"

/* At once (MAX); then one each so many seconds (SEC). No account is guessed at more than a hundred times in an hour. */
#define LOGIN_FAILURES_MAX         10 /* per account and network */
#define LOGIN_FAILURES_SEC         45
#define LOGIN_ACCOUNT_FAILURES_MAX 30 /* per account, from networks where it is not known */
#define LOGIN_ACCOUNT_FAILURES_SEC 60
#define LOGIN_NETWORK_FAILURES_MAX 50
#define LOGIN_NETWORK_FAILURES_SEC 6
#define SIGN_UPS_MAX               20 /* per network */
#define SIGN_UPS_SEC               15

/* At once, of all accounts; further ones are refused. */
#define LOGIN_ATTEMPTS_MAX 1024

typedef struct LoginThrottle LoginThrottle;
typedef struct LoginAttempt LoginAttempt;

int login_throttle_new(LoginThrottle **ret);
/* When no attempt is left. */
LoginThrottle *login_throttle_free(LoginThrottle *t);

/* An attempt whose check takes time. It counts from the start, so that many at once do not exceed a limit. Returns 0 with
 * the attempt, or the seconds to wait. account: folded (email_fold()). network: of network_of(). now: usec of a monotonic
 * clock. */
uint64_t login_attempt_new(LoginThrottle *t, const char *account, const char *network, uint64_t now,
                           LoginAttempt **ret);
/* Borrowed. */
const char *login_attempt_account(const LoginAttempt *a);
/* The second step, when it is clear whether the account is known in this network. Returns the seconds to wait. */
uint64_t login_attempt_admit(LoginAttempt *a, bool known, uint64_t now);
/* The password was wrong. */
void login_attempt_failed(LoginAttempt *a, uint64_t now);
LoginAttempt *login_attempt_free(LoginAttempt *a);

/* Guesses at what names no account: a login code, the token of a mail. */
uint64_t login_throttle_check_network(LoginThrottle *t, const char *network, uint64_t now);
void login_throttle_network_failed(LoginThrottle *t, const char *network, uint64_t now);

/* Counts a registration; returns the seconds to wait. */
uint64_t login_throttle_sign_up(LoginThrottle *t, const char *network, uint64_t now);
