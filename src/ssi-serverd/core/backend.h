/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The backend: what REST, the agents' sessions, notifications and administration share. It holds a
 * pointer to each of them without knowing what it is, and reaches them through BackendEvents. start.h makes one. */

#include "core/change-set.h"
#include "config/config.h"
#include "db/db.h"
#include "http/http.h"
#include "shared/status-line.h"

#define HOST_ID_MAX  65
#define HOSTNAME_MAX 65

typedef struct AgentSessions AgentSessions;
typedef struct ApiRoutes ApiRoutes;
typedef struct AuditRefusals AuditRefusals;
typedef struct Figures Figures;
typedef struct Ingest Ingest;
typedef struct KeyRing KeyRing;
typedef struct LoginThrottle LoginThrottle;
typedef struct Metrics Metrics;
typedef struct Notifier Notifier;
typedef struct PasswordPool PasswordPool;
typedef struct RateLimit RateLimit;
typedef struct Replica Replica;
typedef struct Streams Streams;

/* The kinds of work an instance does. */
typedef enum BackendRole {
        BACKEND_ROLE_INGEST = 1, /* the agents' claim and WebSocket */
        BACKEND_ROLE_API = 2,    /* everything else */
        BACKEND_ROLE_ALL = 3,
} BackendRole;

typedef struct Backend Backend;

/* Events for the layers above, set by start.c. Called from the event loop. */
typedef struct BackendEvents {
        /* The database is reachable and its schema is ours. Called once. */
        int (*connect)(Backend *b);
        /* A part of the database became available: backend_is_ready() says whether all parts are. */
        void (*available)(Backend *b);
        /* Something was committed, here or by another instance. */
        void (*changed)(Backend *b, const Changes *changes);
        /* Changes may have been missed. */
        void (*missed)(Backend *b);
        /* suspend: a backup is about to be restored, so nothing may stay connected to the database. resume:
         * it may again. */
        void (*suspend)(Backend *b);
        void (*resume)(Backend *b);
} BackendEvents;

struct Backend {
        sd_event *event;
        HttpServer *http; /* borrowed */
        BackendRole role;
        char instance[INSTANCE_ID_MAX];                 /* in notifications, to recognise our own */
        char host[HOST_ID_MAX], hostname[HOSTNAME_MAX]; /* where it runs: an ID of the machine, and its name */
        char started[RFC3339_MAX];
        bool has_left;        /* the host was taken out of service: nothing is served */
        const Config *config; /* borrowed */

        Db *db;           /* NULL until the schema is up to date */
        Db *ingest_db;    /* one connection, for ingestion alone, so that its batches stay in order */
        Figures *figures; /* NULL until there is a database */
        Replica *replica; /* NULL without SSI_DATABASE_READ_URL */
        bool has_key;     /* the public key of the access tokens is published */
        bool maintained;  /* there is a partition for new events */
        bool hears;       /* notifications arrive */
        bool proof_sent;  /* one that is to show it was committed */
        bool restoring;
        bool stopping;
        bool database_lost; /* its loss was logged */
        char *trouble;      /* why the database rejected the last write; NULL when it did not */

        struct {
                size_t open;                 /* connected to this instance */
                uint64_t accepted, returned; /* in total; agents that had a session before */
        } agent_sessions;

        /* This host's, for TLS; kept by the manager */
        struct {
                uint64_t end; /* usec since the epoch; 0: unknown */
                uint64_t renewed, failed;
                char *trouble; /* why the last renewal failed, as a sentence; NULL if it did not */
        } certificate;

        size_t n_viewers; /* open event streams */

        /* What is to be published to the other instances; used by publish.c */
        struct {
                ChangeSet always; /* what each of them must know */
                ChangeSet viewed; /* what those need that have viewers */
                sd_event_source *timer;
                bool armed, sending;
        } outgoing;

        const BackendEvents *events;
        /* Made and freed by start.c; each layer uses those below it. */
        Ingest *ingest; /* NULL until there is a database */
        KeyRing *keys;
        PasswordPool *passwords;
        LoginThrottle *throttle;
        RateLimit *rate_limit; /* requests; NULL without a limit */
        RateLimit *refusals;   /* requests that failed to authenticate; NULL without a limit */
        AuditRefusals *audit_refusals;
        ApiRoutes *routes;
        AgentSessions *sessions;
        Streams *streams;
        Metrics *metrics;
        Notifier *notifier;

        /* Used by schema.c and start.c */
        sd_event_source *start_timer;
        uint64_t start_retry_usec;
        uint64_t start_logged; /* when it was said why it does not start; CLOCK_MONOTONIC, usec */
        sd_event_source *maintenance_timer, *history_timer;
        unsigned days_dropped; /* of the history, not yet logged */
        /* Used by backend.c */
        sd_event_source *hearing_timer;
        uint64_t heard;       /* the last notification of our own; CLOCK_MONOTONIC, usec */
        uint64_t deaf_logged; /* CLOCK_MONOTONIC, usec */
        sd_event_source *storage_timer;
};

/* Whether requests can be served: the database is up and its schema is ours. */
bool backend_is_ready(const Backend *b);
/* Why they cannot, as a sentence, a constant; NULL if they can. */
const char *backend_unavailable(const Backend *b);
/* Tells the HTTP server whether requests can be served. Call it when any condition of backend_is_ready()
 * changed. */
void backend_update_availability(Backend *b);
/* The same, and calls BackendEvents.available. */
void backend_available(Backend *b);

/* Runs a statement on the pool; as db_query(), and -ENOTCONN while there is no database yet. */
int backend_query(Backend *b, const char *sql, unsigned n_params, const char *const *params, db_callback_t callback,
                  void *userdata);

/* Reports that a write succeeded, or failed (error). Logs the start and the end of an outage. */
void backend_wrote(Backend *b, int error, const char *message);

/* Publishes committed changes to this instance's streams and sessions and, within some 50 ms, to the other instances. */
void backend_publish(Backend *b, const Changes *changes);
void backend_publish_one(Backend *b, ChangeKind kind, const char *user, const char *server, const char *arg);

int backend_publish_start(Backend *b);
void backend_publish_stop(Backend *b);
/* Before the end: sends what still waits, without waiting for more. */
void backend_publish_now(Backend *b);
bool backend_has_published(const Backend *b);

/* Listens for what the other instances publish, and proves that it arrives: a pooler in transaction mode passes nothing on.
 * The database must be there. */
int backend_listen(Backend *b);
void backend_listen_stop(Backend *b);
/* Proves it again: Backend.heard then changes. */
void backend_prove_hearing(Backend *b);
