/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Hashes passwords with argon2id in worker threads, only a few at once because each takes 64 MiB. */

#include "loop/uv-loop.h"

typedef struct PasswordPool PasswordPool;

/* Who asks. Each class has places of its own in the queue, so that none keeps out another, and its turns. */
typedef enum PasswordClass {
        PASSWORD_KNOWN,   /* logs in where the account has logged in before */
        PASSWORD_LOGIN,   /* logs in from elsewhere */
        PASSWORD_ACCOUNT, /* is logged in, or the administrator */
        PASSWORD_OPEN,    /* registers, or resets a password by mail */
        _PASSWORD_CLASS_MAX,
} PasswordClass;

typedef struct PasswordAsker {
        PasswordClass class;
        const char *network; /* of network_of(); NULL: unlimited */
        const char *account; /* NULL: unlimited */
} PasswordAsker;

/* Limits of running and waiting jobs: of a class, of a network in a class, and of an account in a class. More are
 * refused. */
extern const unsigned password_class_max[_PASSWORD_CLASS_MAX];
#define PASSWORD_NETWORK_MAX 8
#define PASSWORD_ACCOUNT_MAX 4

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
 * copied, and the copy is wiped. -EBUSY: the asker has no place left. */
int password_hash(PasswordPool *p, const PasswordAsker *asker, const char *password, password_callback_t callback,
                  void *userdata);

/* hash NULL: the user does not exist; takes as long, and reports -EACCES. */
int password_verify(PasswordPool *p, const PasswordAsker *asker, const char *hash, const char *password,
                    password_callback_t callback, void *userdata);
