/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Remembers which agents have authenticated with which keys, in a fixed amount of memory: a Bloom filter. What was never added is
 * hardly ever found (with 20,000 keys, once in 30,000 times), and what was added is found, except for some that share a bit with
 * a key that was removed. Nobody can make it forget: only valid keys are added. */

#include "shared/util.h"

typedef struct Proven Proven;

int proven_new(Proven **ret);
Proven *proven_free(Proven *p);

bool proven_has(const Proven *p, const char *agent_id, const char *key);
void proven_add(Proven *p, const char *agent_id, const char *key);
void proven_remove(Proven *p, const char *agent_id, const char *key);
