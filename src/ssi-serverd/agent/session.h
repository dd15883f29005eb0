/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Serves the agents' WebSockets: /api/v1/agent/connect. */

#include "core/backend.h"

int agent_sessions_new(Backend *s, AgentSessions **ret);
/* The HTTP server must have ended all connections. */
AgentSessions *agent_sessions_free(AgentSessions *a);

/* The database is back: reports the agents connected here, and asks which sessions were taken over in the
 * meantime. */
void agent_sessions_check(AgentSessions *a);

/* Disconnects all agents; they reconnect at once. */
void agent_sessions_restart(AgentSessions *a);

/* Handles sessions taken over by another instance, and removed servers. */
void agent_sessions_changed(AgentSessions *a, const Changes *changes);
