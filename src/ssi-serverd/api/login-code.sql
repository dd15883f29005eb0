-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include api/fragments.sql

-- name: make_code
WITH l AS (UPDATE login_sessions SET login_code_hash = :hash::bytea,
  login_code_expires_at = now() + make_interval(secs => :lifetime::int) WHERE public_id = :session RETURNING *),
 audited AS (@audit(login-code.made, l.public_id, NULL, l JOIN users u ON u.id = l.user_id))
 SELECT @audited FROM l

-- Having a code proves nothing about who uses it: the new session has to give the password before it widens what it may do.
-- If several use it at once, the first locks the row and the others find the code gone.
-- name: session_of_code(proof, session, token_hash, user_agent, address, network, tell, actor)
@session(NULL, UPDATE login_sessions SET login_code_hash = NULL, login_code_expires_at = NULL
 WHERE login_code_hash = :proof::bytea AND login_code_expires_at > now()
 AND revoked_at IS NULL AND expires_at > now() RETURNING user_id, id AS asker)
