/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of agent/ share: one session, the tables of all, close codes. */

#include <uthash.h>

#include "agent/message.h"
#include "agent/session.h"
#include "db/array.h"
#include "ingest/ingest.h"

#define CLOSE_BAD_MESSAGE   4400
#define CLOSE_UNAUTHORIZED  4401
#define CLOSE_AUTH_TIMEOUT  4408
#define CLOSE_SUPERSEDED    4409
#define CLOSE_TOO_LARGE     4413
#define CLOSE_UNAVAILABLE   1013 /* "try again later" of the IANA registry */

typedef enum AgentSessionState {
        SESSION_NEW,
        SESSION_AUTHENTICATING,
        SESSION_READY,
        SESSION_ENDED, /* the close is under way */
} AgentSessionState;

typedef struct AuthBatch AuthBatch;

typedef struct AgentSession {
        AgentSessions *owner;
        AgentSessionState state;
        WsConn *ws;      /* NULL when the connection is gone */
        sd_event_source *auth_timer;
        AgentMessage auth;
        bool querying;   /* the statement of step 2 is under way */
        struct AgentSession **in_queue; /* for that statement, or for the session before; or NULL */
        bool alone;      /* to be asked for by a statement of its own */

        int64_t id, epoch;
        char *agent_id;  /* set while in the tables below */
        char *server, *user;
        IngestSource *source;
        bool checked;    /* in the check under way, not answered */
        UT_hash_handle hh, hh_server;
        struct AgentSession *prev, *next, *auth_prev, *auth_next;
} AgentSession;

struct AgentSessions {
        Backend *backend;
        AgentSession *all;
        AgentSession *by_agent;  /* READY ones, also while they drain */
        AgentSession *by_server;
        AgentSession *auth_queue;   /* for the next batch */
        AgentSession *auth_waiting; /* for the session before */
        AuthBatch *auth_batch;      /* under way */
        sd_event_source *timer;
        DbArray ended_ids, ended_epochs; /* sessions to be marked offline by the next statement */
        bool ending;          /* one is under way */
        bool beating;         /* a beat is */
        bool checking;        /* a check of the sessions is */
        bool recheck;         /* after the next beat: a statement about an agent failed */
        uint64_t last_beat;   /* CLOCK_MONOTONIC, usec */
        uint64_t beats_since; /* CLOCK_MONOTONIC, usec: no beat has failed since; 0 before the first */
};

/* agent-session.c */
/* Another connection of the same agent took over, here or elsewhere. May free the session. */
void agent_session_supersede(AgentSession *s);
void agent_session_send(AgentSession *s, const char *type, json_object *payload_taken);
/* The error message and then the close. The session takes no message any more. */
void agent_session_refuse(AgentSession *s, int code, const char *name, const char *message);
/* READY: into the tables, from s->auth. */
void agent_session_enter(AgentSession *s);
/* Frees the session when nothing needs it any more. */
void agent_session_collect(AgentSession *s);
extern const IngestSourceHandler agent_session_source_handler;

/* agent-auth.c */
/* Asks the database, when it is the session's turn. May end the session, and free it when its connection is gone. */
void agent_session_authenticate(AgentSession *s);
/* When it is in one. */
void agent_session_leave_queue(AgentSession *s);

/* agent-presence.c */
/* Unless another session has taken over. */
void agent_session_mark_offline(AgentSession *s);
void agent_sessions_presence_done(AgentSessions *a);
void agent_session_going_down(AgentSession *s, bool cancelled);
int agent_sessions_start_presence(AgentSessions *a);
