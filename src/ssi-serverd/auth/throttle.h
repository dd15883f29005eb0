/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Counts failed logins by account and by peer, in a table of fixed size. */

#include "shared/util.h"

#define LOGIN_FAILURES_MAX      10 /* per account */
#define LOGIN_PEER_FAILURES_MAX 50
#define LOGIN_WINDOW_SEC        300

typedef struct LoginThrottle LoginThrottle;

int login_throttle_new(LoginThrottle **ret);
LoginThrottle *login_throttle_free(LoginThrottle *t);

/* account: NULL where none is named. now: s. 0 when an attempt is fine, else how many seconds to wait. */
uint64_t login_throttle_check(LoginThrottle *t, const char *account, const char *peer, uint64_t now);
void login_throttle_failed(LoginThrottle *t, const char *account, const char *peer, uint64_t now);

/* The same two at once, for an attempt whose check takes time: it counts from its begin, so that many at once are no more
 * than many one after the other. What was no failure after all is taken back. */
uint64_t login_throttle_begin(LoginThrottle *t, const char *account, const char *peer, uint64_t now);
void login_throttle_take_back(LoginThrottle *t, const char *account, const char *peer, uint64_t now);
