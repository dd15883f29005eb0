/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The statements of the .sql files, of which sql-embed.py makes headers: for each a text SQL_NAME, the number of its parameters
 * and a struct sql_NAME that has them as members. */

#include "shared/util.h"

/* Three arguments of db_query() and its like: the text, the number of parameters and the parameters. What is not named is
 * null. */
#define SQL(name, ...) \
        SQL_##name, SQL_##name##_params, (const char *const *) &(const struct sql_##name) { __VA_ARGS__ }

static inline const char *sql_bool(bool b)
{
        return b ? "t" : "f";
}
