/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Thousands of agents in one process: a client of the agents' protocol (docs/protocol.md) that measures how long the
 * backend takes from a batch to its acknowledgement, which follows the commit.
 *
 * One epoll loop. Each agent connects, upgrades to a WebSocket (RFC 6455), authenticates, and then has at most one batch
 * under way: one status per service. Which agents may send is decided by the pace: a fixed rate spread over all agents,
 * with a burst of many at once, or as many at once as --concurrency allows. */

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "die.h"
#include "histogram.h"

#define CONNECTING_MAX 128 /* handshakes at once: the server's are what is measured, not its backlog */
#define INPUT_MAX      16384
#define MIN(a, b)      ((a) < (b) ? (a) : (b))

typedef enum AgentState {
        AGENT_IDLE,
        AGENT_CONNECTING,
        AGENT_TLS,
        AGENT_UPGRADING,
        AGENT_AUTHENTICATING,
        AGENT_READY,
        AGENT_DEAD
} AgentState;

typedef struct Agent {
        char id[64], key[96];
        AgentState state;
        int fd;
        SSL *ssl;
        uint64_t began;   /* usec: the handshake */
        uint64_t sent_at; /* usec; 0 when nothing is under way */
        bool in_burst;
        unsigned failures;
        uint64_t again_at; /* usec: when one that was lost comes back */
        uint64_t sequence;
        char *out;
        size_t out_n, out_done;
        uint32_t watched; /* epoll's events */
        char in[INPUT_MAX];
        size_t in_n;
} Agent;

static struct {
        const char *address;
        unsigned port, services, seconds, concurrency, changes;
        double rate;
        uint64_t burst;
        bool tls, idle, return_;
} opt = { .address = "127.0.0.1", .port = 8080, .services = 10, .seconds = 10, .concurrency = 64, .changes = 5 };

static Agent *agents;
static size_t n_agents, n_ready, n_connecting, n_flying, n_dead, n_lost, n_returned, next_connect, next_send;
static uint64_t acked, sent, bytes_sent;
static uint64_t burst_left, burst_began; /* statuses; usec */
static unsigned n_errors;
static int epoll_fd;
static SSL_CTX *tls;
static Histogram latency, handshake, burst_latency;
static uint64_t run_id;

/* ---- Connections ---- */

static void agent_watch(Agent *a)
{
        struct epoll_event event = { .events = EPOLLIN |
                                               (a->out_done < a->out_n || a->state == AGENT_CONNECTING ? EPOLLOUT : 0),
                                     .data.ptr = a };

        if (event.events == a->watched)
                return;
        a->watched = event.events;
        if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, a->fd, &event) < 0)
                die("epoll_ctl: %s", strerror(errno));
}

static void agent_lost(Agent *a, const char *why)
{
        static unsigned said;

        if (said++ < 5)
                fprintf(stderr, "%s: %s\n", a->id, why);
        if (a->state == AGENT_READY)
                n_ready--;
        else
                n_connecting--;
        if (a->sent_at)
                n_flying--;
        a->sent_at = 0;
        SSL_free(a->ssl);
        a->ssl = NULL;
        close(a->fd);
        free(a->out);
        a->out = NULL;
        a->out_n = a->out_done = a->in_n = 0;
        a->state = AGENT_DEAD;
        n_dead++;
        n_lost++;
        /* As docs/protocol.md asks of agents: full jitter, from a second to five minutes. */
        a->again_at = now_usec() + (uint64_t) (drand48() * MIN(300, 1 << a->failures) * 1e6);
        a->failures = MIN(a->failures + 1, 8);
}

/* What ssi-uplinkd does as well (session.c): a backend that says that it goes is back at once. */
static void agent_closed(Agent *a, unsigned code)
{
        agent_lost(a, code == 1001 ? "the server goes away" : "closed by the server");
        if (code == 1001) {
                a->failures = 0;
                a->again_at = now_usec() + (uint64_t) (drand48() * 0.5e6);
        }
}

