/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Passwords: argon2id in worker threads, a few at once because each takes 64 MiB. */

#include "loop/uv-loop.h"

typedef struct PasswordPool PasswordPool;

/* May be running or waiting; more are refused. */
#define PASSWORD_JOBS_MAX 64

/* r: 0 with the hash (valid during the call; only of password_hash()), -EACCES when the password is another one,
 * -ENOMEM. */
typedef void (*password_callback_t)(int r, const char *hash, void *userdata);

/* concurrency: hashes at once, at most; never on more than half of the processors, for the sake of the other requests. */
int password_pool_new(UvBridge *uv, unsigned concurrency, PasswordPool **ret);
/* Only when nothing runs any more: after uv_bridge_free(). Drops what waits, without a call. */
PasswordPool *password_pool_free(PasswordPool *p);
DEFINE_CLEANUP(PasswordPool *, password_pool_free);

/* The callback comes once, from the event loop, unless -EBUSY or -ENOMEM is returned. The password is copied, and the
 * copy wiped. */
int password_hash(PasswordPool *p, const char *password, password_callback_t callback, void *userdata);

/* hash NULL: there is no such user; takes as long, and says -EACCES. */
int password_verify(PasswordPool *p, const char *hash, const char *password, password_callback_t callback,
                    void *userdata);
