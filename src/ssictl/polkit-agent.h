/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A program that asks for passwords on the terminal, for as long as a call may need one. */

#include <sys/types.h>

#include "shared/util.h"

typedef struct PolkitAgent {
        pid_t pid; /* 0 while there is none */
} PolkitAgent;

/* Starts pkttyagent(1) and waits until it is registered with polkit. Does nothing when one runs already, for root, and
 * without a terminal. Failure to start it is not an error: polkit then refuses, and says so. */
void polkit_agent_open(PolkitAgent *a);

/* Ends it and waits for that, so that it leaves the terminal as it was. */
void polkit_agent_close(PolkitAgent *a);
