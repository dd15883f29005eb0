/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a statement gives. */

#include <libpq-fe.h>

#include "shared/util.h"

/* Statements that may be under way on one connection. */
#define DB_PIPELINE_MAX 1000

/* res: PGRES_TUPLES_OK or PGRES_COMMAND_OK when error is 0. Otherwise error is a negative errno: -ECONNRESET when the
 * connection broke under way (the outcome is unknown), -EEXIST for unique_violation, -EAGAIN for serialization
 * failures and deadlocks (nothing was done, again may work), -EINVAL for data or constraints that the database
 * refuses, -ECANCELED from db_free(), -EIO else; res may be NULL then. Borrowed. Must not free the Db. */
typedef void (*db_callback_t)(PGresult *res, int error, void *userdata);

/* What the database said when a query failed, for logging; never NULL. Borrowed from res. */
const char *db_result_message(PGresult *res);
