-- SPDX-License-Identifier: LGPL-2.1-or-later

-- One row per accepted session, with its data. Results that were due while the agent was away get a new grace: they may
-- be on their way.
-- name: auth(agent_id, hash, version, hostname, instance, grace)
WITH me AS (INSERT INTO instances (id) VALUES (:instance) ON CONFLICT DO NOTHING),
 session AS (UPDATE servers s SET session_epoch = s.session_epoch + 1, connected = true, instance = :instance,
  rebooting_until = NULL, last_seen = now(), agent_version = a.version, hostname = a.hostname
  FROM unnest(:agent_id::text[], :hash::text[], :version::text[], :hostname::text[]) WITH ORDINALITY
   a(agent_id, hash, version, hostname, n)
  WHERE s.agent_id = a.agent_id AND s.api_key_hash = a.hash::bytea RETURNING s.*, a.n),
 due AS (UPDATE services v SET due_at = now() + make_interval(secs => :grace::int) FROM session s
  WHERE v.server_id = s.id AND v.due_at < now() + make_interval(secs => :grace::int) AND v.stale_since IS NULL)
 SELECT s.id, s.session_epoch, s.public_id, u.public_id, s.resume_cursor, s.name, s.gap_told, s.n - 1,
  quota(s.user_id, 'results'), quota_burst(s.user_id, 'results')
 FROM session s JOIN users u ON u.id = s.user_id
