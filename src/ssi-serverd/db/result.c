/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "db/result.h"

/* PostgreSQL's documentation, appendix A. */
static int sqlstate_to_errno(const char *state)
{
        if (!state)
                return -EIO;
        if (streq(state, "23505"))
                return -EEXIST;
        if (streq(state, "40001") || streq(state, "40P01"))
                return -EAGAIN;
        if (startswith(state, "22") || startswith(state, "23") || startswith(state, "54"))
                return -EINVAL;
        if (startswith(state, "08") || startswith(state, "57P0"))
                return -ECONNRESET;
        return -EIO;
}

int db_result_to_errno(const PGresult *res)
{
        if (!res)
                return -EIO;
        switch (PQresultStatus(res)) {
        case PGRES_TUPLES_OK:
        case PGRES_COMMAND_OK:
                return 0;
        default:
                return sqlstate_to_errno(PQresultErrorField(res, PG_DIAG_SQLSTATE));
        }
}

const char *db_result_message(PGresult *res)
{
        const char *message = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;

        return message ?: "the connection was lost";
}
