/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>
#include <utlist.h>

#include "auth/password.h"
#include "loop/uv-loop-internal.h"
#include "loop/worker.h"

#define OPSLIMIT crypto_pwhash_OPSLIMIT_INTERACTIVE
#define MEMLIMIT crypto_pwhash_MEMLIMIT_INTERACTIVE

/* Whose turn it is first; if nobody of that class waits, the classes take it in their order. Jobs are not interrupted, so
 * a log-in waits for one that runs, and seldom for another. */
static const PasswordClass turns[] = {
        PASSWORD_KNOWN, PASSWORD_LOGIN, PASSWORD_KNOWN, PASSWORD_ACCOUNT,
        PASSWORD_KNOWN, PASSWORD_LOGIN, PASSWORD_KNOWN, PASSWORD_OPEN,
};

const unsigned password_class_max[_PASSWORD_CLASS_MAX] = {
        [PASSWORD_KNOWN] = 32,
        [PASSWORD_LOGIN] = 32,
        [PASSWORD_ACCOUNT] = 16,
        [PASSWORD_OPEN] = 16,
};

typedef struct PasswordJob {
        PasswordPool *pool;
        PasswordClass class;
        char *network, *account;
        unsigned rank; /* how many jobs of the same network or account were there before it */
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
        unsigned n_running, turn;
        /* The waiting ones by rank, so networks and accounts take turns. */
        PasswordJob *waiting[_PASSWORD_CLASS_MAX], *running;
};

static void pool_dispatch(PasswordPool *p);

static PasswordJob *job_free(PasswordJob *j)
{
        if (!j)
                return NULL;
        if (j->password) {
                sodium_memzero(j->password, strlen(j->password));
                free(j->password);
        }
        free(j->network);
        free(j->account);
        free(j);
        return NULL;
}
DEFINE_CLEANUP(PasswordJob *, job_free);

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
        DL_DELETE(p->running, j);
        pool_dispatch(p); /* those who wait come before what the callback adds */
        j->callback(j->r, j->verify || j->r < 0 ? NULL : j->hash, j->userdata);
        job_free(j);
}

static int job_start(PasswordJob *j)
{
        PasswordPool *p = j->pool;
        int r;

        r = worker_run(p->uv, job_work, job_done, j);
        if (r < 0)
                return r;
        DL_APPEND(p->running, j);
        p->n_running++;
        return 0;
}

/* The job whose turn it is; NULL if none waits. */
static PasswordJob *pool_next(PasswordPool *p)
{
        PasswordClass class = turns[p->turn];

        for (size_t i = 0; !p->waiting[class] && i < _PASSWORD_CLASS_MAX; i++)
                class = (PasswordClass) i;
        return p->waiting[class];
}

static void pool_dispatch(PasswordPool *p)
{
        PasswordJob *j;

        while (p->n_running < p->concurrency && (j = pool_next(p))) {
                DL_DELETE(p->waiting[j->class], j);
                if (job_start(j) < 0) {
                        /* The threads are busy with other work: try again when one of our jobs ends. */
                        if (p->n_running > 0) {
                                DL_PREPEND(p->waiting[j->class], j);
                                return;
                        }
                        j->callback(-ENOMEM, NULL, j->userdata);
                        job_free(j);
                        continue;
                }
                p->turn = (p->turn + 1) % ELEMENTSOF(turns);
        }
}

typedef struct Count {
        unsigned class, network, account;
} Count;

static bool is_same(const char *a, const char *b)
{
        return a && b && streq(a, b);
}

static void count_list(const PasswordJob *list, const PasswordJob *j, Count *n)
{
        const PasswordJob *other;

        DL_FOREACH(list, other) {
                if (other->class != j->class)
                        continue;
                n->class ++;
                n->network += is_same(other->network, j->network);
                n->account += is_same(other->account, j->account);
        }
}

/* Finds the job's place; -EBUSY if its share is used up. */
static int pool_admit(PasswordPool *p, PasswordJob *j)
{
        Count n = {};

        count_list(p->running, j, &n);
        count_list(p->waiting[j->class], j, &n);
        if (n.class >= password_class_max[j->class] || n.network >= PASSWORD_NETWORK_MAX ||
            n.account >= PASSWORD_ACCOUNT_MAX)
                return -EBUSY;
        j->rank = MAX(n.network, n.account);
        return 0;
}

static int by_rank(const PasswordJob *a, const PasswordJob *b)
{
        return a->rank > b->rank ? 1 : -1; /* after those of the same rank */
}

static int pool_add(PasswordPool *p, const PasswordAsker *asker, const char *password, const char *hash, bool verify,
                    password_callback_t callback, void *userdata)
{
        _cleanup_(job_freep) PasswordJob *j = calloc(1, sizeof(*j));
        int r;

        if (!j)
                return -ENOMEM;
        *j = (PasswordJob){
                .pool = p,
                .class = asker->class,
                .verify = verify,
                .known = hash != NULL,
                .callback = callback,
                .userdata = userdata,
        };
        if (hash)
                snprintf(j->hash, sizeof(j->hash), "%s", hash);
        if (free_and_strdup(&j->password, password) < 0 || free_and_strdup(&j->network, asker->network) < 0 ||
            free_and_strdup(&j->account, asker->account) < 0)
                return -ENOMEM;
        r = pool_admit(p, j);
        if (r < 0)
                return r;
        if (p->n_running < p->concurrency) {
                r = job_start(j);
                if (r < 0)
                        return r;
        } else
                DL_INSERT_INORDER(p->waiting[j->class], j, by_rank);
        TAKE_PTR(j);
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
        for (size_t i = 0; i < ELEMENTSOF(p->waiting); i++)
                DL_FOREACH_SAFE(p->waiting[i], j, tmp)
                        job_free(j);
        free(p);
        return NULL;
}

int password_hash(PasswordPool *p, const PasswordAsker *asker, const char *password, password_callback_t callback,
                  void *userdata)
{
        return pool_add(p, asker, password, NULL, false, callback, userdata);
}

int password_verify(PasswordPool *p, const PasswordAsker *asker, const char *hash, const char *password,
                    password_callback_t callback, void *userdata)
{
        return pool_add(p, asker, password, hash, true, callback, userdata);
}
