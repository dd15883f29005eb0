/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waits for a database that has our schema: a worker thread runs the migrations, and retries until the
 * database accepts them; then it calls BackendEvents.connect, once. After a restore the migrations run again
 * in the same way. */

#include "core/backend.h"

/* Starts, from the event loop. */
int schema_start(Backend *b);
/* Call this before the backend is freed. */
void schema_stop(Backend *b);

/* The schemas this program knows: the oldest that it can upgrade, and the newest. As
 * db_migration_range(). */
int schema_range(const Backend *b, int *ret_oldest, int *ret_newest);

/* Between these two, requests are refused and this instance has no connection to the database. restored: the
 * data has changed; backend_is_ready() tells when the database is usable again. */
void schema_begin_restore(Backend *b);
void schema_end_restore(Backend *b, bool restored);
