-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql
-- include model/team.sql

-- Whether servers s accepts the session a. Of columns of s and a alone, so that of two statements at once, the second decides by
-- what the first has written. Most sessions are of the same boot as before, or have no boot id: for them, nothing is called.
-- fragment: admitted
(coalesce(a.boot_id = s.boot_id, true) OR boot_verdict(s, a.boot_id) = 'new')

-- fragment: taken_over
(a.boot_id <> s.boot_id AND boot_verdict(s, a.boot_id) = 'new')

-- fragment: is_duplicate
(a.boot_id <> s.boot_id AND boot_verdict(s, a.boot_id) = 'duplicate')

-- fragment: two_hosts(s)
format(': %s is accepted, %s refused', coalesce(@s.hostname, 'one without a name'), coalesce(@s.duplicate_hostname, 'one without a name'))

-- One row per session whose key is right, with its data, whether it is accepted, and whether the owner has to be told of two
-- hosts. The first session with the agent's next key ends the one before. Results that were due while the agent was away get
-- a new grace: they may be on their way.
-- name: auth(agent_id, hash, version, hostname, boot_id, address, instance, grace)
WITH me AS (INSERT INTO instances (id) VALUES (:instance) ON CONFLICT DO NOTHING),
 known AS (UPDATE servers s SET session_epoch = s.session_epoch + @admitted::int, connected = s.connected OR @admitted,
  instance = CASE WHEN @admitted THEN :instance ELSE s.instance END,
  rebooting_until = CASE WHEN NOT @admitted THEN s.rebooting_until END,
  last_seen = CASE WHEN @admitted THEN now() ELSE s.last_seen END,
  agent_version = CASE WHEN @admitted THEN a.version ELSE s.agent_version END,
  hostname = CASE WHEN @admitted THEN a.hostname ELSE s.hostname END,
  api_key_hash = CASE WHEN @admitted THEN a.hash::bytea ELSE s.api_key_hash END,
  next_key_hash = CASE WHEN NOT @admitted OR s.next_key_hash <> a.hash::bytea THEN s.next_key_hash END,
  boot_id = CASE WHEN @admitted THEN coalesce(a.boot_id, s.boot_id) ELSE s.boot_id END,
  past_boots = CASE WHEN @taken_over THEN (s.boot_id || array_remove(s.past_boots, a.boot_id))[1:8] ELSE s.past_boots END,
  boot_changes = CASE WHEN @taken_over THEN now() || recent_boot_changes(s.boot_changes) ELSE s.boot_changes END,
  contested_until = CASE WHEN @taken_over THEN now() + CASE WHEN a.boot_id = ANY (s.past_boots) THEN interval '1 day'
    ELSE interval '5 minutes' END ELSE s.contested_until END,
  duplicate_since = CASE WHEN @is_duplicate THEN now() ELSE s.duplicate_since END,
  duplicate_boot_id = CASE WHEN @is_duplicate THEN a.boot_id ELSE s.duplicate_boot_id END,
  duplicate_hostname = CASE WHEN @is_duplicate THEN a.hostname ELSE s.duplicate_hostname END
  FROM unnest(:agent_id::text[], :hash::text[], :version::text[], :hostname::text[], :boot_id::text[], :address::text[])
   WITH ORDINALITY a(agent_id, hash, version, hostname, boot_id, address, n)
  WHERE s.agent_id = a.agent_id AND a.hash::bytea IN (s.api_key_hash, s.next_key_hash)
  RETURNING s.*, a.n, a.address, a.boot_id IS NULL OR a.boot_id = s.boot_id AS admitted, s.duplicate_since = now() AS told),
 due AS (UPDATE services v SET due_at = now() + make_interval(secs => :grace::int) FROM known s
  WHERE s.admitted AND v.server_id = s.id AND v.due_at < now() + make_interval(secs => :grace::int) AND v.stale_since IS NULL),
 audited AS (INSERT INTO audit_log AS logged (event, account, email, actor, address, method, object, name, fold)
  SELECT DISTINCT ON (coalesce(e.fold, e.server)) 'server.duplicate', e.account, e.email, e.server, e.address, 'agent key',
   CASE WHEN e.fold IS NULL THEN e.server END, CASE WHEN e.fold IS NULL THEN e.name END, e.fold
  FROM (SELECT u.public_id AS account, u.email, s.public_id AS server, s.address, s.name || @two_hosts(s) AS name,
    audit_fold(u.public_id, 'server.duplicate', s.address, s.public_id) AS fold
   FROM known s JOIN @owners u ON u.id = s.user_id WHERE NOT s.admitted AND s.told) e
  ON CONFLICT (fold) DO UPDATE SET count = logged.count + 1, last_at = now() RETURNING to_json(logged) AS entry)
 SELECT s.id, s.session_epoch, s.public_id, u.public_id, s.resume_cursor, s.name, s.gap_told, s.n - 1, s.admitted,
  NOT s.admitted AND coalesce(s.told, false), quota(s.user_id, 'results'), quota_burst(s.user_id, 'results'),
  @audited
 FROM known s JOIN teams u ON u.id = s.user_id

-- The key before stays valid until the agent authenticates with this one.
-- name: rotate_key
WITH s AS (UPDATE servers SET next_key_hash = :hash::bytea WHERE id = :id::bigint AND session_epoch = :epoch::bigint RETURNING *),
 audited AS (@audit(server.new-key, s.public_id, s.name, s JOIN @owners u ON u.id = s.user_id))
 SELECT 1, @audited FROM s
