/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "db/array.h"
#include "model/quota.h"
#include "model/quota.sql.h"
#include "shared/log.h"

/* Chunks of history deleted in one check; more are left to the next. */
#define TRIM_MAX 64U

static void add_value(DbArray *a, uint64_t v)
{
        if (v == QUOTA_NONE)
                db_array_null(a);
        else
                db_array_int(a, (int64_t) v);
}

static void defaults_written(PGresult *res, int error, void *userdata)
{
        if (error < 0)
                log_debug("Cannot write the quotas to the database: %s", db_result_message(res));
        else if (!streq(PQgetvalue(res, 0, 0), "0"))
                backend_publish_one(userdata, CHANGE_QUOTA, "-", "-", NULL);
}

void quota_write_defaults(Backend *b)
{
        DbArray columns[SQL_quota_defaults_params] = {};
        const char *params[SQL_quota_defaults_params];
        bool complete = true;

        for (QuotaKind k = 0; k < _QUOTA_KINDS; k++) {
                Quota q = config_quota(b->config, k);

                db_array_text(&columns[SQL_quota_defaults_names], quota_name(k));
                add_value(&columns[SQL_quota_defaults_values], q.value);
                add_value(&columns[SQL_quota_defaults_bursts], q.burst > 0 ? q.burst : QUOTA_NONE);
        }
        for (size_t i = 0; i < ELEMENTSOF(columns); i++) {
                params[i] = db_array_done(&columns[i]);
                complete &= params[i] != NULL;
        }
        if (complete)
                (void) backend_query(b, SQL_quota_defaults, SQL_quota_defaults_params, params, defaults_written, b);
        db_arrays_free(columns, ELEMENTSOF(columns));
}

static void publish_quota(Backend *b, PGresult *res)
{
        backend_publish_one(b, CHANGE_QUOTA, PQgetvalue(res, 0, 0), "-", NULL);
}

int quota_set(Backend *b, const char *account, QuotaKind kind, const Quota *quota, const char *actor,
              db_callback_t done, void *userdata)
{
        char value[32], burst[32];

        if (!quota)
                return act_query(b, SQL(quota_reset, .account = account, .name = quota_name(kind), .actor = actor),
                                 publish_quota, done, userdata);
        snprintf(value, sizeof(value), "%" PRIu64, quota->value);
        snprintf(burst, sizeof(burst), "%" PRIu64, quota->burst);
        return act_query(b,
                         SQL(quota_set, .account = account, .name = quota_name(kind),
                             .value = quota->value == QUOTA_NONE ? NULL : value,
                             .burst = quota->burst == 0 ? NULL : burst, .actor = actor),
                         publish_quota, done, userdata);
}

/* The names of the quotas that accounts have. */
static const char *account_quotas(DbArray *a)
{
        for (QuotaKind k = 0; k <= QUOTA_TOKENS; k++)
                db_array_text(a, quota_name(k));
        return db_array_done(a);
}

int quota_list(Backend *b, const char *account, db_callback_t done, void *userdata)
{
        _cleanup_(db_array_free) DbArray names = {};
        const char *text = account_quotas(&names);

        return text ? act_query(b, SQL(quota_list, .names = text, .account = account), NULL, done, userdata) : -ENOMEM;
}

int quota_usage(Backend *b, const QuotaAsker *asker, uint64_t results, db_callback_t done, void *userdata)
{
        _cleanup_(db_array_free) DbArray names = {};
        const char *text = account_quotas(&names);
        char number[32];

        snprintf(number, sizeof(number), "%" PRIu64, results);
        return text ? act_query(b,
                                SQL(quota_usage, .results = number, .names = text, .user = asker->user,
                                    .role = asker->role, .team = asker->team),
                                NULL, done, userdata) :
                      -ENOMEM;
}

static void results_noted(PGresult *res, int error, void *userdata)
{
        if (error == 0 && PQntuples(res) > 0 && *PQgetvalue(res, 0, 0) == 't')
                log_notice(
                        "The account %s sends more than its %s results per minute: its agents wait. Its quota: ssictl "
                        "server quota %s",
                        PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2), PQgetvalue(res, 0, 1));
}

void quota_note_results(Backend *b, const char *team)
{
        (void) backend_query(b, SQL(quota_note_results, .team = team), results_noted, b);
}

/* ---- Storage ---- */

typedef struct StorageCheck {
        Backend *backend;
        unsigned chunks;
} StorageCheck;

static void trim(StorageCheck *c_taken);

static void trimmed(PGresult *res, int error, void *userdata)
{
        _cleanup_free_ StorageCheck *c = userdata;

        if (error < 0) {
                if (error != -ECANCELED && error != -ECONNRESET)
                        log_warning("Cannot delete the history of an account that has too much: %s",
                                    db_result_message(res));
                return;
        }
        if (PQntuples(res) == 0)
                return;
        if (*PQgetvalue(res, 0, 1) == 't')
                log_notice(
                        "The account %s keeps more than its quota \"storage\": deleting its oldest history, at first up to "
                        "%s. Its quota: ssictl server quota %s",
                        PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 2), PQgetvalue(res, 0, 0));
        if (++c->chunks < TRIM_MAX)
                trim(TAKE_PTR(c));
}

static void trim(StorageCheck *c_taken)
{
        if (backend_query(c_taken->backend, SQL(trim_history), trimmed, c_taken) < 0)
                free(c_taken);
}

static void measured(PGresult *res, int error, void *userdata)
{
        _cleanup_free_ StorageCheck *c = userdata;

        if (error == 0)
                trim(TAKE_PTR(c));
        else if (error != -ECANCELED && error != -ECONNRESET)
                log_warning("Cannot measure the history: %s", db_result_message(res));
}

void quota_check_storage(Backend *b)
{
        StorageCheck *c = calloc(1, sizeof(*c));

        if (!c)
                return;
        c->backend = b;
        if (backend_query(b, SQL(measure_history), measured, c) < 0)
                free(c);
}
