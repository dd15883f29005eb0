/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "http/accept-filter.h"

/* Connections handled in one turn of the event loop. Each may cost a TLS handshake of a millisecond next,
 * and other clients' requests take several turns. */
#define READY_MAX 4

typedef struct Waiting {
        struct Waiting *prev, *next;
        AcceptFilter *filter;
        int fd;
        WheelTimer timer;
} Waiting;

struct AcceptFilter {
        int epoll; /* separate: sd-event would ask for all that are ready before each single one */
        sd_event_source *io;
        Wheel *wheel;
        unsigned seconds, n_waiting;
        Waiting *waiting;
        void (*ready)(int fd, void *userdata);
        void (*gone)(void *userdata);
        void *userdata;
};

/* Returns 1 when there is something to read, 0 at the end, or a negative errno. */
static int peek(int fd)
{
        char c;
        ssize_t n = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

        return n < 0 ? -errno : (int) n;
}

/* Returns its descriptor. */
static int waiting_remove(Waiting *w)
{
        AcceptFilter *f = w->filter;
        int fd = w->fd;

        (void) epoll_ctl(f->epoll, EPOLL_CTL_DEL, fd, NULL);
        wheel_disarm(f->wheel, &w->timer);
        DL_DELETE(f->waiting, w);
        f->n_waiting--;
        free(w);
        return fd;
}

static void waiting_close(Waiting *w)
{
        AcceptFilter *f = w->filter;

        safe_close(waiting_remove(w));
        f->gone(f->userdata);
}

static void waiting_look(Waiting *w)
{
        AcceptFilter *f = w->filter;
        int r;

        r = peek(w->fd);
        if (r > 0)
                f->ready(waiting_remove(w), f->userdata);
        else if (r != -EAGAIN && r != -EINTR)
                waiting_close(w);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct epoll_event events[READY_MAX];
        int n;

        n = epoll_wait(fd, events, READY_MAX, 0);
        for (int i = 0; i < n; i++)
                waiting_look(events[i].data.ptr);
        return 0;
}

static void on_timeout(WheelTimer *t, void *userdata)
{
        waiting_close(userdata);
}

int accept_filter_new(sd_event *event, Wheel *wheel, unsigned seconds, void (*ready)(int fd, void *userdata),
                      void (*gone)(void *userdata), void *userdata, AcceptFilter **ret)
{
        _cleanup_(accept_filter_freep) AcceptFilter *f = NULL;
        int r;

        f = malloc(sizeof(*f));
        if (!f)
                return -ENOMEM;
        *f = (AcceptFilter){
                .epoll = epoll_create1(EPOLL_CLOEXEC),
                .wheel = wheel,
                .seconds = seconds,
                .ready = ready,
                .gone = gone,
                .userdata = userdata,
        };
        if (f->epoll < 0)
                return -errno;
        r = sd_event_add_io(event, &f->io, f->epoll, EPOLLIN, on_io, f);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(f);
        return 0;
}

AcceptFilter *accept_filter_free(AcceptFilter *f)
{
        if (!f)
                return NULL;
        while (f->waiting)
                safe_close(waiting_remove(f->waiting));
        sd_event_source_disable_unref(f->io);
        safe_close(f->epoll);
        free(f);
        return NULL;
}

int accept_filter_add(AcceptFilter *f, int fd)
{
        _cleanup_close_ int owned = fd;
        struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP };
        _cleanup_free_ Waiting *w = NULL;

        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        event.data.ptr = w;
        if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
                return -errno;
        w->filter = f;
        w->fd = TAKE_FD(owned);
        wheel_arm(f->wheel, &w->timer, f->seconds, on_timeout, w);
        DL_APPEND(f->waiting, w);
        f->n_waiting++;
        TAKE_PTR(w);
        return 0;
}

unsigned accept_filter_count(AcceptFilter *f)
{
        return f->n_waiting;
}

bool accept_filter_drop_oldest(AcceptFilter *f)
{
        Waiting *w;

        DL_FOREACH(f->waiting, w)
                if (w->next && peek(w->fd) <= 0) {
                        waiting_close(w);
                        return true;
                }
        return false;
}

void accept_filter_close_silent(AcceptFilter *f)
{
        Waiting *w, *next;

        DL_FOREACH_SAFE(f->waiting, w, next)
                if (peek(w->fd) <= 0)
                        waiting_close(w);
}
