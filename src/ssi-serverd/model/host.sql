-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql
-- include model/team.sql

-- Selects the servers s that a HostRef names.
-- fragment: host_is
((:user::text IS NULL AND s.name = :server AND NOT EXISTS (SELECT FROM servers o WHERE o.name = :server AND o.id <> s.id))
 OR (s.public_id = :server AND (:user::text IS NULL OR @allows(s.user_id))))

-- The HOST_CLAIM_… columns, from servers s, their teams u, and claim tokens t.
-- fragment: claim_columns
s.public_id, s.agent_id, @time(t.expires_at), @usec(t.expires_at), u.public_id

-- name: host_add
WITH u AS (SELECT * FROM @owners o WHERE CASE WHEN :user::text IS NULL THEN o.id IN (SELECT t.id FROM teams t WHERE t.public_id = :owner
  UNION ALL SELECT a.id FROM users a WHERE @email_key(a.email) = @email_key(:owner)) ELSE o.public_id = :owner AND @allows(o.id) END),
 s AS (INSERT INTO servers (user_id, public_id, agent_id, name, labels)
  SELECT u.id, :server, :agent, :name, :labels::text[] FROM u
  WHERE quota_take_room(u.id, 'servers')
  RETURNING id, public_id, agent_id, name),
 t AS (INSERT INTO claim_tokens (token_hash, server_id, expires_at)
  SELECT :hash::bytea, s.id, now() + interval '1 hour' FROM s RETURNING expires_at),
 audited AS (@audit(server.registered, s.public_id, s.name, u, s))
 SELECT @claim_columns, @audited FROM u LEFT JOIN s ON true LEFT JOIN t ON true

-- name: host_new_claim_token
WITH s AS (SELECT s.id, s.public_id, s.agent_id, s.user_id, s.name FROM servers s WHERE @host_is FOR UPDATE),
 old AS (DELETE FROM claim_tokens t USING s WHERE t.server_id = s.id),
 t AS (INSERT INTO claim_tokens (token_hash, server_id, expires_at)
  SELECT :hash::bytea, s.id, now() + interval '1 hour' FROM s RETURNING expires_at),
 audited AS (@audit(server.new-claim-token, s.public_id, s.name, s JOIN @owners u ON u.id = s.user_id))
 SELECT @claim_columns, @audited FROM s JOIN teams u ON u.id = s.user_id, t

-- A new epoch ends the session of the host that was accepted until now, if the other one is kept.
-- name: host_keep
WITH old AS (SELECT s.id, s.duplicate_hostname FROM servers s WHERE @host_is FOR UPDATE),
 kept AS (UPDATE servers s SET session_epoch = s.session_epoch + (:refused::bool)::int,
  boot_id = CASE WHEN :refused::bool THEN s.duplicate_boot_id ELSE s.boot_id END,
  refused_boots = (array_remove(s.duplicate_boot_id || (s.boot_id || array_remove(s.past_boots, s.duplicate_boot_id)),
   CASE WHEN :refused::bool THEN s.duplicate_boot_id ELSE s.boot_id END) || s.refused_boots)[1:8],
  past_boots = '{}', boot_changes = '{}', duplicate_since = NULL, duplicate_boot_id = NULL, duplicate_hostname = NULL
  FROM old WHERE s.id = old.id AND s.duplicate_since IS NOT NULL RETURNING s.*),
 audited AS (@audit(server.host-kept, s.public_id, s.name || CASE WHEN :refused::bool
   THEN ': the refused host, ' || coalesce(o.duplicate_hostname, 'without a name')
   ELSE ': the accepted host, ' || coalesce(s.hostname, 'without a name') END,
  kept s JOIN @owners u ON u.id = s.user_id JOIN old o ON o.id = s.id))
 SELECT u.public_id, s.public_id, s.session_epoch + (:refused::bool)::int, EXISTS (SELECT FROM kept), @audited
 FROM old JOIN servers s ON s.id = old.id JOIN teams u ON u.id = s.user_id

-- name: host_remove
WITH gone AS (DELETE FROM servers s WHERE @host_is RETURNING s.id, s.public_id, s.user_id, s.name),
 history AS (DELETE FROM events e USING gone WHERE e.server_id = gone.id),
 audited AS (@audit(server.removed, s.public_id, s.name, gone s JOIN @owners u ON u.id = s.user_id))
 SELECT u.public_id, gone.public_id, @audited FROM gone JOIN teams u ON u.id = gone.user_id
