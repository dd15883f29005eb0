/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starts login sessions, with any kind of proof. */

#include "api/call.h"

/* Makes a session and answers with its tokens; if sql returns no user, refuse() answers. sql: a statement of
 * @session() with the parameters proof, session, token_hash, user_agent, address, network, tell, actor and,
 * unless it is NULL, second, in this order. method: for the audit log. */
void api_session_start(ApiCall *c, const char *sql, const char *method, const char *proof, const char *second,
                       void (*refuse)(ApiCall *c));

/* 401 bad-credentials: users.c. */
void api_respond_bad_credentials(ApiCall *c);