static void agent_flush(Agent *a)
{
        while (a->out_done < a->out_n) {
                ssize_t n;

                if (a->ssl) {
                        int k = SSL_write(a->ssl, a->out + a->out_done, (int) (a->out_n - a->out_done));

                        if (k <= 0) {
                                int e = SSL_get_error(a->ssl, k);

                                if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
                                        break;
                                return agent_lost(a, "TLS write failed");
                        }
                        n = k;
                } else {
                        n = send(a->fd, a->out + a->out_done, a->out_n - a->out_done, MSG_NOSIGNAL);
                        if (n < 0) {
                                if (errno == EAGAIN)
                                        break;
                                return agent_lost(a, strerror(errno));
                        }
                }
                a->out_done += (size_t) n;
                bytes_sent += (uint64_t) n;
        }
        if (a->out_done == a->out_n) {
                free(a->out);
                a->out = NULL;
                a->out_n = a->out_done = 0;
        }
        agent_watch(a);
}

static void agent_put(Agent *a, const char *data, size_t n)
{
        a->out = realloc(a->out, a->out_n + n);
        if (!a->out)
                die("Out of memory.");
        memcpy(a->out + a->out_n, data, n);
        a->out_n += n;
}

/* RFC 6455, 5.2: a client's frames are masked; with a mask of zeros the payload stays as it is. */
static void agent_frame(Agent *a, int opcode, const char *text, size_t n)
{
        unsigned char head[14] = { (unsigned char) (0x80 | opcode) };
        size_t k = 2;

        if (n < 126)
                head[1] = (unsigned char) (0x80 | n);
        else if (n < 65536) {
                head[1] = 0x80 | 126;
                head[2] = (unsigned char) (n >> 8);
                head[3] = (unsigned char) n;
                k = 4;
        } else
                die("A message of %zu bytes is more than this client sends.", n);
        agent_put(a, (const char *) head, k + 4);
        agent_put(a, text, n);
        agent_flush(a);
}

static void agent_upgrade(Agent *a)
{
        char text[256];
        int n;

        n = snprintf(
                text, sizeof(text),
                "GET /api/v1/agent/connect HTTP/1.1\r\nHost: %s:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                opt.address, opt.port);
        a->state = AGENT_UPGRADING;
        agent_put(a, text, (size_t) n);
        agent_flush(a);
}

static void agent_tls(Agent *a)
{
        int r = SSL_connect(a->ssl);

        if (r == 1)
                return agent_upgrade(a);
        r = SSL_get_error(a->ssl, r);
        if (r != SSL_ERROR_WANT_READ && r != SSL_ERROR_WANT_WRITE)
                agent_lost(a, "the TLS handshake failed");
}

static void agent_connect(Agent *a)
{
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t) opt.port) };
        struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.ptr = a };

        a->watched = event.events;
        inet_pton(AF_INET, opt.address, &in.sin_addr);
        a->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (a->fd < 0)
                die("socket: %s", strerror(errno));
        setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
        a->state = AGENT_CONNECTING;
        a->began = now_usec();
        n_connecting++;
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, a->fd, &event) < 0)
                die("epoll_ctl: %s", strerror(errno));
        if (connect(a->fd, (struct sockaddr *) &in, sizeof(in)) < 0 && errno != EINPROGRESS)
                agent_lost(a, strerror(errno));
}

static void agent_connected(Agent *a)
{
        int error = 0;
        socklen_t n = sizeof(error);

        if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0 || error != 0)
                return agent_lost(a, strerror(error));
        if (!opt.tls)
                return agent_upgrade(a);
        a->ssl = SSL_new(tls);
        if (!a->ssl || SSL_set_fd(a->ssl, a->fd) != 1)
                die("Out of memory.");
        SSL_set_connect_state(a->ssl);
        a->state = AGENT_TLS;
        agent_watch(a);
        agent_tls(a);
}

/* ---- Messages ---- */

static void agent_batch(Agent *a)
{
        static const char *const statuses[] = { "OK", "WARNING" };
        char text[60000], stamp[32];
        size_t n = 0;
        time_t t = time(NULL);
        struct tm tm;

        gmtime_r(&t, &tm);
        strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &tm);
        a->sequence++;
        n += (size_t) snprintf(text, sizeof(text), "{\"type\":\"status_batch\",\"payload\":{\"items\":[");
        for (unsigned i = 0; i < opt.services; i++) {
                /* The message is one of about 60 bytes, and one in 100 / changes of them differs from the last. */
                uint64_t version = (a->sequence * opt.changes + i * 7) / 100;

                n += (size_t) snprintf(
                        text + n, sizeof(text) - n,
                        "%s{\"service_name\":\"check-%u\",\"timestamp\":\"%s\",\"status\":\"%s\",\"message\":"
                        "\"/ is %" PRIu64 "%% full, and some more words as scripts print them\","
                        "\"cursor\":\"%" PRIx64 ";%" PRIu64 ";%u\",\"duration_ms\":12}",
                        i ? "," : "", i, stamp, statuses[version % 2], version % 100, run_id, a->sequence, i);
                if (n > sizeof(text) - 512)
                        die("Too many services for one message.");
        }
        n += (size_t) snprintf(text + n, sizeof(text) - n, "]}}");
        a->sent_at = now_usec();
        a->in_burst = burst_left > 0;
        burst_left -= MIN(burst_left, opt.services);
        n_flying++;
        sent += opt.services;
        agent_frame(a, 1, text, n);
}

