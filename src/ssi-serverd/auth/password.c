/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>
#include <utlist.h>

#include "auth/password.h"
#include "loop/uv-loop-internal.h"
#include "loop/worker.h"

#define OPSLIMIT crypto_pwhash_OPSLIMIT_INTERACTIVE
#define MEMLIMIT crypto_pwhash_MEMLIMIT_INTERACTIVE

typedef struct PasswordJob {
        PasswordPool *pool;
        char *password;
        bool verify;
        bool known; /* for verify: hash belongs to a user */
        char hash[crypto_pwhash_STRBYTES];
        int r;
        password_callback_t callback;
        void *userdata;
        struct PasswordJob *prev, *next;
} PasswordJob;

struct PasswordPool {
        UvBridge *uv;
        unsigned concurrency;
        unsigned n_running, n_jobs;
        PasswordJob *waiting;
};

static void pool_dispatch(PasswordPool *p);

static void job_free(PasswordJob *j)
{
        if (j->password) {
                sodium_memzero(j->password, strlen(j->password));
                free(j->password);
        }
        free(j);
}

/* Runs in a worker thread. */
static void job_work(void *userdata)
{
        PasswordJob *j = userdata;
        size_t n = strlen(j->password);

        if (j->known)
                j->r = crypto_pwhash_str_verify(j->hash, j->password, n) == 0 ? 0 : -EACCES;
        else if (crypto_pwhash_str(j->hash, j->password, n, OPSLIMIT, MEMLIMIT) != 0)
                j->r = -ENOMEM;
        else
                j->r = j->verify ? -EACCES : 0;
}

static void job_done(void *userdata)
{
        PasswordJob *j = userdata;
        PasswordPool *p = j->pool;

        p->n_running--;
        p->n_jobs--;
        j->callback(j->r, j->verify || j->r < 0 ? NULL : j->hash, j->userdata);
        job_free(j);
        pool_dispatch(p);
}

static void pool_dispatch(PasswordPool *p)
{
        while (p->waiting && p->n_running < p->concurrency) {
                PasswordJob *j = p->waiting;
                int r;

                DL_DELETE(p->waiting, j);
                r = worker_run(p->uv, job_work, job_done, j);
                if (r < 0) {
                        /* The threads are busy with other work: try again when one of our jobs ends. */
                        DL_PREPEND(p->waiting, j);
                        if (p->n_running > 0)
                                return;
                        DL_DELETE(p->waiting, j);
                        p->n_jobs--;
                        j->callback(-ENOMEM, NULL, j->userdata);
                        job_free(j);
                        continue;
                }
                p->n_running++;
        }
}

static int pool_add(PasswordPool *p, const char *password, const char *hash, bool verify, password_callback_t callback,
                    void *userdata)
{
        PasswordJob *j;
        int r;

        if (p->n_jobs >= PASSWORD_JOBS_MAX)
                return -EBUSY;
        j = calloc(1, sizeof(*j));
        if (!j)
                return -ENOMEM;
        *j = (PasswordJob){
                .pool = p,
                .password = strdup(password),
                .verify = verify,
                .known = hash != NULL,
                .callback = callback,
                .userdata = userdata,
        };
        if (hash)
                snprintf(j->hash, sizeof(j->hash), "%s", hash);
        if (!j->password) {
                job_free(j);
                return -ENOMEM;
        }
        if (p->n_running < p->concurrency) {
                r = worker_run(p->uv, job_work, job_done, j);
                if (r < 0) {
                        job_free(j);
                        return r;
                }
                p->n_running++;
        } else
                DL_APPEND(p->waiting, j);
        p->n_jobs++;
        return 0;
}

int password_pool_new(UvBridge *uv, unsigned concurrency, PasswordPool **ret)
{
        PasswordPool *p;

        if (sodium_init() < 0)
                return -EIO;
        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->uv = uv;
        p->concurrency = MAX(1U, MIN(concurrency, uv_available_parallelism() / 2));
        *ret = p;
        return 0;
}

PasswordPool *password_pool_free(PasswordPool *p)
{
        PasswordJob *j, *tmp;

        if (!p)
                return NULL;
        DL_FOREACH_SAFE(p->waiting, j, tmp)
                job_free(j);
        free(p);
        return NULL;
}

int password_hash(PasswordPool *p, const char *password, password_callback_t callback, void *userdata)
{
        return pool_add(p, password, NULL, false, callback, userdata);
}

int password_verify(PasswordPool *p, const char *hash, const char *password, password_callback_t callback,
                    void *userdata)
{
        return pool_add(p, password, hash, true, callback, userdata);
}
