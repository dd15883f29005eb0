/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The schema's migrations: numbered SQL files. */

#include "shared/util.h"

/* The number of the newest migration in the folder, 0 for none; a negative errno when it cannot be read. */
int db_newest_migration(const char *migrations_dir);

/* Applies the files of the folder named NNNN-….sql that are not applied yet, in the order of their numbers, each in a
 * transaction, all under an advisory lock. Blocking: for a worker thread, or before the loop runs. Returns how many
 * were applied; -ENOTCONN when there is no connection, -EIO when the database refuses, or what reading the files
 * gave; *ret_message (may be NULL) is then a sentence for people, to be freed. */
int db_migrate(const char *conninfo, const char *migrations_dir, char **ret_message);
