/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The backend above HTTP: REST, agent sessions, ingestion and streams on one database. */

#include "access-key.h"
#include "http.h"

typedef struct Server Server;

/* Which of its work an instance does. */
typedef enum ServerRole {
        SERVER_ROLE_INGEST = 1, /* the agents' claim and WebSocket */
        SERVER_ROLE_API = 2,    /* everything else */
        SERVER_ROLE_ALL = 3,
} ServerRole;

/* Registers the routes and the WebSocket handler, then connects to the database in the background, brings its schema
 * up to date and serves; until then the API answers 503. Everything borrowed must outlive the server, except that
 * http has to be freed before it: streams, sessions and worker threads end through it. */
int server_new(sd_event *event, HttpServer *http, const char *conninfo, ServerRole role,
               const AccessKey *key, Server **ret);
Server *server_free(Server *s);
DEFINE_CLEANUP(Server *, server_free);

/* Whether requests can be served: the database is up and its schema is ours. */
bool server_is_ready(Server *s);

/* To be called before the connections are ended: the agents are then not said to be gone. */
void server_prepare_stop(Server *s);

/* Whether nothing is under way on the database: a good moment to end. */
bool server_is_idle(Server *s);
