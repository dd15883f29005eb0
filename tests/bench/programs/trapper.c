/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Agents that report to a Zabbix trapper as its own senders do: a connection per report, so many at once. The peer of
 * load.c. A thread per connection, whose report is made before the clock runs but for the values that change. */

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "die.h"
#include "histogram.h"

#define HEAD 13 /* "ZBXD\1" and the length, little-endian */

static struct {
        unsigned port, agents, items, seconds, reports, connections;
        bool text;
} opt = { .port = 10051, .agents = 10000, .items = 10, .seconds = 10, .connections = 8 };

typedef struct Sender {
        pthread_t thread;
        Histogram latency;
        uint64_t sent, processed;
} Sender;

static atomic_uint next_agent, errors;
static uint64_t end_at;

static size_t make_report(char *buffer, size_t size, unsigned report)
{
        unsigned agent = report % opt.agents, round = report / opt.agents;
        size_t n = HEAD;

        n += (size_t) snprintf(buffer + n, size - n, "{\"request\":\"sender data\",\"data\":[");
        for (unsigned i = 0; i < opt.items; i++)
                n += (size_t) snprintf(
                        buffer + n, size - n,
                        opt.text ? "%s{\"host\":\"bench-%u\",\"key\":\"check-%u\",\"value\":\"/ is %u%% full, and some"
                                   " more words as scripts print them\"}" :
                                   "%s{\"host\":\"bench-%u\",\"key\":\"check-%u\",\"value\":\"%u\"}",
                        i ? "," : "", agent, i, (round + i) % 100);
        n += (size_t) snprintf(buffer + n, size - n, "]}");
        if (n >= size)
                die("Too many items for one report.");
        memcpy(buffer, "ZBXD\1", 5);
        for (unsigned i = 0; i < 8; i++)
                buffer[5 + i] = (char) ((uint64_t) (n - HEAD) >> (8 * i));
        return n;
}

/* How many values the server took; negative errno. */
static int send_report(const char *report, size_t size)
{
        struct sockaddr_in in = { .sin_family = AF_INET,
                                  .sin_port = htons((uint16_t) opt.port),
                                  .sin_addr = { htonl(INADDR_LOOPBACK) } };
        char answer[1024], *p;
        size_t done = 0;
        ssize_t n;
        int fd, r = -EPROTO;

        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
        if (connect(fd, (struct sockaddr *) &in, sizeof(in)) < 0 ||
            send(fd, report, size, MSG_NOSIGNAL) != (ssize_t) size) {
                r = -errno;
                goto out;
        }
        while (done < sizeof(answer) - 1 && (n = recv(fd, answer + done, sizeof(answer) - 1 - done, 0)) > 0) {
                done += (size_t) n;
                answer[done] = '\0';
                p = done > HEAD ? strstr(answer + HEAD, "processed: ") : NULL;
                if (p && strchr(p, ';')) {
                        r = atoi(p + strlen("processed: "));
                        break;
                }
        }
out:
        close(fd);
        return r;
}

static void *sender_run(void *userdata)
{
        Sender *s = userdata;
        char buffer[65536];

        for (;;) {
                unsigned report = atomic_fetch_add(&next_agent, 1);
                size_t n = make_report(buffer, sizeof(buffer), report);
                uint64_t begin = now_usec();
                int r;

                if (begin >= end_at || (opt.reports && report >= opt.reports))
                        return NULL;
                r = send_report(buffer, n);
                s->sent += opt.items;
                if (r < 0) {
                        if (atomic_fetch_add(&errors, 1) < 5)
                                fprintf(stderr, "report %u: %s\n", report, strerror(-r));
                        continue;
                }
                s->processed += (uint64_t) r;
                histogram_add(&s->latency, now_usec() - begin);
        }
}

int main(int argc, char *argv[])
{
        static const struct option options[] = {
                { "port", required_argument, NULL, 'p' },
                { "agents", required_argument, NULL, 'a' },
                { "items", required_argument, NULL, 'i' },
                { "seconds", required_argument, NULL, 't' },
                { "connections", required_argument, NULL, 'c' },
                { "reports", required_argument, NULL, 'r' },
                { "text", no_argument, NULL, 'x' },
                {},
        };
        Histogram latency = {};
        uint64_t begin, sent = 0, processed = 0;
        Sender *senders;
        double seconds;
        int o;

        while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (o) {
                case 'p':
                        opt.port = (unsigned) atoi(optarg);
                        break;
                case 'a':
                        opt.agents = (unsigned) atoi(optarg);
                        break;
                case 'i':
                        opt.items = (unsigned) atoi(optarg);
                        break;
                case 't':
                        opt.seconds = (unsigned) atoi(optarg);
                        break;
                case 'c':
                        opt.connections = (unsigned) atoi(optarg);
                        break;
                case 'r':
                        opt.reports = (unsigned) atoi(optarg);
                        break;
                case 'x':
                        opt.text = true;
                        break;
                default:
                        return 2;
                }
        if (optind != argc || opt.agents == 0 || opt.connections == 0)
                die("usage: trapper [--port=N] [--agents=N] [--items=N] [--seconds=N] [--connections=N] [--reports=N] [--text]");
        senders = calloc(opt.connections, sizeof(*senders));
        if (!senders)
                die("Out of memory.");
        begin = now_usec();
        end_at = begin + (uint64_t) opt.seconds * 1000000;
        for (unsigned i = 0; i < opt.connections; i++)
                if (pthread_create(&senders[i].thread, NULL, sender_run, &senders[i]) != 0)
                        die("No thread.");
        for (unsigned i = 0; i < opt.connections; i++) {
                pthread_join(senders[i].thread, NULL);
                histogram_merge(&latency, &senders[i].latency);
                sent += senders[i].sent;
                processed += senders[i].processed;
        }
        seconds = (double) (now_usec() - begin) / 1e6;
        printf("{\"sent\": %" PRIu64 ", \"processed\": %" PRIu64
               ", \"errors\": %u, \"seconds\": %.3f, \"per_second\": %.0f,"
               " \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
               sent, processed, errors, seconds, (double) processed / seconds, histogram_percentile(&latency, 0.5),
               histogram_percentile(&latency, 0.99));
        free(senders);
        return 0;
}
