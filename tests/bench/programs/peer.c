/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What PostgreSQL takes when nothing is around the statement: a bare libpq loop that sends ingestion's own statement with
 * parameters that were made before, a transaction each, on one connection. The measure for the backend's ingestion. */

#include <getopt.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/array.h"
#include "histogram.h"
#include "ingest/batch.sql.h"

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "peer: %s\n", what);
        exit(1);
}

/* It stays the same, so that the batches can be sent in any order. */
#define CURSOR "0123456789abcdef;1000;9"

/* The servers' keys and epochs, in the order in which batches go through them. */
static PGresult *read_servers(PGconn *c)
{
        PGresult *res = PQexec(
                c, "SELECT id, session_epoch, public_id FROM servers WHERE api_key_hash IS NOT NULL ORDER BY id");

        if (PQresultStatus(res) != PGRES_TUPLES_OK || PQntuples(res) == 0)
                die("there are no servers");
        return res;
}

static void fill(DbArray a[static SQL_items_params], PGresult *servers, int first, unsigned items, unsigned services,
                 unsigned changes, uint64_t round)
{
        uint64_t usec = (uint64_t) time(NULL) * USEC_PER_SEC;
        unsigned parts = items / services;

        for (unsigned p = 0; p < parts; p++) {
                int row = (first + (int) p) % PQntuples(servers);
                db_array_int(&a[SQL_items_server], atoll(PQgetvalue(servers, row, 0)));
                db_array_int(&a[SQL_items_epoch], atoll(PQgetvalue(servers, row, 1)));
                db_array_text(&a[SQL_items_expected], CURSOR);
                db_array_text(&a[SQL_items_cursor], CURSOR);
                db_array_bool(&a[SQL_items_gap], false);
                for (unsigned i = 0; i < services; i++) {
                        char name[32], message[80];

                        snprintf(name, sizeof(name), "check-%u", i);
                        snprintf(message, sizeof(message),
                                 "/ is %llu%% full, and some more words as scripts print them",
                                 (unsigned long long) (round % 100));
                        db_array_int(&a[SQL_items_event_part], p + 1);
                        db_array_text(&a[SQL_items_event_service], name);
                        db_array_text(&a[SQL_items_event_kind], "result");
                        db_array_time(&a[SQL_items_event_at], usec);
                        db_array_text(&a[SQL_items_event_status], "OK");
                        db_array_text(&a[SQL_items_event_message], message);
                        db_array_text(&a[SQL_items_event_error_kind], NULL);
                        db_array_text(&a[SQL_items_event_error_detail], NULL);
                        db_array_int(&a[SQL_items_event_duration], 12);
                        db_array_text(&a[SQL_items_event_invocation], NULL);
                        db_array_text(&a[SQL_items_event_gap_from], NULL);
                        if ((p * services + i) % 100 >= changes)
                                continue;
                        db_array_int(&a[SQL_items_part], p + 1);
                        db_array_text(&a[SQL_items_name], name);
                        db_array_text(&a[SQL_items_status], round % 2 ? "OK" : "WARNING");
                        db_array_text(&a[SQL_items_message], message);
                        db_array_time(&a[SQL_items_status_at], usec);
                        db_array_time(&a[SQL_items_changed_at], usec);
                        db_array_bool(&a[SQL_items_fresh], false);
                        db_array_bool(&a[SQL_items_flipped], false);
                        db_array_bool(&a[SQL_items_live], true);
                        db_array_int(&a[SQL_items_duration], 12);
                        db_array_text(&a[SQL_items_invocation], NULL);
                        db_array_text(&a[SQL_items_error_kind], NULL);
                        db_array_text(&a[SQL_items_error_detail], NULL);
                        db_array_text(&a[SQL_items_error_at], NULL);
                }
        }
}

int main(int argc, char *argv[])
{
        unsigned items = 2000, services = 10, changes = 5, seconds = 10;
        static const struct option options[] = {
                { "items", required_argument, NULL, 'i' },   { "services", required_argument, NULL, 's' },
                { "changes", required_argument, NULL, 'c' }, { "seconds", required_argument, NULL, 't' },
                { "batches", required_argument, NULL, 'b' }, {},
        };
        unsigned batches = 50;
        DbArray(*arrays)[SQL_items_params];
        const char *(*params)[SQL_items_params];
        uint64_t done = 0, commits = 0;
        PGresult *servers;
        uint64_t begin, sent, end;
        Histogram took = {};
        PGconn *c;
        int o;

        while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (o) {
                case 'i':
                        items = (unsigned) atoi(optarg);
                        break;
                case 's':
                        services = (unsigned) atoi(optarg);
                        break;
                case 'c':
                        changes = (unsigned) atoi(optarg);
                        break;
                case 'b':
                        batches = (unsigned) atoi(optarg);
                        break;
                case 't':
                        seconds = (unsigned) atoi(optarg);
                        break;
                default:
                        return 2;
                }
        if (optind + 1 != argc || batches == 0 || services == 0 || items < services)
                die("usage: peer [--items=N] [--services=N] [--changes=PERCENT] [--seconds=N] [--batches=N] CONNINFO");
        c = PQconnectdb(argv[optind]);
        if (PQstatus(c) != CONNECTION_OK)
                die(PQerrorMessage(c));
        servers = read_servers(c);
        PQclear(PQexec(c, "UPDATE servers SET resume_cursor = '" CURSOR "'"));
        PQclear(PQprepare(c, "items", SQL_items, 0, NULL));
        /* Each twice, with the other status: what changes then does so with every round. */
        arrays = calloc(batches, 2 * sizeof(*arrays));
        params = calloc(batches, 2 * sizeof(*params));
        if (!arrays || !params)
                die("out of memory");
        for (unsigned b = 0; b < 2 * batches; b++) {
                fill(arrays[b], servers, (int) ((uint64_t) (b % batches) * (unsigned) PQntuples(servers) / batches),
                     items, services, changes, b / batches);
                for (unsigned k = 0; k < SQL_items_params; k++)
                        params[b][k] = k == SQL_items_grace ? "60" : db_array_done(&arrays[b][k]);
        }
        begin = now_usec();
        do {
                sent = now_usec();
                PGresult *res =
                        PQexecPrepared(c, "items", SQL_items_params, params[commits % (2 * batches)], NULL, NULL, 0);

                if (PQresultStatus(res) != PGRES_TUPLES_OK)
                        die(PQerrorMessage(c));
                if ((unsigned) PQntuples(res) != items / services)
                        die("a fence did not let its part through");
                PQclear(res);
                done += items;
                commits++;
                end = now_usec();
                histogram_add(&took, end - sent);
        } while (end - begin < seconds * UINT64_C(1000000));
        printf("{\"items\": %llu, \"commits\": %llu, \"seconds\": %.3f, \"per_second\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
               (unsigned long long) done, (unsigned long long) commits, (double) (end - begin) / 1e6,
               (double) done / ((double) (end - begin) / 1e6), histogram_percentile(&took, 0.5),
               histogram_percentile(&took, 0.99));
        return 0;
}
