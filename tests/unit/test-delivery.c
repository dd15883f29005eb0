/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "notify/delivery.h"
#include "test.h"

/* Receivers with several addresses, some of them private. The test resolves their name itself and leads connections to a
 * public address to a server of its own: getaddrinfo() and connect() below come before those of libc. */

#define PUBLIC  "8.8.8.8"
#define OTHER   "8.8.4.4"
#define PRIVATE "10.0.0.1"
#define LOCAL6  "fd12::1"

/* For libraries, too. */
#define INSTEAD_OF_LIBC __attribute__((visibility("default")))

static const char *const *resolved; /* the addresses of every name */
static struct sockaddr_in server;
static bool reachable; /* whether PUBLIC is */
static unsigned private_connects;

static struct addrinfo *make_address(const char *text, int port)
{
        struct addrinfo *a = calloc(1, sizeof(*a));
        struct sockaddr_in6 *in6 = calloc(1, sizeof(*in6));
        struct sockaddr_in *in = (struct sockaddr_in *) (void *) in6;

        assert_true(a && in6);
        a->ai_socktype = SOCK_STREAM;
        a->ai_protocol = IPPROTO_TCP;
        a->ai_addr = (struct sockaddr *) in6;
        if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
                in->sin_family = AF_INET;
                in->sin_port = htons((uint16_t) port);
                a->ai_addrlen = sizeof(*in);
        } else {
                assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
                in6->sin6_family = AF_INET6;
                in6->sin6_port = htons((uint16_t) port);
                a->ai_addrlen = sizeof(*in6);
        }
        a->ai_family = a->ai_addr->sa_family;
        return a;
}

INSTEAD_OF_LIBC int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                                struct addrinfo **ret)
{
        struct addrinfo **end = ret;

        *ret = NULL;
        for (const char *const *i = resolved; *i; i++) {
                *end = make_address(*i, service ? atoi(service) : 0);
                end = &(*end)->ai_next;
        }
        return 0;
}

INSTEAD_OF_LIBC void freeaddrinfo(struct addrinfo *list)
{
        while (list) {
                struct addrinfo *next = list->ai_next;

                free(list->ai_addr);
                free(list);
                list = next;
        }
}

INSTEAD_OF_LIBC int connect(int fd, const struct sockaddr *address, socklen_t length)
{
        static int (*next)(int, const struct sockaddr *, socklen_t);
        const struct sockaddr_in *in = (const struct sockaddr_in *) (const void *) address;
        char text[INET_ADDRSTRLEN] = "";

        if (!next)
                next = (int (*)(int, const struct sockaddr *, socklen_t)) dlsym(RTLD_NEXT, "connect");
        if (address->sa_family == AF_INET)
                (void) inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
        if (streq(text, PUBLIC) && reachable)
                return next(fd, (const struct sockaddr *) &server, sizeof(server));
        if (streq(text, PUBLIC) || streq(text, OTHER)) {
                errno = ECONNREFUSED;
                return -1;
        }
        if (address->sa_family == AF_INET || address->sa_family == AF_INET6)
                private_connects++;
        return next(fd, address, length);
}

/* ---- The server: one connection. It is slow to accept it, so that libcurl tries the next address meanwhile ---- */

typedef struct Server {
        pthread_t thread;
        int listener, filler; /* the queue holds one connection, until it is taken out */
        bool slow;
} Server;

static void *serve(void *userdata)
{
        static const char answer[] = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
        Server *s = userdata;
        char request[4096];
        int fd;

        if (s->slow) {
                (void) poll(NULL, 0, 700);
                close(accept(s->listener, NULL, NULL));
        }
        fd = accept(s->listener, NULL, NULL);
        if (fd < 0)
                return NULL;
        /* Whoever sees no answer says so. */
        if (read(fd, request, sizeof(request)) > 0 && write(fd, answer, strlen(answer)) < 0)
                (void) 0;
        close(fd);
        return NULL;
}

static void server_start(Server *s, bool slow)
{
        socklen_t length = sizeof(server);

        *s = (Server){ .slow = slow, .filler = -EBADF };
        s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        assert_int_equal(bind(s->listener, (struct sockaddr *) &server, length), 0);
        assert_int_equal(getsockname(s->listener, (struct sockaddr *) &server, &length), 0);
        assert_int_equal(listen(s->listener, slow ? 0 : 8), 0);
        if (slow) {
                s->filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                assert_int_equal(connect(s->filler, (struct sockaddr *) &server, sizeof(server)), 0);
        }
        assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_end(Server *s)
{
        /* Nobody may have come. */
        shutdown(s->listener, SHUT_RDWR);
        pthread_join(s->thread, NULL);
        close(s->listener);
        if (s->filler >= 0)
                close(s->filler);
}

/* ---- A delivery ---- */

static void on_done(const DeliveryResult *r, void *userdata)
{
        *(DeliveryResult *) userdata = *r;
}

static DeliveryResult deliver(const char *const *addresses)
{
        const DeliveryConfig config = { .timeout = 30 };
        DeliveryResult result = { .retry_after = UINT_MAX };
        HttpMessage m = { .method = "POST", .url = strdup("http://receiver.test/hook") };
        CurlLoop *loop = NULL;
        sd_event *event = NULL;

        resolved = addresses;
        private_connects = 0;
        assert_int_equal(sd_event_new(&event), 0);
        assert_int_equal(curl_loop_new(event, &loop), 0);
        assert_int_equal(delivery_http(loop, &config, &m, on_done, &result), 0);
        while (result.retry_after == UINT_MAX)
                assert_true(sd_event_run(event, UINT64_MAX) >= 0);
        curl_loop_free(loop);
        sd_event_unref(event);
        assert_int_equal(private_connects, 0);
        return result;
}

static void check_delivered(const char *const *addresses, bool slow)
{
        DeliveryResult r;
        Server s;

        server_start(&s, slow);
        reachable = true;
        r = deliver(addresses);
        server_end(&s);
        if (!r.ok || r.permanent)
                fail_msg("%s, %s: ok %d, permanent %d: %s", addresses[0], addresses[1], r.ok, r.permanent, r.detail);
}

/* libcurl tries the second address while the first is slow to answer, and the guard refuses it. */
static void test_delivered(void **state)
{
        static const char *const private_first[] = { PRIVATE, PUBLIC, NULL },
                                 *const public_first[] = { PUBLIC, LOCAL6, NULL },
                                 *const local_first[] = { LOCAL6, PUBLIC, NULL };

        check_delivered(private_first, false);
        check_delivered(local_first, false);
        check_delivered(public_first, false);
        check_delivered(public_first, true);
}

/* May come back. */
static void test_unreachable(void **state)
{
        static const char *const addresses[] = { PUBLIC, PRIVATE, NULL };
        DeliveryResult r;

        reachable = false;
        r = deliver(addresses);
        assert_false(r.ok);
        assert_false(r.permanent);
}

static void test_private_only(void **state)
{
        static const char *const addresses[] = { PRIVATE, LOCAL6, NULL };
        DeliveryResult r;

        r = deliver(addresses);
        assert_false(r.ok);
        assert_true(r.permanent);
        assert_non_null(strstr(r.detail, "not public"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_delivered),
                cmocka_unit_test(test_unreachable),
                cmocka_unit_test(test_private_only),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
