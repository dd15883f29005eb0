/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <netinet/in.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "net.h"
#include "test.h"

/* Nothing but the network wakes the loop here, so what lws waits for and nobody knows of stands still: in the agent until
 * the session's heartbeat, after 35 s. */
#define STUCK_USEC (15 * USEC_PER_SEC)

/* ---- a WebSocket server as small as it can be, in a thread ---- */

/* cmocka fails tests of the main thread only. */
#define check(condition)                                                                          \
        do                                                                                        \
                if (!(condition)) {                                                               \
                        fprintf(stderr, "%s:%i: the peer: %s\n", __FILE__, __LINE__, #condition); \
                        abort();                                                                  \
                }                                                                                 \
        while (false)

typedef struct Peer {
        int listen_fd;
        uint16_t port;
        size_t wanted; /* bytes of messages to read */
        size_t pings;  /* to send, all at once; one pong may answer several */
        pthread_t thread;
        size_t got;
} Peer;

static void read_all(int fd, void *buffer, size_t n)
{
        for (size_t k = 0; k < n;) {
                ssize_t r = read(fd, (char *) buffer + k, n - k);

                check(r > 0);
                k += (size_t) r;
        }
}

static void write_all(int fd, const void *buffer, size_t n)
{
        check(write(fd, buffer, n) == (ssize_t) n);
}

static void shake_hands(int fd)
{
        static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", name[] = "sec-websocket-key: ";
        unsigned char digest[EVP_MAX_MD_SIZE], accept[64];
        char request[4096], key[128], answer[256];
        unsigned n_digest;
        size_t n = 0;
        char *p;

        do {
                check(n < sizeof(request) - 1);
                read_all(fd, request + n++, 1);
                request[n] = '\0';
        } while (n < 4 || !streq(request + n - 4, "\r\n\r\n"));
        p = strcasestr(request, name);
        check(p);
        p += strlen(name);
        snprintf(key, sizeof(key), "%.*s%s", (int) strcspn(p, "\r"), p, guid);
        check(EVP_Digest(key, strlen(key), digest, &n_digest, EVP_sha1(), NULL) == 1);
        EVP_EncodeBlock(accept, digest, (int) n_digest);
        n = (size_t) snprintf(answer, sizeof(answer),
                              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Accept: %s\r\n\r\n",
                              accept);
        write_all(fd, answer, n);
}

/* Payload bytes of one frame, whose opcode is this. */
static size_t read_frame(int fd, unsigned *ret_opcode)
{
        unsigned char head[2], mask[4], length[8], data[4096];
        size_t n = 0, size;

        read_all(fd, head, 2);
        size = head[1] & 0x7f;
        if (size >= 126) {
                size_t more = size == 126 ? 2 : 8;

                read_all(fd, length, more);
                size = 0;
                for (size_t i = 0; i < more; i++)
                        size = size << 8 | length[i];
        }
        read_all(fd, mask, 4);
        for (n = 0; n < size; n += MIN(size - n, sizeof(data)))
                read_all(fd, data, MIN(size - n, sizeof(data)));
        *ret_opcode = head[0] & 0xf;
        return size;
}

static void *peer_main(void *userdata)
{
        static const char ping[] = "\x89\x04ping", done[] = "\x81\x04"
                                                            "done";
        Peer *p = userdata;
        size_t pongs = 0;
        int fd;

        fd = accept(p->listen_fd, NULL, NULL);
        check(fd >= 0);
        shake_hands(fd);
        for (size_t i = 0; i < p->pings; i++)
                write_all(fd, ping, sizeof(ping) - 1);
        while (p->got < p->wanted || pongs < MIN(p->pings, 1U)) {
                unsigned opcode;
                size_t n = read_frame(fd, &opcode);

                if (opcode == 0xa)
                        pongs++;
                else
                        p->got += n;
        }
        write_all(fd, done, sizeof(done) - 1);
        /* The client goes first. */
        while (read(fd, (char[64]){}, 64) > 0)
                ;
        close(fd);
        return NULL;
}

static void peer_start(Peer *p)
{
        struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t n = sizeof(sa);

        p->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(p->listen_fd >= 0);
        assert_int_equal(bind(p->listen_fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
        assert_int_equal(listen(p->listen_fd, 1), 0);
        assert_int_equal(getsockname(p->listen_fd, (struct sockaddr *) &sa, &n), 0);
        p->port = ntohs(sa.sin_port);
        assert_int_equal(pthread_create(&p->thread, NULL, peer_main, p), 0);
}

/* ---- the client ---- */

typedef struct Client {
        sd_event *event;
        NetConn *conn;
        size_t size; /* of the message to send */
        bool opened, done, stuck;
        char closed[256];
} Client;

static void on_opened(void *userdata)
{
        Client *c = userdata;

        c->opened = true;
        if (c->size > 0)
                net_conn_want_write(c->conn);
}

static void on_writable(void *userdata)
{
        Client *c = userdata;
        char *text = malloc(c->size);

        assert_non_null(text);
        memset(text, 'x', c->size);
        assert_int_equal(net_conn_send(c->conn, text, c->size), 0);
        free(text);
}

static void on_received(unsigned status, const char *text, size_t length, void *userdata)
{
        Client *c = userdata;

        assert_string_equal(text, "done");
        c->done = true;
        sd_event_exit(c->event, 0);
}

static void on_closed(unsigned code, const char *reason, void *userdata)
{
        Client *c = userdata;

        snprintf(c->closed, sizeof(c->closed), "%s", reason);
        sd_event_exit(c->event, 0);
}

static int on_stuck(sd_event_source *s, uint64_t usec, void *userdata)
{
        Client *c = userdata;

        c->stuck = true;
        return sd_event_exit(c->event, 0);
}

static const NetOps ops = {
        .opened = on_opened,
        .received = on_received,
        .writable = on_writable,
        .closed = on_closed,
};

static void run_client(Client *c, const char *host, uint16_t port)
{
        sd_event_source *stuck = NULL;
        char address[64];
        ServerUrl url;
        Net *n;

        snprintf(address, sizeof(address), "http://%s:%u", host, port);
        assert_int_equal(server_url_parse(address, &url), 0);
        assert_int_equal(sd_event_new(&c->event), 0);
        assert_int_equal(net_new(c->event, &n), 0);
        assert_int_equal(net_set_ca(n, NULL), 0);
        assert_int_equal(sd_event_add_time_relative(c->event, &stuck, CLOCK_MONOTONIC, STUCK_USEC, 0, on_stuck, c), 0);
        assert_int_equal(net_websocket(n, &url, "/", &ops, c, &c->conn), 0);
        assert_int_equal(sd_event_loop(c->event), 0);
        assert_false(c->stuck);
        net_conn_close(c->conn);
        net_free(n);
        sd_event_source_disable_unref(stuck);
        sd_event_unref(c->event);
        server_url_done(&url);
}

/* One write, much more than lws writes in a turn and more than the socket takes. */
static void test_large_message(void **state)
{
        static const size_t sizes[] = { 1, 4096, 20000, 200000, 8U << 20 };

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                Client c = { .size = sizes[i] };
                Peer p = { .wanted = sizes[i] };

                peer_start(&p);
                run_client(&c, "127.0.0.1", p.port);
                assert_true(c.opened && c.done);
                assert_int_equal(pthread_join(p.thread, NULL), 0);
                assert_int_equal(p.got, sizes[i]);
                close(p.listen_fd);
        }
}

/* Pings are answered by lws alone, which asks for room to write itself. */
static void test_pings(void **state)
{
        static const size_t counts[] = { 1, 2000 };

        for (size_t i = 0; i < ELEMENTSOF(counts); i++) {
                Peer p = { .pings = counts[i] };
                Client c = {};

                peer_start(&p);
                run_client(&c, "localhost", p.port);
                assert_true(c.done);
                assert_int_equal(pthread_join(p.thread, NULL), 0);
                close(p.listen_fd);
        }
}

/* Nobody listens there, at any of the name's addresses. */
static void test_refused(void **state)
{
        struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t n = sizeof(sa);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        Client c = {};

        assert_int_equal(bind(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *) &sa, &n), 0);
        run_client(&c, "localhost", ntohs(sa.sin_port));
        assert_string_equal(c.closed, "nobody answers there");
        close(fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_large_message),
                cmocka_unit_test(test_pings),
                cmocka_unit_test(test_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
