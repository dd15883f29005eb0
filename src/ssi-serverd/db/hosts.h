/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The hosts that a connection string names (libpq, "Specifying Multiple Hosts"). Each is tried by itself, with its own time:
 * libpq's non-blocking interface gives all of them one time, so that a first one that is switched off would use it up. All
 * connections of the process share this, so that what one of them has found out need not be found out again. */

#include <libpq-fe.h>

#include "shared/util.h"

typedef struct DbHosts DbHosts;

/* -EINVAL when libpq cannot read the connection string. */
int db_hosts_new(const char *conninfo, DbHosts **ret);
DbHosts *db_hosts_ref(DbHosts *h);
DbHosts *db_hosts_unref(DbHosts *h);
DEFINE_CLEANUP(DbHosts *, db_hosts_unref);

/* At least one. */
unsigned db_hosts_count(const DbHosts *h);
/* The one that took a connection last: where to begin. */
unsigned db_hosts_first(const DbHosts *h);
/* How long to wait for one of them: connect_timeout of the connection string, or a default. */
uint64_t db_hosts_timeout_usec(const DbHosts *h);

/* They may be missing: what fails is not logged, but kept (db_hosts_trouble()). No statement on them takes longer than that. */
void db_hosts_set_optional(DbHosts *h, unsigned statement_timeout_ms);
/* Why the last attempt failed; NULL if it did not. Borrowed, until the next attempt. */
const char *db_hosts_trouble(const DbHosts *h);
/* Whether the connection string wants another session than one that is read-only, or on a standby. libpq is not asked to find that
 * out: it believes what a pooler says, which is how it was when the pooler connected first. */
bool db_hosts_refuse(const DbHosts *h, bool read_only, bool standby);
unsigned db_hosts_statement_timeout(const DbHosts *h); /* ms; 0: the database's own */

/* Begins to connect to one of them, as PQconnectStart(). */
PGconn *db_hosts_connect(const DbHosts *h, unsigned host);

/* Reports what came of it. What is wrong with a host is named in the log: once a minute, or once if that is as it should be on a standby. */
typedef enum DbHostFault {
        DB_HOST_GOOD,
        DB_HOST_SILENT,
        DB_HOST_REFUSES,     /* it has answered, with the reason */
        DB_HOST_IN_RECOVERY, /* these two are not what the connection string asks for */
        DB_HOST_READ_ONLY,
} DbHostFault;
void db_hosts_answered(DbHosts *h, unsigned host);
void db_hosts_failed(DbHosts *h, unsigned host, const char *reason, DbHostFault fault);