static void agent_message(Agent *a, const char *text)
{
        char cursor[64];

        if (strstr(text, "\"auth_ok\"")) {
                a->state = AGENT_READY;
                n_connecting--;
                n_ready++;
                a->failures = 0;
                histogram_add(&handshake, now_usec() - a->began);
        } else if (strstr(text, "\"ack\"")) {
                snprintf(cursor, sizeof(cursor), "%" PRIx64 ";%" PRIu64 ";%u\"", run_id, a->sequence, opt.services - 1);
                if (!a->sent_at || !strstr(text, cursor))
                        return;
                histogram_add(a->in_burst ? &burst_latency : &latency,
                              now_usec() - (a->in_burst ? burst_began : a->sent_at));
                a->sent_at = 0;
                n_flying--;
                acked += opt.services;
        } else if (strstr(text, "\"error\"") && n_errors++ < 5)
                fprintf(stderr, "%s: %s\n", a->id, text);
}

/* Takes what is complete out of the input. False when the agent is lost. */
static bool agent_frames(Agent *a)
{
        for (;;) {
                unsigned char *p = (unsigned char *) a->in;
                size_t n, head = 2;
                unsigned code;
                int opcode;
                char *text;

                if (a->in_n < 2)
                        return true;
                n = p[1] & 127;
                if (n == 126) {
                        head = 4;
                        n = a->in_n >= 4 ? (size_t) p[2] << 8 | p[3] : 0;
                } else if (n == 127)
                        return agent_lost(a, "a frame of 64 kB"), false;
                if (a->in_n < head + n)
                        return a->in_n < sizeof(a->in) ? true : (agent_lost(a, "a frame too long"), false);
                opcode = p[0] & 15;
                code = n >= 2 ? (unsigned) p[head] << 8 | p[head + 1] : 0;
                text = strndup(a->in + head, n);
                if (!text)
                        die("Out of memory.");
                memmove(a->in, a->in + head + n, a->in_n - head - n);
                a->in_n -= head + n;
                if (opcode == 1)
                        agent_message(a, text);
                else if (opcode == 9)
                        agent_frame(a, 10, text, n);
                free(text);
                if (opcode == 8)
                        return agent_closed(a, code), false;
                if (a->state == AGENT_DEAD)
                        return false;
        }
}

static bool agent_upgraded(Agent *a)
{
        char *end = memmem(a->in, a->in_n, "\r\n\r\n", 4), text[256];
        size_t n;
        int k;

        if (!end)
                return true;
        if (memcmp(a->in, "HTTP/1.1 101", 12) != 0)
                return agent_lost(a, "no WebSocket"), false;
        n = (size_t) (end - a->in) + 4;
        memmove(a->in, a->in + n, a->in_n - n);
        a->in_n -= n;
        a->state = AGENT_AUTHENTICATING;
        k = snprintf(text, sizeof(text),
                     "{\"type\":\"auth\",\"payload\":{\"agent_id\":\"%s\",\"api_key\":\"%s\",\"version\":\"load\"}}",
                     a->id, a->key);
        agent_frame(a, 1, text, (size_t) k);
        return a->state != AGENT_DEAD && agent_frames(a);
}

