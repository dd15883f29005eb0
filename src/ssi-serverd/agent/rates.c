/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/session-internal.h"
#include "agent/rates.sql.h"

/* The rates of the accounts whose agents are connected here: read with each session, and again when a quota has changed. */

/* Columns value and burst; null: no limit. */
IngestRate agent_rate_read(PGresult *res, int row, int column)
{
        IngestRate rate = {};

        if (PQgetisnull(res, row, column))
                return rate;
        rate.per_minute = strtoull(PQgetvalue(res, row, column), NULL, 10);
        rate.burst = PQgetisnull(res, row, column + 1) ? rate.per_minute :
                                                         strtoull(PQgetvalue(res, row, column + 1), NULL, 10);
        return rate;
}

static void rates_read(PGresult *res, int error, void *userdata)
{
        AgentSessions *a = userdata;

        for (int row = 0; error == 0 && row < PQntuples(res); row++) {
                IngestRate rate = agent_rate_read(res, row, 1);

                ingest_set_rate(a->backend->ingest, PQgetvalue(res, row, 0), &rate);
        }
}

static void add_user(const char *user, void *userdata)
{
        db_array_text(userdata, user);
}

void agent_sessions_reread_rates(AgentSessions *a)
{
        _cleanup_(db_array_free) DbArray users = {};
        const char *text;

        if (!a->backend->ingest || ingest_each_owner(a->backend->ingest, add_user, &users) == 0)
                return;
        text = db_array_done(&users);
        if (text)
                (void) backend_query(a->backend, SQL(rates, .users = text), rates_read, a);
}
