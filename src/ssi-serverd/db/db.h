/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* PostgreSQL through libpq's non-blocking interface in the sd-event loop: a small pool of connections, statements
 * queued in pipeline mode, reconnection with backoff. Names in a connection string are resolved by libpq, which
 * blocks: prefer sockets and addresses. */

#include <systemd/sd-event.h>

#include "db/result.h"
#include "db/statement.h"

typedef struct Db Db;

int db_new(sd_event *event, const char *conninfo, unsigned n_connections, Db **ret);
Db *db_free(Db *db);
DEFINE_CLEANUP(Db *, db_free);

/* Whether at least one connection of the pool is up. */
bool db_is_ready(Db *db);

/* Statements that have not been answered yet. */
unsigned db_in_flight(Db *db);

/* Called from the event loop whenever db_is_ready() changes. */
void db_set_state_callback(Db *db, void (*changed)(bool ready, void *userdata), void *userdata);

/* Ends all connections, the listener's too, and makes none until it is resumed: what is under way gets -ECONNRESET, and
 * what is asked for meanwhile -ENOTCONN. Not from within a db_callback_t. */
void db_suspend(Db *db);
void db_resume(Db *db);

/* Runs one statement in a transaction of its own on a pooled connection. The parameters (text format, NULL for null)
 * are copied. The callback (may be NULL) is called exactly once, from the event loop (or db_free()), unless an error
 * is returned here: -ENOTCONN without a connection, -EBUSY when all pipelines are full, -ENOMEM. Statements on a pool
 * of one connection run in the order of the calls. */
int db_query(Db *db, const char *sql, unsigned n_params, const char *const *params, db_callback_t callback,
             void *userdata);

/* As db_query(), with a statement that a connection prepares when it first needs it, so that it is parsed and planned once.
 * name and sql: constants. */
int db_query_prepared(Db *db, const char *name, const char *sql, unsigned n_params, const char *const *params,
                      db_callback_t callback, void *userdata);

/* LISTEN on a channel with a connection of its own; re-established by itself. relisten is called after each
 * (re)connection, because notifications may have been missed. One channel per Db: -EBUSY for a second. */
int db_listen(Db *db, const char *channel, void (*notified)(const char *payload, void *userdata),
              void (*relisten)(void *userdata), void *userdata);
