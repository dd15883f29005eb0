/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* PostgreSQL through libpq's non-blocking interface in the sd-event loop: a small pool of connections,
 * pipelined statements, reconnection with backoff. libpq blocks while it resolves a name in a connection
 * string: prefer sockets and addresses. */

#include <systemd/sd-event.h>

#include "db/hosts.h"
#include "db/result.h"
#include "db/statement.h"

typedef struct Db Db;

/* Takes a reference to the hosts. */
int db_new(sd_event *event, DbHosts *hosts, unsigned n_connections, Db **ret);
Db *db_free(Db *db);
DEFINE_CLEANUP(Db *, db_free);

/* Whether at least one connection of the pool is up. */
bool db_is_ready(Db *db);

/* The number of statements without an answer. */
unsigned db_in_flight(Db *db);

/* Called from the event loop whenever db_is_ready() changes. */
void db_set_state_callback(Db *db, void (*changed)(bool ready, void *userdata), void *userdata);

/* Closes all connections, the listener's too, until db_resume(). Statements under way fail with -ECONNRESET,
 * new ones with -ENOTCONN. Not from within a db_callback_t. */
void db_suspend(Db *db);
void db_resume(Db *db);

/* Runs one statement in its own transaction on a pooled connection. Copies the parameters (text format, NULL
 * for null). The callback (may be NULL) is called exactly once, from the event loop (or db_free()), unless
 * this returns an error: -ENOTCONN without a connection, -EBUSY when all pipelines are full, -ENOMEM.
 * Statements on a pool of one connection run in the order of the calls. */
int db_query(Db *db, const char *sql, unsigned n_params, const char *const *params, db_callback_t callback,
             void *userdata);

/* As db_query(), but each connection prepares the statement when it first needs it, so that it is parsed and
 * planned once. name and sql: constants. */
int db_query_prepared(Db *db, const char *name, const char *sql, unsigned n_params, const char *const *params,
                      db_callback_t callback, void *userdata);

/* LISTENs on a channel with a separate connection, which reconnects automatically. relisten is called after
 * each (re)connection, because notifications may have been missed. One channel per Db: -EBUSY for a second
 * one. */
int db_listen(Db *db, const char *channel, void (*notified)(const char *payload, void *userdata),
              void (*relisten)(void *userdata), void *userdata);
