/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A program that asks for passwords on the terminal while a call may need one. */

#include <sys/types.h>

#include "shared/util.h"

typedef struct PolkitAgent {
        pid_t pid; /* 0 if it is not running */
} PolkitAgent;

/* Starts pkttyagent(1) and waits until it is registered with polkit. Does nothing if one is running already, for
 * root, or without a terminal. Failure to start it is not an error: polkit then refuses the call and says so. */
void polkit_agent_open(PolkitAgent *a);

/* Ends the agent and waits for its end, so that the terminal is left as it was. */
void polkit_agent_close(PolkitAgent *a);
