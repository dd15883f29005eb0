/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "http/listen.h"

/* Connections accepted per turn of the event loop, so that a flood does not starve the others. */
#define ACCEPT_MAX      64
#define FULL_PAUSE_USEC (USEC_PER_SEC / 2)

struct Listener {
        int fd;
        bool paused;
        sd_event_source *io, *retry;
        void (*accepted)(int fd, void *userdata);
        void *userdata;
};

union sockaddr_any {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
};

static void set_option(int fd, int level, int option, int value)
{
        /* These are only optimizations; a socket without the option works, too. */
        (void) setsockopt(fd, level, option, &value, sizeof(value));
}

static void tune(int fd)
{
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
        set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
        set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
        /* Ends a connection whose peer no longer reads, even if it still answers (ms). */
        set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 45000);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        Listener *l = userdata;

        return sd_event_source_set_enabled(l->io, l->paused ? SD_EVENT_OFF : SD_EVENT_ON);
}

static int on_accept(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Listener *l = userdata;

        for (unsigned i = 0; i < ACCEPT_MAX && !l->paused; i++) {
                /* cppcheck-suppress nullPointer ; nobody is asked for the address */
                int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (conn < 0) {
                        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                                /* The socket stays readable: try again when a descriptor may have been
                                 * freed. */
                                (void) sd_event_source_set_enabled(l->io, SD_EVENT_OFF);
                                (void) sd_event_source_set_time_relative(l->retry, FULL_PAUSE_USEC);
                                return sd_event_source_set_enabled(l->retry, SD_EVENT_ONESHOT);
                        }
                        if (errno == EAGAIN)
                                return 0;
                        continue; /* this connection has already failed; the next one may be fine */
                }
                tune(conn);
                l->accepted(conn, l->userdata);
        }
        return 0;
}

int listener_new(sd_event *event, int fd, void (*accepted)(int fd, void *userdata), void *userdata, Listener **ret)
{
        _cleanup_(listener_freep) Listener *l = NULL;
        int r;

        r = fcntl(fd, F_GETFL);
        if (r < 0 || fcntl(fd, F_SETFL, r | O_NONBLOCK) < 0)
                return -errno;
        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->fd = -EBADF;
        l->accepted = accepted;
        l->userdata = userdata;
        r = sd_event_add_io(event, &l->io, fd, EPOLLIN, on_accept, l);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(event, &l->retry, CLOCK_MONOTONIC, 0, 0, on_retry, l);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(l->retry, SD_EVENT_OFF);
        if (r < 0)
                return r;
        l->fd = fd;
        *ret = TAKE_PTR(l);
        return 0;
}

Listener *listener_free(Listener *l)
{
        if (!l)
                return NULL;
        sd_event_source_disable_unref(l->io);
        sd_event_source_disable_unref(l->retry);
        safe_close(l->fd);
        free(l);
        return NULL;
}

void listener_pause(Listener *l, bool pause)
{
        l->paused = pause;
        (void) sd_event_source_set_enabled(l->io, pause ? SD_EVENT_OFF : SD_EVENT_ON);
}

static int parse_port(const char *s, in_port_t *ret)
{
        unsigned v;
        int r;

        r = parse_unsigned(s, UINT16_MAX, &v);
        if (r >= 0)
                *ret = htons((uint16_t) v);
        return r;
}

static int parse_address(const char *address, union sockaddr_any *ret, socklen_t *ret_size)
{
        char host[INET6_ADDRSTRLEN + 2];
        const char *colon;
        in_port_t port;
        size_t n;

        if (address[0] == '/') {
                if (strlen(address) >= sizeof(ret->un.sun_path))
                        return -EINVAL;
                *ret = (union sockaddr_any){ .un.sun_family = AF_UNIX };
                memcpy(ret->un.sun_path, address, strlen(address) + 1);
                *ret_size = sizeof(ret->un);
                return 0;
        }
        colon = strrchr(address, ':');
        if (!colon || parse_port(colon + 1, &port) < 0)
                return -EINVAL;
        n = (size_t) (colon - address);
        if (n >= sizeof(host))
                return -EINVAL;
        memcpy(host, address, n);
        host[n] = '\0';
        if (streq(host, "*")) {
                *ret = (union sockaddr_any){ .in6 = { .sin6_family = AF_INET6, .sin6_port = port } };
                *ret_size = sizeof(ret->in6);
                return 0;
        }
        if (host[0] == '[' && host[n - 1] == ']') {
                host[n - 1] = '\0';
                *ret = (union sockaddr_any){ .in6 = { .sin6_family = AF_INET6, .sin6_port = port } };
                *ret_size = sizeof(ret->in6);
                return inet_pton(AF_INET6, host + 1, &ret->in6.sin6_addr) == 1 ? 0 : -EINVAL;
        }
        *ret = (union sockaddr_any){ .in = { .sin_family = AF_INET, .sin_port = port } };
        *ret_size = sizeof(ret->in);
        return inet_pton(AF_INET, host, &ret->in.sin_addr) == 1 ? 0 : -EINVAL;
}

int listen_open(const char *address, int *ret_fd)
{
        _cleanup_close_ int fd = -EBADF;
        union sockaddr_any a;
        socklen_t size;
        int r;

        r = parse_address(address, &a, &size);
        if (r < 0)
                return r;
        fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (bind(fd, &a.sa, size) < 0 || listen(fd, SOMAXCONN) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int listen_is_local(int fd)
{
        union sockaddr_any a = {};
        socklen_t size = sizeof(a);

        if (getsockname(fd, &a.sa, &size) < 0)
                return -errno;
        switch (a.sa.sa_family) {
        case AF_UNIX:
                return true;
        case AF_INET:
                return (ntohl(a.in.sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
        case AF_INET6:
                if (IN6_IS_ADDR_V4MAPPED(&a.in6.sin6_addr))
                        return a.in6.sin6_addr.s6_addr[12] == IN_LOOPBACKNET;
                return IN6_IS_ADDR_LOOPBACK(&a.in6.sin6_addr);
        default:
                return -EAFNOSUPPORT;
        }
}
