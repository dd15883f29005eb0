-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include core/replica.sql
-- include model/fragments.sql

-- Of the database, for a route that a read replica may answer.
-- fragment: position_for_replica
CASE WHEN :replica::bool THEN @position END

-- name: authenticate_api_token
WITH t AS (SELECT k.id, k.public_id AS token_id, k.name, u.public_id, extract(epoch FROM k.expires_at)::bigint AS expires,
   k.scopes && :scopes::text[] AS allowed, k.last_used_at FROM api_tokens k JOIN users u ON u.id = k.user_id
  WHERE k.token_hash = :hash::bytea AND (k.expires_at IS NULL OR k.expires_at > now()) AND u.locked_at IS NULL),
 used AS (UPDATE api_tokens k SET last_used_at = now() FROM t WHERE k.id = t.id
  AND (t.last_used_at IS NULL OR t.last_used_at < now() - interval '1 minute'))
 SELECT public_id, expires, allowed, token_id, name, @position_for_replica FROM t

-- Whether the user has proved who they are within the last :recent seconds.
-- name: look_up_session
SELECT coalesce(l.authenticated_at > now() - make_interval(secs => :recent::int), false), @position_for_replica, @is_administrator(u)
 FROM login_sessions l JOIN users u ON u.id = l.user_id
 WHERE l.public_id = :session AND u.public_id = :user AND l.revoked_at IS NULL AND u.locked_at IS NULL
