/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The agents' WebSockets: /api/v1/agent/connect. */

#include "core/backend.h"

int agent_sessions_new(Backend *s, AgentSessions **ret);
/* The HTTP server has ended all connections before. */
AgentSessions *agent_sessions_free(AgentSessions *a);

/* The database is back: says that the agents connected here are, and asks which were taken over meanwhile. */
void agent_sessions_check(AgentSessions *a);

/* Disconnects all, to come back at once. */
void agent_sessions_restart(AgentSessions *a);

/* Sessions that another instance took over, and servers that were removed. */
void agent_sessions_changed(AgentSessions *a, const Changes *changes);
