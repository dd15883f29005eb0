/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Hashes passwords with argon2id in worker threads, only a few at once because each takes 64 MiB. */

#include "loop/uv-loop.h"

typedef struct PasswordPool PasswordPool;

/* Limit of running and waiting jobs; more are refused. */
#define PASSWORD_JOBS_MAX 64

/* r: 0 with the hash (valid during the call; only from password_hash()), -EACCES when the password is wrong,
 * -ENOMEM. */
typedef void (*password_callback_t)(int r, const char *hash, void *userdata);

/* concurrency: the most hashes at once; never uses more than half of the processors, to leave some for other
 * requests. */
int password_pool_new(UvBridge *uv, unsigned concurrency, PasswordPool **ret);
/* Only when no job runs any more: after uv_bridge_free(). Drops waiting jobs without calling back. */
PasswordPool *password_pool_free(PasswordPool *p);
DEFINE_CLEANUP(PasswordPool *, password_pool_free);

/* The callback is called once, from the event loop, unless this returns -EBUSY or -ENOMEM. The password is
 * copied, and the copy is wiped. */
int password_hash(PasswordPool *p, const char *password, password_callback_t callback, void *userdata);

/* hash NULL: the user does not exist; takes as long, and reports -EACCES. */
int password_verify(PasswordPool *p, const char *hash, const char *password, password_callback_t callback,
                    void *userdata);
