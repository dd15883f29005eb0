-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include api/fragments.sql
-- include model/fragments.sql

-- A token; or, if it is unknown, the chain that it belongs to.
-- fragment: token_or_chain(hash)
coalesce((SELECT o.token_hash FROM refresh_tokens o WHERE o.token_hash = @hash::bytea), :chain::bytea)

-- Of the tokens that were used, only the last stays: for the others stands the row of their chain, which counts as a used token.
-- (What another refresh has locked waits for the next one, rather than for us: we hold the session's row.)
-- name: refresh
WITH t AS (SELECT r.token_hash, r.session_id, l.user_id, l.public_id, l.successor,
   CASE WHEN l.revoked_at IS NOT NULL OR r.expires_at <= now() THEN 'bad'
    WHEN r.used_at IS NULL THEN 'good'
    WHEN l.replaced_hash = r.token_hash AND l.replaced_at > now() - interval '30 seconds' THEN 'again'
    ELSE 'reused' END AS verdict
  FROM refresh_tokens r JOIN login_sessions l ON l.id = r.session_id
  WHERE r.token_hash = @token_or_chain(:old) FOR UPDATE OF r, l),
 used AS (UPDATE refresh_tokens r SET used_at = now() FROM t
  WHERE r.token_hash = t.token_hash AND t.verdict = 'good'),
 added AS (INSERT INTO refresh_tokens (token_hash, session_id, expires_at)
  SELECT :new_hash::bytea, session_id, now() + @session_lifetime FROM t WHERE verdict = 'good'),
 chained AS (INSERT INTO refresh_tokens (token_hash, session_id, expires_at, used_at)
  SELECT :chain::bytea, session_id, 'infinity', now() FROM t WHERE verdict = 'good' ON CONFLICT DO NOTHING),
 forgotten AS (DELETE FROM refresh_tokens WHERE token_hash IN (SELECT r.token_hash FROM t JOIN refresh_tokens r ON r.session_id = t.session_id
  WHERE t.verdict = 'good' AND r.used_at IS NOT NULL AND r.token_hash <> :chain::bytea FOR UPDATE OF r SKIP LOCKED)),
 renewed AS (UPDATE login_sessions l SET last_used_at = now(), address = :address,
   expires_at = now() + @session_lifetime, replaced_hash = t.token_hash, replaced_at = now(),
   successor = :sealed::bytea FROM t WHERE l.id = t.session_id AND t.verdict = 'good'),
 ended AS (UPDATE login_sessions l SET revoked_at = now() FROM t
  WHERE l.id = t.session_id AND t.verdict = 'reused'),
 audited AS (@audit(session.reused, t.public_id, NULL, t JOIN users u ON u.id = t.user_id WHERE t.verdict = 'reused'))
 SELECT t.verdict, u.public_id, t.public_id, t.successor, @audited FROM t JOIN users u ON u.id = t.user_id

-- name: logout
WITH l AS (UPDATE login_sessions l SET revoked_at = now() FROM refresh_tokens r
  WHERE r.token_hash = @token_or_chain(:hash) AND l.id = r.session_id AND l.revoked_at IS NULL RETURNING l.*),
 audited AS (@audit(logout, l.public_id, NULL, l JOIN users u ON u.id = l.user_id))
 SELECT u.public_id, @audited FROM l JOIN users u ON u.id = l.user_id

-- name: list_sessions
SELECT coalesce(json_agg(json_build_object('id', l.public_id, 'created_at', @time(l.created_at),
 'last_used_at', @time(l.last_used_at), 'expires_at', @time(l.expires_at),
 'user_agent', l.user_agent, 'address', l.address, 'current', l.public_id = :session)
 ORDER BY l.id DESC), '[]'), count(*), json_build_array(min(l.id)::text)
 FROM (SELECT * FROM login_sessions WHERE user_id = (SELECT id FROM users WHERE public_id = :user)
  AND revoked_at IS NULL AND expires_at > now() AND id < coalesce(:after::bigint, 9223372036854775807)
  ORDER BY id DESC LIMIT :limit::int) l

-- name: end_session
WITH l AS (UPDATE login_sessions l SET revoked_at = now() FROM users u WHERE l.public_id = :session_id
  AND u.public_id = :user AND l.user_id = u.id AND l.revoked_at IS NULL AND l.expires_at > now() RETURNING l.*),
 audited AS (@audit(session.ended, l.public_id, NULL, l JOIN users u ON u.id = l.user_id))
 SELECT u.public_id, @audited FROM l JOIN users u ON u.id = l.user_id

-- Except :keep, whose login code ends, too: it is another way in.
-- name: end_all_sessions
WITH l AS (UPDATE login_sessions l SET revoked_at = now() FROM users u WHERE u.public_id = :user
  AND l.user_id = u.id AND l.revoked_at IS NULL AND l.public_id IS DISTINCT FROM :keep::text),
 code AS (UPDATE login_sessions l SET login_code_hash = NULL, login_code_expires_at = NULL WHERE l.public_id = :keep::text),
 audited AS (@audit(session.all-ended, :keep::text, NULL, users u WHERE u.public_id = :user))
 SELECT public_id, @audited FROM users WHERE public_id = :user