static void agent_read(Agent *a)
{
        for (;;) {
                size_t room = sizeof(a->in) - a->in_n;
                ssize_t n;

                if (a->ssl) {
                        n = SSL_read(a->ssl, a->in + a->in_n, (int) room);
                        if (n <= 0) {
                                int e = SSL_get_error(a->ssl, (int) n);

                                if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
                                        return;
                                return agent_lost(a, "TLS read failed");
                        }
                } else {
                        n = recv(a->fd, a->in + a->in_n, room, 0);
                        if (n < 0 && errno == EAGAIN)
                                return;
                        if (n <= 0)
                                return agent_lost(a, n < 0 ? strerror(errno) : "the connection ended");
                }
                a->in_n += (size_t) n;
                if (!(a->state == AGENT_UPGRADING ? agent_upgraded(a) : agent_frames(a)))
                        return;
                /* The socket had no more; an end comes as an event of its own. */
                if (!a->ssl && (size_t) n < room)
                        return;
        }
}

static void agent_event(Agent *a, uint32_t events)
{
        if (a->state == AGENT_CONNECTING) {
                agent_connected(a);
                return;
        }
        if (a->state == AGENT_TLS) {
                agent_tls(a);
                return;
        }
        if (events & EPOLLOUT && a->out_done < a->out_n)
                agent_flush(a);
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && a->state != AGENT_DEAD)
                agent_read(a);
}

/* ---- The run ---- */

static bool send_next(void)
{
        for (size_t tries = 0; tries < n_agents; tries++) {
                Agent *a = &agents[next_send++ % n_agents];

                if (a->state == AGENT_READY && !a->sent_at) {
                        agent_batch(a);
                        return true;
                }
        }
        return false;
}

static void pump(int timeout_ms)
{
        struct epoll_event events[256];
        int n = epoll_wait(epoll_fd, events, 256, timeout_ms);

        for (int i = 0; i < n; i++) {
                Agent *a = events[i].data.ptr;

                if (a->state != AGENT_DEAD)
                        agent_event(a, events[i].events);
        }
}

static void connect_all(void)
{
        while (n_ready + n_dead < n_agents) {
                while (next_connect < n_agents && n_connecting < CONNECTING_MAX)
                        agent_connect(&agents[next_connect++]);
                pump(100);
        }
}

static void return_lost(void)
{
        uint64_t t = now_usec();

        for (size_t i = 0; i < n_agents && n_dead > 0; i++)
                if (agents[i].state == AGENT_DEAD && agents[i].again_at <= t) {
                        n_dead--;
                        n_returned++;
                        agent_connect(&agents[i]);
                }
}

static void run(void)
{
        uint64_t begin = now_usec(), end = begin + (uint64_t) opt.seconds * 1000000, t, paced;

        while ((t = now_usec()) < end && (n_ready > 0 || opt.return_)) {
                if (opt.return_ && n_dead > 0)
                        return_lost();
                /* Half-way, all of the burst at once, from as many agents as have nothing under way. */
                if (opt.burst && !burst_began && t - begin >= (end - begin) / 2) {
                        burst_began = t;
                        burst_left = opt.burst;
                }
                while (burst_left > 0 && send_next())
                        ;
                paced = sent - (burst_began ? opt.burst - burst_left : 0);
                if (!opt.idle && burst_left == 0)
                        while (opt.rate > 0 ? (double) paced < opt.rate * (double) (t - begin) / 1e6 :
                                              n_flying < opt.concurrency) {
                                if (!send_next())
                                        break;
                                paced += opt.services;
                        }
                pump(!opt.idle || opt.burst ? 1 : n_dead > 0 ? 20 : 100);
        }
        /* What is under way is waited for, not counted as sent in time. */
        end = now_usec() + 60 * UINT64_C(1000000);
        while (n_flying > 0 && now_usec() < end)
                pump(10);
}

static void read_agents(const char *path, size_t max)
{
        FILE *f = fopen(path, "re");
        Agent a = {};

        if (!f)
                die("%s: %s", path, strerror(errno));
        while ((!max || n_agents < max) && fscanf(f, "%63s %95s", a.id, a.key) == 2) {
                agents = reallocarray(agents, n_agents + 1, sizeof(*agents));
                if (!agents)
                        die("Out of memory.");
                agents[n_agents++] = a;
        }
        fclose(f);
        if (n_agents == 0)
                die("%s has no agents.", path);
}

