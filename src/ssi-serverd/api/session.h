/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Log-in sessions: how one begins, whatever the proof was. */

#include "api/call.h"

#define SESSION_LIFETIME "interval '30 days'"

/* For api_session_start(): `who` is a statement that gives the user_id whose session is to be, if anybody's. Its own
 * parameters are $1 and, where there is a second one, $6. */
#define API_SQL_SESSION(who)                                                                                    \
        "WITH who AS (" who "),"                                                                                \
        " l AS (INSERT INTO login_sessions (user_id, public_id, user_agent, address, expires_at)"               \
        "  SELECT user_id, $2, nullif($4, ''), $5, now() + " SESSION_LIFETIME " FROM who RETURNING *),"         \
        " t AS (INSERT INTO refresh_tokens (token_hash, session_id, expires_at)"                                \
        "  SELECT $3::bytea, l.id, l.expires_at FROM l)"                                                        \
        " SELECT u.public_id FROM l JOIN users u ON u.id = l.user_id"

/* Makes a session and answers with its tokens; refuse() answers when sql gave nobody. second may be NULL. */
void api_session_start(ApiCall *c, const char *sql, const char *first, const char *second, void (*refuse)(ApiCall *c));

/* 401 bad-credentials: api-users.c. */
void api_respond_bad_credentials(ApiCall *c);
