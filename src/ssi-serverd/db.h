#pragma once

/* PostgreSQL through libpq's non-blocking interface in the sd-event loop: a small pool of connections, statements
 * queued in pipeline mode, reconnection with backoff. */

#include <libpq-fe.h>
#include <systemd/sd-event.h>

#include "util.h"

typedef struct Db Db;

/* res: PGRES_TUPLES_OK or PGRES_COMMAND_OK when error is 0. Otherwise error is a negative errno: -ENOTCONN without a
 * connection, -ECONNRESET when it broke under way (the outcome is unknown), -EEXIST for unique_violation, -EAGAIN for
 * serialization failures and deadlocks, -EIO else; res may be NULL then. Borrowed. */
typedef void (*db_callback_t)(PGresult *res, int error, void *userdata);

int db_new(sd_event *event, const char *conninfo, unsigned n_connections, Db **ret);
Db *db_free(Db *db);

bool db_is_ready(Db *db);

/* Called whenever db_is_ready() changes. */
void db_set_state_callback(Db *db, void (*changed)(bool ready, void *userdata), void *userdata);

/* Runs one statement in a transaction of its own on a pooled connection. The parameters are copied. The callback is
 * always called exactly once, from the event loop, unless an error is returned here. */
int db_query(Db *db, const char *sql, unsigned n_params, const char *const *params, db_callback_t callback,
             void *userdata);

/* LISTEN on a channel with a connection of its own; re-established by itself. relisten is called after each
 * (re)connection, because notifications may have been missed. */
int db_listen(Db *db, const char *channel, void (*notified)(const char *payload, void *userdata),
              void (*relisten)(void *userdata), void *userdata);

/* Applies the numbered files of the folder that are not applied yet, each in a transaction, all under an advisory
 * lock. Blocking: only before the loop runs. */
int db_migrate(const char *conninfo, const char *migrations_dir);
