-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- What these acts are about is no account.
-- fragment: no_account
(SELECT NULL::text AS public_id, NULL::text AS email) u

-- Heard of since the last beats.
-- fragment: alive(i)
(@i.seen_at > now() - interval '20 s')

-- The INSTANCE_… columns.
-- name: instance_list
SELECT i.id, coalesce(i.hostname, h.hostname), i.version, @usec(i.started_at), @usec(i.seen_at), @usec(h.joined_at), coalesce(i.host, h.host),
 @alive(i) IS TRUE
 FROM instances i FULL JOIN backend_hosts h ON h.host = i.host ORDER BY 2, i.started_at, 1

-- name: join_token_add
WITH t AS (INSERT INTO join_tokens (public_id, token_hash, expires_at)
  SELECT :id, :hash::bytea, now() + make_interval(secs => :lifetime::float8)
  WHERE (SELECT count(*) FROM join_tokens o WHERE o.used_at IS NULL AND o.expires_at > now()) < @JOIN_TOKENS_MAX RETURNING *),
 audited AS (@audit(instance.token-made, t.public_id, NULL, t, @no_account))
 SELECT t.public_id, @usec(t.expires_at), @audited FROM t

-- name: join_token_list
SELECT public_id, @usec(created_at), @usec(expires_at) FROM join_tokens WHERE used_at IS NULL AND expires_at > now() ORDER BY expires_at

-- name: join_token_remove
WITH t AS (DELETE FROM join_tokens WHERE public_id = :id AND used_at IS NULL RETURNING public_id),
 audited AS (@audit(instance.token-withdrawn, t.public_id, NULL, t, @no_account))
 SELECT 1, @audited FROM t

-- name: join_token_look
SELECT public_id FROM join_tokens WHERE token_hash = :hash::bytea AND used_at IS NULL AND expires_at > now()

-- Of two at once, the first to lock the row wins.
-- name: join_token_use
WITH t AS (UPDATE join_tokens SET used_at = now(), used_by = :host
  WHERE token_hash = :hash::bytea AND used_at IS NULL AND expires_at > now() RETURNING used_by),
 audited AS (@audit(instance.joined, t.used_by, :hostname, t, @no_account))
 SELECT t.used_by, @audited FROM t

-- name: instance_renew_look
SELECT hostname FROM backend_hosts WHERE host = :host

-- A host that was removed meanwhile gets nothing: no row.
-- name: instance_renewed
WITH h AS (SELECT host, hostname FROM backend_hosts WHERE host = :host),
 audited AS (@audit(instance.renewed, h.host, h.hostname, h, @no_account))
 SELECT 1, @audited FROM h

-- What a host leaves behind. Its rows in instances go when nobody has heard of it for a while, or at once if it is down.
-- fragment: withdraw_keys
keys AS (DELETE FROM access_token_keys k USING gone WHERE k.host = gone.host)

-- name: instance_leave
WITH gone AS (DELETE FROM backend_hosts WHERE host = :host RETURNING host, hostname),
 @withdraw_keys,
 audited AS (@audit(instance.left, gone.host, gone.hostname, gone, @no_account))
 SELECT 1, @audited FROM gone

-- name: instance_remove_host
WITH h AS (SELECT h.host, EXISTS (SELECT FROM instances i WHERE i.host = h.host AND @alive(i)) AS alive
  FROM backend_hosts h WHERE h.host = :host
  OR (h.hostname = :host AND NOT EXISTS (SELECT FROM backend_hosts o WHERE o.hostname = :host AND o.host <> h.host))),
 gone AS (DELETE FROM backend_hosts b USING h WHERE b.host = h.host AND NOT h.alive RETURNING b.host, b.hostname),
 @withdraw_keys,
 audited AS (@audit(instance.removed, gone.host, gone.hostname, gone, @no_account))
 SELECT NOT h.alive, @audited FROM h
