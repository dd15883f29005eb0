/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The quotas of accounts, in the database: the defaults from the settings, what an administrator sets for one account, and
 * how much is used. What asks whether a quota is reached is in SQL: db/migrations/functions/50-quotas.sql. */

#include "config/quota.h"
#include "model/act.h"

/* Writes the settings to the database, if they differ; then announces CHANGE_QUOTA. */
void quota_write_defaults(Backend *b);

/* Sets the quota of an account (named by id or address); NULL: the default again. Messages that wait for it are tried again.
 * One row with the account's public id, or none. */
int quota_set(Backend *b, const char *account, QuotaKind kind, const Quota *quota, const char *actor,
              db_callback_t done, void *userdata);

/* A row per quota of an account, with these columns; no row when there is no such account. */
enum {
        QUOTA_ROW_NAME,
        QUOTA_ROW_USED,         /* null: only the instances know */
        QUOTA_ROW_LIMIT,        /* null: none */
        QUOTA_ROW_BURST,        /* of results */
        QUOTA_ROW_OWN,          /* whether it is the account's own */
        QUOTA_ROW_REACHED_USEC, /* when it last stopped something, or null */
};
int quota_list(Backend *b, const char *account, db_callback_t done, void *userdata);

/* The same as one JSON document, for an account that has the role in the team; results: of the last minute. */
typedef struct QuotaAsker {
        const char *user, *role, *team;
} QuotaAsker;
int quota_usage(Backend *b, const QuotaAsker *asker, uint64_t results, db_callback_t done, void *userdata);

/* Notes, and logs once an hour, that the team sends results too fast. */
void quota_note_results(Backend *b, const char *team);

/* Measures the history of all accounts and deletes the oldest of those that have too much. */
void quota_check_storage(Backend *b);