static void report(double connect_seconds, double seconds)
{
        printf("{\"agents\": %zu, \"lost\": %zu, \"returned\": %zu, \"errors\": %u, \"connect_seconds\": %.3f, \"handshake_p50_ms\": %.3f,"
               " \"handshake_p99_ms\": %.3f, \"sent\": %" PRIu64 ", \"acked\": %" PRIu64 ", \"seconds\": %.3f,"
               " \"per_second\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, \"burst_p50_ms\": %.3f,"
               " \"burst_last_ms\": %.3f, \"bytes\": %" PRIu64 "}\n",
               n_agents, n_lost, n_returned, n_errors, connect_seconds, histogram_percentile(&handshake, 0.5),
               histogram_percentile(&handshake, 0.99), sent, acked, seconds, (double) acked / seconds,
               histogram_percentile(&latency, 0.5), histogram_percentile(&latency, 0.99), (double) latency.max / 1000,
               histogram_percentile(&burst_latency, 0.5), (double) burst_latency.max / 1000, bytes_sent);
}

static void usage(void)
{
        puts("load [OPTION…] FILE\n\n"
             "Plays the agents whose ids and keys are in FILE (one pair a line) and prints what it measured as JSON.\n\n"
             "  --port=PORT         of the backend on 127.0.0.1 (default: 8080)\n"
             "  --tls               over TLS, without a look at the certificate\n"
             "  --agents=N          only the first N of FILE\n"
             "  --services=N        per agent; one batch has a status of each (default: 10)\n"
             "  --seconds=N         how long (default: 10)\n"
             "  --rate=N            statuses a second, of all agents together; default: as many as are acknowledged\n"
             "  --burst=N           besides, half-way, so many statuses at once\n"
             "  --concurrency=N     batches under way at once, without a rate (default: 64)\n"
             "  --changes=PERCENT   of the statuses that differ from the last (default: 5)\n"
             "  --idle              sends nothing\n"
             "  --return            those whose connection ends come back as agents do");
}

int main(int argc, char *argv[])
{
        enum { PORT = 0x100, TLS, AGENTS, SERVICES, SECONDS, RATE, BURST, CONCURRENCY, CHANGES, IDLE, RETURN };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "port", required_argument, NULL, PORT },
                { "tls", no_argument, NULL, TLS },
                { "agents", required_argument, NULL, AGENTS },
                { "services", required_argument, NULL, SERVICES },
                { "seconds", required_argument, NULL, SECONDS },
                { "rate", required_argument, NULL, RATE },
                { "burst", required_argument, NULL, BURST },
                { "concurrency", required_argument, NULL, CONCURRENCY },
                { "changes", required_argument, NULL, CHANGES },
                { "idle", no_argument, NULL, IDLE },
                { "return", no_argument, NULL, RETURN },
                {},
        };
        uint64_t t0, t1, t2;
        size_t max = 0;
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        usage();
                        return 0;
                case PORT:
                        opt.port = (unsigned) atoi(optarg);
                        break;
                case TLS:
                        opt.tls = true;
                        break;
                case AGENTS:
                        max = (size_t) atoi(optarg);
                        break;
                case SERVICES:
                        opt.services = (unsigned) atoi(optarg);
                        break;
                case SECONDS:
                        opt.seconds = (unsigned) atoi(optarg);
                        break;
                case RATE:
                        opt.rate = atof(optarg);
                        break;
                case BURST:
                        opt.burst = strtoull(optarg, NULL, 10);
                        break;
                case CONCURRENCY:
                        opt.concurrency = (unsigned) atoi(optarg);
                        break;
                case CHANGES:
                        opt.changes = (unsigned) atoi(optarg);
                        break;
                case IDLE:
                        opt.idle = true;
                        break;
                case RETURN:
                        opt.return_ = true;
                        break;
                default:
                        return 2;
                }
        if (optind + 1 != argc)
                die("One file is needed; see --help.");
        read_agents(argv[optind], max);
        srand48((long) now_usec());
        if (getrandom(&run_id, sizeof(run_id), 0) != sizeof(run_id))
                die("getrandom: %s", strerror(errno));
        if (opt.tls) {
                tls = SSL_CTX_new(TLS_client_method());
                if (!tls)
                        die("TLS is not to be had.");
                SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                              SSL_MODE_RELEASE_BUFFERS);
        }
        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (epoll_fd < 0)
                die("epoll_create1: %s", strerror(errno));
        t0 = now_usec();
        connect_all();
        t1 = now_usec();
        fprintf(stderr, "%zu of %zu agents connected in %.1f s\n", n_ready, n_agents, (double) (t1 - t0) / 1e6);
        run();
        t2 = now_usec();
        report((double) (t1 - t0) / 1e6, (double) (t2 - t1) / 1e6);
        return n_lost > 0;
}
