/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Several instances' ingestion without the instances: each connection writes the results of its own agents with ingestion's
 * own statements, a transaction each, and what becomes due meanwhile is the next batch. Tells as a line of JSON, every few
 * seconds, what was written so far. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/backend.sql.h"
#include "die.h"
#include "fleet.h"
#include "histogram.h"

#define CONNECTIONS_MAX 256
#define GAP_USEC        50000 /* as in publish.c */

typedef struct Writer {
        Fleet fleet;
        PGconn *conn, *other; /* other: of notifications, as each instance has one */
        bool busy, publishing;
        double sent, published; /* usec since the begin */
        ChangeSet changes;
        char instance[24];
} Writer;

typedef struct Totals {
        uint64_t results, announced, rows, commits, publications, heard;
        Histogram latency, commit; /* since the last line */
} Totals;

static Options options = {
        .agents = 1000,
        .services = 10,
        .connections = 1,
        .seconds = 10,
        .batch = BATCH_MAX,
        .report = 10,
        .changes = 5,
};
static Writer *writers;
static Totals totals;
static uint64_t begun;

static double elapsed(void)
{
        return (double) (now_usec() - begun);
}

static PGconn *connect_to(const char *conninfo)
{
        PGconn *c = PQconnectdb(conninfo);

        if (PQstatus(c) != CONNECTION_OK || PQsetnonblocking(c, 1) < 0)
                die("%s", PQerrorMessage(c));
        return c;
}

static void must(PGconn *c, PGresult *res, ExecStatusType status)
{
        if (PQresultStatus(res) != status)
                die("%s", PQerrorMessage(c));
        PQclear(res);
}

static void prepare(Writer *w)
{
        char *items = NULL;

        if (asprintf(&items, "%s%s", SQL_items,
                     options.notify == NOTIFY_IN_COMMIT ? " UNION ALL SELECT 0, 'n', count(pg_notify('" CHANGES_CHANNEL
                                                          "', p))::text FROM unnest($32::text[]) p" :
                                                          "") < 0)
                die("out of memory");
        _Static_assert(SQL_items_params == 31, "the parameter above is the one after the last");
        w->conn = connect_to(options.conninfo);
        must(w->conn, PQprepare(w->conn, "items", items, 0, NULL), PGRES_COMMAND_OK);
        must(w->conn, PQprepare(w->conn, "inventory", SQL_inventory, 0, NULL), PGRES_COMMAND_OK);
        free(items);
        if (options.notify == NOTIFY_NONE)
                return;
        w->other = connect_to(options.conninfo);
        must(w->other, PQexec(w->other, "LISTEN " CHANGES_CHANNEL), PGRES_COMMAND_OK);
}

/* The cursors go on from what the database has. */
static void read_cursors(void)
{
        PGconn *c = connect_to(options.conninfo);
        PGresult *res =
                PQexec(c, "SELECT id, split_part(resume_cursor, ';', 3) FROM servers WHERE resume_cursor IS NOT NULL");

        if (PQresultStatus(res) != PGRES_TUPLES_OK)
                die("%s", PQerrorMessage(c));
        for (int row = 0; row < PQntuples(res); row++) {
                unsigned long server = strtoul(PQgetvalue(res, row, 0), NULL, 10) - 1;
                Fleet *f = &writers[server % options.connections].fleet;

                if (server / options.connections < f->n_agents)
                        f->agents[server / options.connections].sent =
                                (uint32_t) strtoul(PQgetvalue(res, row, 1), NULL, 10);
        }
        PQclear(res);
        PQfinish(c);
}

