/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The schema: numbered SQL files, each applied once, and below them functions and triggers, which are applied again whenever they
 * have changed. A function that a newer program needs, and an older one beside it cannot do with, comes with a migration: the
 * instance whose schema is older leaves functions alone. */

#include "shared/util.h"

/* The numbers of the first and the last migration in the folder. -ENOENT for none, or what reading it gave. */
int db_migration_range(const char *migrations_dir, int *ret_oldest, int *ret_newest);

/* Applies the files of the folder named NNNN-….sql that are not applied yet, in the order of their numbers, each in a
 * transaction, all under an advisory lock. Blocking: for a worker thread, or before the loop runs. Returns how many
 * were applied; -ENOTCONN when there is no connection, -EIO when the database refuses, or what reading the files
 * gave, -ENOTSUP when the database is older than the first of the files; *ret_message (may be NULL) is then a sentence for people,
 * to be freed. Then the functions, all in one transaction. */
int db_migrate(const char *conninfo, const char *migrations_dir, char **ret_message);
