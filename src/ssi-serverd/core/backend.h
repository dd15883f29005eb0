/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The backend: what REST, the agents' sessions, notifications and administration have in common. It knows none of
 * them: what they have to hear goes through BackendEvents. start.h makes one. */

#include "core/changes.h"
#include "config/config.h"
#include "db/db.h"
#include "http/http.h"

typedef struct AgentSessions AgentSessions;
typedef struct ApiRoutes ApiRoutes;
typedef struct Ingest Ingest;
typedef struct KeyRing KeyRing;
typedef struct LoginThrottle LoginThrottle;
typedef struct Metrics Metrics;
typedef struct Notifier Notifier;
typedef struct PasswordPool PasswordPool;
typedef struct RateLimit RateLimit;
typedef struct Streams Streams;

/* Which of its work an instance does. */
typedef enum BackendRole {
        BACKEND_ROLE_INGEST = 1, /* the agents' claim and WebSocket */
        BACKEND_ROLE_API = 2,    /* everything else */
        BACKEND_ROLE_ALL = 3,
} BackendRole;

typedef struct Backend Backend;

/* What the floors above hear of, by start.c. Called from the event loop. */
typedef struct BackendEvents {
        /* There is a database whose schema is ours. Once. */
        int (*connect)(Backend *b);
        /* A part of the database came, or came back: backend_is_ready() says whether all is there. */
        void (*available)(Backend *b);
        /* Something was committed, here or by another instance. */
        void (*changed)(Backend *b, const Changes *changes);
        /* Changes may have been missed. */
        void (*missed)(Backend *b);
        /* Nothing may be connected to the database any more, since a backup is restored; then, that it may be again. */
        void (*suspend)(Backend *b);
        void (*resume)(Backend *b);
} BackendEvents;

struct Backend {
        sd_event *event;
        HttpServer *http; /* borrowed */
        BackendRole role;
        char instance[INSTANCE_ID_MAX]; /* in notifications, to know one's own */
        const Config *config; /* borrowed */

        Db *db;             /* NULL until the schema is up to date */
        Db *ingest_db;      /* one connection, so that batches and their order are ingestion's alone */
        bool has_key;       /* the key of the access tokens is published */
        bool maintained;    /* there is a partition for what comes */
        bool restoring;
        bool stopping;
        bool database_lost; /* logged */
        char *trouble;      /* why the database takes nothing, since the last that was written; or NULL */

        struct {
                size_t open;                 /* connected to this instance */
                uint64_t accepted, returned; /* in all; of agents that had had one before */
        } agent_sessions;

        const BackendEvents *events;
        /* Made and freed by start.c; each floor uses those that stand below it. */
        Ingest *ingest; /* NULL until there is a database */
        KeyRing *keys;
        PasswordPool *passwords;
        LoginThrottle *throttle;
        RateLimit *rate_limit; /* NULL without a limit */
        ApiRoutes *routes;
        AgentSessions *sessions;
        Streams *streams;
        Metrics *metrics;
        Notifier *notifier;

        /* Of schema.c, and of start.c */
        sd_event_source *start_timer;
        uint64_t start_retry_usec;
        sd_event_source *maintenance_timer;
};

/* Whether requests can be served: the database is up and its schema is ours. */
bool backend_is_ready(const Backend *b);
/* To be called after whatever that depends on: tells the HTTP server. */
void backend_update_availability(Backend *b);
/* The same, and that something came. */
void backend_available(Backend *b);

/* Runs a statement on the pool; as db_query(), and -ENOTCONN while there is no database yet. */
int backend_query(Backend *b, const char *sql, unsigned n_params, const char *const *params, db_callback_t callback,
                  void *userdata);

/* That something was written, or (error) was not. An outage is logged when it begins and when it ends. */
void backend_wrote(Backend *b, int error, const char *message);

/* Tells this instance's streams and sessions and, unless that has been done (notified), those of the others. */
void backend_publish(Backend *b, const Changes *changes, bool notified);
void backend_publish_one(Backend *b, ChangeKind kind, const char *user, const char *server, const char *arg);

/* Listens for what the other instances publish. The database must be there. */
int backend_listen(Backend *b);