static uint8_t *map_state(void)
{
        size_t size = (size_t) options.agents * options.services;
        int fd = open(options.state, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        void *p;

        if (fd < 0 || ftruncate(fd, (off_t) size) < 0)
                die("%s: %s", options.state, strerror(errno));
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        if (p == MAP_FAILED)
                die("%s: %s", options.state, strerror(errno));
        return p;
}

static void send_batch(Writer *w)
{
        const char *params[SQL_items_params + 1];
        unsigned n = fleet_params(&w->fleet, w->instance, params);

        for (unsigned k = 0; k < n; k++)
                if (!params[k])
                        die("out of memory");
        if (!PQsendQueryPrepared(w->conn, w->fleet.inventory ? "inventory" : "items", (int) n, params, NULL, NULL, 0))
                die("%s", PQerrorMessage(w->conn));
        w->sent = elapsed();
        w->busy = true;
}

static void keep_changes(Writer *w)
{
        _cleanup_(changes_clear) Changes changes = {};

        if (fleet_changes(&w->fleet, &changes) < 0)
                die("out of memory");
        for (size_t i = 0; i < changes.n; i++)
                if (change_set_add(&w->changes, &changes.items[i]) < 0)
                        die("out of memory");
}

static void committed(Writer *w, PGresult *res)
{
        double now = elapsed();
        unsigned parts = 0;

        if (PQresultStatus(res) != PGRES_TUPLES_OK)
                die("%s", PQerrorMessage(w->conn));
        for (int row = 0; row < PQntuples(res); row++)
                parts += *PQgetvalue(res, row, 1) == 'f';
        if (parts != w->fleet.n_parts)
                die("a fence did not let its part through");
        w->busy = false;
        totals.rows += fleet_done(&w->fleet);
        totals.commits++;
        histogram_add(&totals.commit, (uint64_t) (now - w->sent));
        if (w->fleet.inventory) {
                totals.announced += w->fleet.n_parts;
                return;
        }
        totals.results += w->fleet.n_items;
        for (unsigned i = 0; i < w->fleet.n_items && options.rate; i++)
                histogram_add(&totals.latency, (uint64_t) fmax(0, now - w->fleet.items[i].due));
        if (options.notify == NOTIFY_AFTER)
                keep_changes(w);
}

static void publish(Writer *w)
{
        DbArray payloads = {};
        char **p = NULL;
        size_t n = 0;

        if (changes_encode(&w->changes.changes, w->instance, &p, &n) < 0)
                die("out of memory");
        for (size_t i = 0; i < n; i++)
                db_array_text(&payloads, p[i]);
        payloads_free(p, n);
        change_set_clear(&w->changes);
        const struct sql_publish_changes params = {
                .channel = CHANGES_CHANNEL, .instance = w->instance, .always = "{}", .viewed = db_array_done(&payloads)
        };
        if (!params.viewed || !PQsendQueryParams(w->other, SQL_publish_changes, SQL_publish_changes_params, NULL,
                                                 (const char *const *) &params, NULL, NULL, 0))
                die("%s", PQerrorMessage(w->other));
        db_array_free(&payloads);
        w->publishing = true;
        totals.publications++;
}

/* Reads what has come. True: the statement is done, and *ret its result. */
static bool receive(PGconn *c, PGresult **ret)
{
        PGnotify *note;

        if (!PQconsumeInput(c))
                die("%s", PQerrorMessage(c));
        for (; (note = PQnotifies(c)); PQfreemem(note))
                totals.heard++;
        if (PQisBusy(c))
                return false;
        *ret = PQgetResult(c);
        while (*ret && PQgetResult(c))
                ;
        return *ret;
}

static void look(Writer *w)
{
        PGresult *res = NULL;

        if (w->busy && receive(w->conn, &res)) {
                committed(w, res);
                PQclear(res);
        }
        res = NULL;
        if (w->other && receive(w->other, &res)) {
                if (PQresultStatus(res) != PGRES_TUPLES_OK)
                        die("%s", PQerrorMessage(w->other));
                PQclear(res);
                w->publishing = false;
                w->published = elapsed();
        }
}

/* Waits for the database, at most for so long. */
static void wait_for(double usec)
{
        struct pollfd fds[2 * CONNECTIONS_MAX];
        struct timespec ts = { .tv_sec = (time_t) (usec / 1e6), .tv_nsec = (long) (fmod(usec, 1e6) * 1000) };
        nfds_t n = 0;

        for (unsigned k = 0; k < options.connections; k++) {
                PGconn *both[] = { writers[k].conn, writers[k].other };

                for (unsigned i = 0; i < 2 && both[i]; i++)
                        fds[n++] = (struct pollfd){ .fd = PQsocket(both[i]),
                                                    .events = (short) (POLLIN | (PQflush(both[i]) > 0 ? POLLOUT : 0)) };
        }
        if (ppoll(fds, n, &ts, NULL) < 0)
                die("ppoll: %s", strerror(errno));
}

static void tell(void)
{
        struct rusage usage;
        double now = elapsed(), lag = 0;

        for (unsigned k = 0; k < options.connections && options.rate; k++)
                lag = fmax(lag, now - fleet_due(&writers[k].fleet));
        getrusage(RUSAGE_SELF, &usage);
        printf("{\"seconds\": %.3f, \"results\": %llu, \"announced\": %llu, \"rows\": %llu, \"commits\": %llu, "
               "\"publications\": %llu, \"heard\": %llu, \"lag_s\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
               "\"commit_p50_ms\": %.3f, \"commit_p99_ms\": %.3f, \"client_cpu_s\": %.3f}\n",
               now / 1e6, (unsigned long long) totals.results, (unsigned long long) totals.announced,
               (unsigned long long) totals.rows, (unsigned long long) totals.commits,
               (unsigned long long) totals.publications, (unsigned long long) totals.heard, lag / 1e6,
               histogram_percentile(&totals.latency, 0.5), histogram_percentile(&totals.latency, 0.99),
               histogram_percentile(&totals.commit, 0.5), histogram_percentile(&totals.commit, 0.99),
               (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                       (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
        fflush(stdout);
        totals.latency = totals.commit = (Histogram){};
}

/* Sends what may be sent. Returns how long nothing else will be due, in usec; negative: the time is over and all is done. */
static double advance(bool over)
{
        double wait = 100000;
        bool any = false;

        for (unsigned k = 0; k < options.connections; k++) {
                Writer *w = &writers[k];
                double now = elapsed();

                if (!w->busy && !over) {
                        if (fleet_due(&w->fleet) <= now && fleet_take(&w->fleet, now))
                                send_batch(w);
                        else
                                wait = fmin(wait, fmax(0, fleet_due(&w->fleet) - now));
                }
                if (options.notify == NOTIFY_AFTER && !w->publishing && w->changes.changes.n > 0 && !over) {
                        if (w->published + GAP_USEC <= now)
                                publish(w);
                        else
                                wait = fmin(wait, w->published + GAP_USEC - now);
                }
                any |= w->busy || w->publishing;
        }
        return over && !any ? -1 : wait;
}

static void run(void)
{
        double next = 0, wait;

        begun = now_usec();
        for (;;) {
                double now = elapsed();
                bool over = now >= options.seconds * 1e6;

                if (now >= next && !over) {
                        tell();
                        next += options.report * 1e6;
                }
                wait = advance(over);
                if (wait < 0)
                        break;
                wait_for(wait);
                for (unsigned k = 0; k < options.connections; k++)
                        look(&writers[k]);
        }
        tell();
}

static void parse(int argc, char *argv[])
{
        enum { TOGETHER = 256, INVENTORIES, CHANGES_ONLY };
        static const struct option names[] = {
                { "agents", required_argument, NULL, 'a' },
                { "services", required_argument, NULL, 's' },
                { "connections", required_argument, NULL, 'c' },
                { "seconds", required_argument, NULL, 't' },
                { "batch", required_argument, NULL, 'b' },
                { "report", required_argument, NULL, 'p' },
                { "changes", required_argument, NULL, 'd' },
                { "rate", required_argument, NULL, 'r' },
                { "from", required_argument, NULL, 'f' },
                { "state", required_argument, NULL, 'm' },
                { "notify", required_argument, NULL, 'n' },
                { "together", no_argument, NULL, TOGETHER },
                { "inventories", no_argument, NULL, INVENTORIES },
                { "changes-only", no_argument, NULL, CHANGES_ONLY },
                {},
        };
        unsigned *const numbers[] = {
                ['a'] = &options.agents,      ['s'] = &options.services, ['t'] = &options.seconds,
                ['c'] = &options.connections, ['b'] = &options.batch,    ['p'] = &options.report
        };
        int o;

        while ((o = getopt_long(argc, argv, "", names, NULL)) >= 0) {
                if (o == TOGETHER)
                        options.together = true;
                else if (o == INVENTORIES)
                        options.inventories = true;
                else if (o == CHANGES_ONLY)
                        options.changes_only = true;
                else if (o == 'd')
                        options.changes = atof(optarg);
                else if (o == 'r')
                        options.rate = strtoull(optarg, NULL, 10);
                else if (o == 'f')
                        options.from = strtoull(optarg, NULL, 10);
                else if (o == 'm')
                        options.state = optarg;
                else if (o == 'n')
                        options.notify = streq(optarg, "commit") ? NOTIFY_IN_COMMIT :
                                         streq(optarg, "after")  ? NOTIFY_AFTER :
                                                                   NOTIFY_NONE;
                else if (o < (int) ELEMENTSOF(numbers) && numbers[o])
                        *numbers[o] = (unsigned) atoi(optarg);
                else
                        exit(2);
        }
        if (optind + 1 != argc || !options.state || options.connections == 0 || options.connections > CONNECTIONS_MAX ||
            options.services == 0 || options.services > SERVICE_MAX || options.agents < options.connections ||
            options.batch == 0 || options.batch > BATCH_MAX || options.report == 0)
                die("usage: writers --state=FILE [--agents=N] [--services=N] [--connections=N] [--seconds=N] [--batch=N]"
                    " [--report=SECONDS] [--changes=PERCENT] [--rate=N] [--from=N] [--notify=none|commit|after]"
                    " [--together] [--inventories] [--changes-only] CONNINFO");
        options.conninfo = argv[optind];
}

int main(int argc, char *argv[])
{
        uint8_t *state;

        parse(argc, argv);
        state = map_state();
        writers = calloc(options.connections, sizeof(*writers));
        if (!writers)
                die("out of memory");
        for (unsigned k = 0; k < options.connections; k++) {
                snprintf(writers[k].instance, sizeof(writers[k].instance), "bench-%016x", k);
                if (fleet_init(&writers[k].fleet, &options, k, state) < 0)
                        die("out of memory");
                prepare(&writers[k]);
        }
        read_cursors();
        run();
        return 0;
}
