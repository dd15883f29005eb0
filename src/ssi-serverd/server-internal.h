/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "changes.h"
#include "db.h"
#include "ingest.h"
#include "key-ring.h"
#include "password.h"
#include "server.h"
#include "rate-limit.h"
#include "settings.h"

typedef struct AgentSessions AgentSessions;
typedef struct ApiRoutes ApiRoutes;
typedef struct LoginThrottle LoginThrottle;
typedef struct Notifier Notifier;
typedef struct Metrics Metrics;
typedef struct Streams Streams;

struct Server {
        sd_event *event;
        HttpServer *http;
        ServerRole role;
        char *conninfo;
        char *migrations_dir;
        char instance[INSTANCE_ID_MAX]; /* in notifications, to know one's own */

        Db *db;        /* NULL until the schema is up to date */
        Db *ingest_db; /* one connection, so that batches and their order are ingestion's alone */
        Ingest *ingest;
        KeyRing *keys;
        bool announced;     /* logged that it is ready */
        bool database_lost; /* logged */
        bool maintained;    /* there is a partition for what comes */
        bool stopping;
        char *trouble;      /* why the database takes nothing, since the last that was written; or NULL */
        bool restoring;
        Settings settings;

        PasswordPool *passwords;
        LoginThrottle *throttle;
        RateLimit *rate_limit; /* NULL without a limit */
        ApiRoutes *routes;
        AgentSessions *sessions;
        Streams *streams;
        Metrics *metrics;
        Notifier *notifier;

        sd_event_source *start_timer;
        uint64_t start_retry_usec;
        sd_event_source *maintenance_timer;
};

/* Runs a statement on the pool; as db_query(), and -ENOTCONN while there is no database yet. */
int server_query(Server *s, const char *sql, unsigned n_params, const char *const *params, db_callback_t callback,
                 void *userdata);

/* That something was written, or (error) was not. */
void server_wrote(Server *s, int error, const char *message);

/* The number of the last migration that this program has. */
int server_schema_version(Server *s);

/* Between these, requests are refused, and nothing of this instance is connected to the database. restored: what it holds
 * is other than before; server_is_ready() says when all is well again. */
void server_begin_restore(Server *s);
void server_end_restore(Server *s, bool restored);

/* Tells the streams and sessions of this instance and, unless that has been done, those of the others. */
void server_publish(Server *s, const Changes *changes, bool notified);
void server_publish_one(Server *s, ChangeKind kind, const char *user, const char *server, const char *arg);
