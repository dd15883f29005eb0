/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A throwaway PostgreSQL of a test's own, on a Unix socket in a temporary folder. */

#include <libpq-fe.h>
#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "db/db.h"

typedef struct Postgres {
        char dir[64];
        char conninfo[160];
        pid_t pid;
        PGconn *connection; /* of postgres_query() */
} Postgres;

/* cmocka group functions: *state is the Postgres, with the migrations applied. */
int postgres_setup(void **state);
int postgres_teardown(void **state);

/* SIGKILL to the postmaster and start it again. */
void postgres_crash(Postgres *p);
void postgres_start(Postgres *p);

/* Runs a statement, fails the test when it fails. The first value of the first row ("" when there is none or it is null), valid
 * until the next call. All statements share a connection, which no other part of the test uses. */
const char *postgres_query(Postgres *p, const char *sql);

/* A pool of connections to it, or to what the connection string names. */
Db *postgres_pool(sd_event *event, const char *conninfo, unsigned n_connections);

/* Runs the loop until *done is true; fails the test after 10 s. */
void loop_until(sd_event *event, const bool *done);
/* Runs the loop for this long. */
void loop_for(sd_event *event, uint64_t usec);
