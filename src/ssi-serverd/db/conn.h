/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One connection of the pool. Connects, and reconnects, automatically. */

#include <systemd/sd-event.h>

#include "db/hosts.h"
#include "db/result.h"

typedef struct DbConn DbConn;

typedef struct DbConnHandler {
        void (*state_changed)(DbConn *c, bool ready, void *userdata);
        void (*notified)(DbConn *c, const char *channel, const char *payload, void *userdata);
} DbConnHandler;

/* handler: borrowed, a constant. Takes a reference to the hosts. */
int db_conn_new(sd_event *event, DbHosts *hosts, const DbConnHandler *handler, void *userdata, DbConn **ret);
DbConn *db_conn_free(DbConn *c);

/* As db_suspend() and db_resume(). */
void db_conn_suspend(DbConn *c);
void db_conn_resume(DbConn *c);

bool db_conn_is_ready(DbConn *c);
unsigned db_conn_in_flight(DbConn *c);

/* As db_query(), or with a name as db_query_prepared(). */
int db_conn_query(DbConn *c, const char *name, const char *sql, unsigned n_params, const char *const *params,
                  db_callback_t callback, void *userdata);
/* Quotes an identifier for SQL. The caller frees it; NULL when out of memory or not connected. */
char *db_conn_quote_identifier(DbConn *c, const char *s);
