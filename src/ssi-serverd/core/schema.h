/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The way to a database whose schema is ours: a worker thread runs the migrations, again and again until the database lets it; then
 * BackendEvents.connect is called, once. A restore begins the same way anew. */

#include "core/backend.h"

/* Begins, from the event loop. */
int schema_start(Backend *b);
/* For the backend's end. */
void schema_stop(Backend *b);

/* What this program knows: the first schema that it can upgrade, and the last. As db_migration_range(). */
int schema_range(const Backend *b, int *ret_oldest, int *ret_newest);

/* Between these, requests are refused, and nothing of this instance is connected to the database. restored: what it holds
 * is other than before; backend_is_ready() says when all is well again. */
void schema_begin_restore(Backend *b);
void schema_end_restore(Backend *b, bool restored);
