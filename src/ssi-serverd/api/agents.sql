-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql
-- include model/team.sql

-- name: claim_agent
WITH t AS (UPDATE claim_tokens SET used_at = now()
  WHERE token_hash = :hash::bytea AND used_at IS NULL AND expires_at > now() RETURNING server_id),
 s AS (UPDATE servers s SET api_key_hash = :key_hash::bytea, next_key_hash = NULL, claimed_at = now(),
  session_epoch = s.session_epoch + 1, boot_id = NULL, past_boots = '{}', boot_changes = '{}', contested_until = NULL,
  refused_boots = '{}', duplicate_since = NULL, duplicate_boot_id = NULL, duplicate_hostname = NULL FROM t
  WHERE s.id = t.server_id RETURNING s.user_id, s.public_id, s.agent_id, s.name, s.session_epoch),
 audited AS (@audit(server.claimed, s.public_id, s.name, s JOIN @owners u ON u.id = s.user_id))
 SELECT json_build_object('agent_id', s.agent_id, 'api_key', :key::text,
  'server_id', s.public_id, 'server_name', s.name), u.public_id, s.public_id, s.session_epoch, @audited
 FROM s JOIN teams u ON u.id = s.user_id
