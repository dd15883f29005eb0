#pragma once

#include <uthash.h>

#include "agent-message.h"
#include "agent-session.h"

typedef enum AgentSessionState {
        SESSION_NEW,
        SESSION_AUTHENTICATING,
        SESSION_READY,
        SESSION_ENDED, /* the close is under way */
} AgentSessionState;

typedef struct AgentSession {
        AgentSessions *owner;
        AgentSessionState state;
        WsConn *ws;      /* NULL when the connection is gone */
        sd_event_source *auth_timer;
        AgentMessage auth;
        bool querying;   /* the statement of step 2 is under way */
        bool waiting;    /* for the session before */

        int64_t id, epoch;
        char *agent_id;  /* set while in the tables below */
        char *server, *user;
        IngestSource *source;
        bool beat;       /* in the heartbeat under way, not answered */
        UT_hash_handle hh, hh_server;
        struct AgentSession *prev, *next;
} AgentSession;

struct AgentSessions {
        Server *server;
        AgentSession *all;
        AgentSession *by_agent;  /* READY ones, also while they drain */
        AgentSession *by_server;
        sd_event_source *timer;
        bool beating;
};

/* Another connection of the same agent took over, here or elsewhere. May free the session. */
void agent_session_supersede(AgentSession *s);

int agent_sessions_start_heartbeat(AgentSessions *a);
