/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The result of a statement. */

#include <libpq-fe.h>

#include "shared/util.h"

/* Limit of statements under way on one connection. */
#define DB_PIPELINE_MAX 1000

/* res: PGRES_TUPLES_OK or PGRES_COMMAND_OK if error is 0. Otherwise error is a negative errno: -ECONNRESET
 * if the connection broke under way (the outcome is unknown), -EEXIST for unique_violation, -EAGAIN for
 * serialization failures and deadlocks (nothing was done; a retry may succeed), -EINVAL for data that the
 * database or a constraint refuses, -ECANCELED from db_free(), otherwise -EIO; res may be NULL then.
 * Borrowed. Must not free the Db. */
typedef void (*db_callback_t)(PGresult *res, int error, void *userdata);

/* The database's message for a failed query, for logging; never NULL. Borrowed from res. */
const char *db_result_message(PGresult *res);

/* What db_callback_t is told of it. */
int db_result_to_errno(const PGresult *res);
