/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Log-in sessions: how one begins, whatever the proof was. */

#include "api/call.h"

/* Makes a session and answers with its tokens; refuse() answers when sql gave nobody. sql: a statement of @session(), whose
 * parameters are in the order proof, session, token_hash, user_agent, address and, unless second is NULL, that. */
void api_session_start(ApiCall *c, const char *sql, const char *proof, const char *second, void (*refuse)(ApiCall *c));

/* 401 bad-credentials: api-users.c. */
void api_respond_bad_credentials(ApiCall *c);
