/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The schema: numbered SQL files, each applied once, then functions and triggers, applied again whenever
 * they change. A function that a newer program needs but an older one beside it cannot use comes with a
 * migration: an instance whose schema is older leaves functions alone. */

#include "shared/util.h"

/* The numbers of the folder's first and last migration. -ENOENT for none, or the error of reading the
 * folder. */
int db_migration_range(const char *migrations_dir, int *ret_oldest, int *ret_newest);

/* Applies the folder's files NNNN-….sql that are not applied yet, in the order of their numbers, each in a
 * transaction, all under an advisory lock; then the functions, in one transaction. Blocking: for a worker
 * thread, or before the loop runs. Returns how many files were applied; -ENOTCONN without a connection, -EIO
 * when the database refuses, -ENOTSUP when the database is older than the first file, or the error of
 * reading the files. On error, *ret_message (may be NULL) is a sentence for people, to be freed. */
int db_migrate(const char *conninfo, const char *migrations_dir, char **ret_message);
