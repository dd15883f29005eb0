#pragma once

/* The agents' WebSockets: /api/v1/agent/connect. */

#include "server-internal.h"

int agent_sessions_new(Server *s, AgentSessions **ret);
/* The HTTP server has ended all connections before. */
AgentSessions *agent_sessions_free(AgentSessions *a);

/* Says now that the agents connected here are alive, and marks those that nobody has heard of as gone. */
void agent_sessions_beat(AgentSessions *a);

/* Sessions that another instance took over, and servers that were removed. */
void agent_sessions_changed(AgentSessions *a, const Changes *changes);
