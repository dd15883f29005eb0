/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Counts failed logins per account and per peer, in a table of fixed size. */

#include "shared/util.h"

#define LOGIN_FAILURES_MAX      10 /* per account */
#define LOGIN_PEER_FAILURES_MAX 50
#define LOGIN_WINDOW_SEC        300

typedef struct LoginThrottle LoginThrottle;

int login_throttle_new(LoginThrottle **ret);
LoginThrottle *login_throttle_free(LoginThrottle *t);

/* account: NULL if none is named. now: s. Returns 0 if an attempt is allowed, otherwise the seconds to
 * wait. */
uint64_t login_throttle_check(LoginThrottle *t, const char *account, const char *peer, uint64_t now);
void login_throttle_failed(LoginThrottle *t, const char *account, const char *peer, uint64_t now);

/* Checks and counts at once, for an attempt whose check takes time: counting it from the start keeps many
 * parallel attempts from exceeding the limit. Take back the count if the attempt did not fail. */
uint64_t login_throttle_begin(LoginThrottle *t, const char *account, const char *peer, uint64_t now);
void login_throttle_take_back(LoginThrottle *t, const char *account, const char *peer, uint64_t now);
