/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Puts the backend together: makes what stands on each floor, connects it to the database, maintains the history. */

#include "auth/access-key.h"
#include "core/backend.h"

/* Registers the routes and the WebSocket handler, then connects to the database in the background, brings its schema
 * up to date and serves; until then the API answers 503. Everything borrowed must outlive the backend, except that
 * http has to be freed before it: streams, sessions and worker threads end through it. */
int backend_new(sd_event *event, HttpServer *http, const Config *config, BackendRole role,
                const AccessKey *key, Backend **ret);
Backend *backend_free(Backend *b);
DEFINE_CLEANUP(Backend *, backend_free);

/* To be called before the connections are ended: the agents are then not said to be gone. */
void backend_prepare_stop(Backend *b);

/* Whether nothing is under way on the database: a good moment to end. */
bool backend_is_idle(Backend *b);
