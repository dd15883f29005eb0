/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Statements from the .sql files. sql-embed.py makes headers of them: for each statement a text SQL_NAME,
 * the number of its parameters, and a struct sql_NAME with a member per parameter. */

#include "shared/util.h"

/* Three arguments for db_query() and its relatives: the text, the number of parameters and the parameters.
 * Those not named are null. */
#define SQL(name, ...)                                                                    \
        SQL_##name, SQL_##name##_params, (const char *const *) &(const struct sql_##name) \
        {                                                                                 \
                __VA_ARGS__                                                               \
        }

static inline const char *sql_bool(bool b)
{
        return b ? "t" : "f";
}
