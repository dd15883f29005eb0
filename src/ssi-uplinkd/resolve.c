/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include "resolve.h"

/* Shared by the thread and the event loop. The last user frees it. */
typedef struct Lookup {
        atomic_uint n_ref;
        int ready_fd; /* an eventfd; after its signal, only the loop uses the fields below */
        char *host;
        struct addrinfo hints;
        struct addrinfo *addresses;
        int error;
} Lookup;

struct Resolve {
        Lookup *lookup;
        sd_event_source *source;
        resolve_done_t done;
        void *userdata;
};

static void lookup_unref(Lookup *l)
{
        if (atomic_fetch_sub(&l->n_ref, 1) > 1)
                return;
        if (l->addresses)
                freeaddrinfo(l->addresses);
        safe_close(l->ready_fd);
        free(l->host);
        free(l);
}
DEFINE_CLEANUP(Lookup *, lookup_unref);

static void look_up(Lookup *l)
{
        l->error = getaddrinfo(l->host, NULL, &l->hints, &l->addresses);
        if (l->error != 0)
                l->addresses = NULL;
        (void) eventfd_write(l->ready_fd, 1);
}

static void *thread_main(void *userdata)
{
        look_up(userdata);
        lookup_unref(userdata);
        return NULL;
}

static int lookup_new(const char *host, int flags, Lookup **ret)
{
        _cleanup_(lookup_unrefp) Lookup *l = NULL;

        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        atomic_init(&l->n_ref, 1);
        l->hints = (struct addrinfo){ .ai_socktype = SOCK_STREAM, .ai_flags = flags };
        l->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (l->ready_fd < 0)
                return -errno;
        l->host = strdup(host);
        if (!l->host)
                return -ENOMEM;
        *ret = TAKE_PTR(l);
        return 0;
}

static int start_thread(Lookup *l)
{
        pthread_attr_t attributes;
        pthread_t thread;
        int r;

        r = pthread_attr_init(&attributes);
        if (r != 0)
                return -r;
        (void) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        atomic_fetch_add(&l->n_ref, 1);
        r = pthread_create(&thread, &attributes, thread_main, l);
        if (r != 0)
                lookup_unref(l);
        pthread_attr_destroy(&attributes);
        return -r;
}

static int on_ready(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Resolve *r = userdata;
        resolve_done_t done = r->done;
        void *done_userdata = r->userdata;
        struct addrinfo *addresses = TAKE_PTR(r->lookup->addresses);
        int error = r->lookup->error;

        resolve_cancel(r);
        done(error, addresses, done_userdata);
        return 0;
}

int resolve_start(sd_event *event, const char *host, int flags, resolve_done_t done, void *userdata, Resolve **ret)
{
        _cleanup_(lookup_unrefp) Lookup *l = NULL;
        _cleanup_free_ Resolve *r = NULL;
        int k;

        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        k = lookup_new(host, flags, &l);
        if (k < 0)
                return k;
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): set when k >= 0 */
        k = sd_event_add_io(event, &r->source, l->ready_fd, EPOLLIN, on_ready, r);
        if (k < 0)
                return k;
        if (flags & AI_NUMERICHOST)
                look_up(l);
        else
                k = start_thread(l);
        if (k < 0) {
                sd_event_source_disable_unref(r->source);
                return k;
        }
        r->lookup = TAKE_PTR(l);
        r->done = done;
        r->userdata = userdata;
        *ret = TAKE_PTR(r);
        return 0;
}

Resolve *resolve_cancel(Resolve *r)
{
        if (!r)
                return NULL;
        sd_event_source_disable_unref(r->source);
        lookup_unref(r->lookup);
        free(r);
        return NULL;
}
