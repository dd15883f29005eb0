/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the files of agent/: a session, the tables of all sessions, close codes. */

#include <uthash.h>

#include "agent/message.h"
#include "agent/proven.h"
#include "agent/session.h"
#include "db/array.h"
#include "ingest/ingest.h"
#include "shared/network.h"

#define CLOSE_BAD_MESSAGE  4400
#define CLOSE_UNAUTHORIZED 4401
#define CLOSE_AUTH_TIMEOUT 4408
#define CLOSE_SUPERSEDED   4409
#define CLOSE_DUPLICATE    4410
#define CLOSE_TOO_LARGE    4413
#define CLOSE_SLOW_DOWN    4429
#define CLOSE_UNAVAILABLE  1013 /* "try again later" in the IANA registry */

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
        WsConn *ws; /* NULL once the connection is gone */
        sd_event_source *auth_timer, *inventory_timer;
        AgentMessage auth;
        bool querying;                  /* the statement of step 2, or of a new key, is under way */
        struct AgentSession **in_queue; /* auth_queue, auth_waiting or auth_held, if it is in one */
        bool alone;                     /* needs a statement for itself alone */
        char network[NETWORK_MAX];      /* of the peer */
        bool proven;                    /* it has authenticated here with this key before */
        bool released;                  /* its network was held up, and now it is its turn */

        int64_t id, epoch;
        char *agent_id; /* set while in the tables below */
        char *server, *user;
        IngestSource *source;
        bool told_refused; /* that it has a service too many */
        bool checked;      /* part of the check under way, not answered yet */
        uint64_t commits;  /* of its source, when the check began */
        UT_hash_handle hh, hh_server;
        struct AgentSession *prev, *next, *auth_prev, *auth_next;
} AgentSession;

struct AgentSessions {
        Backend *backend;
        AgentSession *all;
        AgentSession *by_agent; /* READY ones, also while they drain */
        AgentSession *by_server;
        AgentSession *auth_queue;   /* for the next batch */
        AgentSession *auth_waiting; /* for the agent's previous session */
        AgentSession *auth_held;    /* because of failures from their networks */
        sd_event_source *held_timer;
        Proven *proven;
        AuthBatch *auth_batch; /* under way */
        sd_event_source *timer;
        DbArray ended_ids, ended_epochs; /* sessions that the next statement marks offline */
        bool ending;                     /* such a statement is under way */
        bool beating;                    /* a beat is under way */
        bool checking;                   /* a check of the sessions is under way */
        bool recheck;                    /* after the next beat, because a statement about an agent failed */
        uint64_t last_beat;              /* CLOCK_MONOTONIC, usec */
        uint64_t beats_since;            /* CLOCK_MONOTONIC, usec: start of an unbroken series of beats; 0 before the
                               * first */
};

/* session.c */
/* Another connection of the same agent took over, here or at another instance. May free the session. */
void agent_session_supersede(AgentSession *s);
void agent_session_send(AgentSession *s, const char *type, json_object *payload_taken);
/* Sends the error message, then closes. The session accepts no more messages. */
void agent_session_refuse(AgentSession *s, int code, const char *name, const char *message);
/* Enters READY: adds the session to the tables, from s->auth. */
void agent_session_enter(AgentSession *s);
/* Frees the session if nothing needs it any more. */
void agent_session_collect(AgentSession *s);
extern const IngestSourceHandler agent_session_source_handler;

/* auth.c */
/* Queries the database when it is the session's turn. May end the session, and free it if its connection is
 * gone. */
void agent_session_authenticate(AgentSession *s);
/* Removes it from its queue, if it is in one. */
void agent_session_leave_queue(AgentSession *s);

void agent_session_enqueue(AgentSession *s, AgentSession **queue);
void agent_sessions_authenticate_next(AgentSessions *a);
/* Sessions from the network in the queue and in the batch under way that are not proven. */
unsigned agent_sessions_count_under_way(const AgentSessions *a, const char *network);

/* admission.c: what made-up keys may cost. */
/* The auth message has come. */
void agent_session_begin_admission(AgentSession *s);
/* Whether the session has to wait for its network's turn, or was refused. It is in no queue before, and it may be freed. */
bool agent_session_hold(AgentSession *s);
/* What its key was worth. */
void agent_session_end_admission(AgentSession *s, const char *agent_id, bool valid);

/* rates.c */
IngestRate agent_rate_read(PGresult *res, int row, int column);
void agent_sessions_reread_rates(AgentSessions *a);

/* rotate.c */
/* Gives the agent another key, which takes the place of its key once it authenticates with it. */
void agent_session_rotate_key(AgentSession *s);

/* presence.c */
/* Unless another session has taken over. */
void agent_session_mark_offline(AgentSession *s);
void agent_sessions_presence_done(AgentSessions *a);
void agent_session_going_down(AgentSession *s, bool cancelled);
int agent_sessions_start_presence(AgentSessions *a);
