/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Assembles the backend: makes the modules of each layer, connects to the database, maintains the
 * history. */

#include "auth/access-key.h"
#include "core/backend.h"

/* Registers the routes and the WebSocket handler, then in the background connects to the database, brings
 * its schema up to date and starts serving; until then the API answers 503. Everything borrowed must outlive
 * the backend, except http, which must be freed first: streams, sessions and worker threads end through
 * it. has_left: see Backend. */
int backend_new(sd_event *event, HttpServer *http, const Config *config, BackendRole role, const AccessKey *key,
                bool has_left, Backend **ret);
Backend *backend_free(Backend *b);
DEFINE_CLEANUP(Backend *, backend_free);

/* Call this after the settings were read again. */
void backend_reloaded(Backend *b);

/* Call this before the connections are closed: the agents are then not reported as gone. */
void backend_prepare_stop(Backend *b);

/* Whether no database work is under way: a good moment to stop. */
bool backend_is_idle(Backend *b);
