-- SPDX-License-Identifier: LGPL-2.1-or-later

-- The beat: declares instances that are gone dead, ends reboots that took too long, and marks services whose result is overdue as
-- stale. Rows of kind, user, server, argument: 'n' if this instance had been declared dead, 'm' for each that is: it may have
-- committed something without a notification.
-- name: beat
WITH me AS (INSERT INTO instances AS i (id, viewed_until, host, hostname, version, started_at)
  VALUES (:instance, CASE WHEN :viewed::bool THEN now() + interval '60 s' ELSE '-infinity' END, :host, :hostname, :version, :started::timestamptz)
  ON CONFLICT (id) DO UPDATE SET seen_at = now(), viewed_until = greatest(i.viewed_until, excluded.viewed_until), host = excluded.host,
  hostname = excluded.hostname, version = excluded.version, started_at = excluded.started_at
  RETURNING xmax = 0 AS new),
 gone AS (DELETE FROM instances WHERE :steady::bool AND seen_at < now() - interval '40 s' AND id <> :instance
  RETURNING id, seen_at),
 lost AS (UPDATE servers s SET connected = false, last_seen = greatest(s.last_seen, gone.seen_at) FROM gone
  WHERE s.connected AND s.instance = gone.id RETURNING s.id),
 waited AS (UPDATE servers s SET rebooting_until = NULL WHERE rebooting_until < now() RETURNING s.id),
 late AS (UPDATE services v SET stale_since = v.due_at FROM
  (SELECT server_id, name FROM services WHERE :judge::bool AND due_at < now() AND stale_since IS NULL
   ORDER BY due_at LIMIT :limit::int FOR UPDATE SKIP LOCKED) d
  WHERE v.server_id = d.server_id AND v.name = d.name RETURNING v.server_id, v.name)
 SELECT 'n' AS what, NULL::text, NULL::text, NULL::text FROM me WHERE new
 UNION ALL SELECT 'm', '-', '-', NULL FROM gone
 UNION ALL SELECT 's', u.public_id, s.public_id, NULL
  FROM (TABLE lost UNION TABLE waited UNION SELECT server_id FROM late) c(id)
  JOIN servers s ON s.id = c.id JOIN teams u ON u.id = s.user_id
 UNION ALL SELECT 'v', u.public_id, s.public_id, l.name FROM late l
  JOIN servers s ON s.id = l.server_id JOIN teams u ON u.id = s.user_id

-- Finds which of the sessions held here are still current, and which sessions the database still assigns to this
-- instance although it no longer holds them, because their end could not be written. One with a recent sign of life may
-- just be connecting: it is checked again later. A session without anything under way (quiet) whose cursor is not the database's has
-- ended, too: the database was set back, and lacks what the agent must send again. Rows of kind, user, server, argument: 'h' is a held
-- session, 'r' one to check again.
-- name: check_sessions
WITH held AS (SELECT s.id, s.public_id FROM unnest(:ids::bigint[], :epochs::bigint[], :quiet::bool[], :cursors::text[])
   b(id, epoch, quiet, cursor)
  JOIN servers s ON s.id = b.id AND s.session_epoch = b.epoch AND (NOT b.quiet OR s.resume_cursor IS NOT DISTINCT FROM b.cursor)),
 back AS (UPDATE servers s SET connected = true, instance = :instance FROM held h
  WHERE s.id = h.id AND (NOT s.connected OR s.instance IS DISTINCT FROM :instance) RETURNING s.id),
 ended AS (UPDATE servers s SET connected = false, last_seen = now()
  WHERE s.connected AND s.instance = :instance AND s.id <> ALL (:ids::bigint[])
  AND s.last_seen < now() - interval '10 s' RETURNING s.id)
 SELECT 'h' AS what, NULL::text, public_id, NULL::text FROM held
 UNION ALL SELECT 'r', NULL, public_id, NULL FROM servers s WHERE s.connected AND s.instance = :instance
  AND s.id <> ALL (:ids::bigint[]) AND s.last_seen >= now() - interval '10 s'
 UNION ALL SELECT 's', u.public_id, s.public_id, NULL FROM (TABLE back UNION TABLE ended) c(id)
  JOIN servers s ON s.id = c.id JOIN teams u ON u.id = s.user_id

-- Unless another session has taken over.
-- name: end_sessions
WITH ended AS (UPDATE servers s SET connected = false, last_seen = now()
  FROM unnest(:ids::bigint[], :epochs::bigint[]) b(id, epoch)
  WHERE s.id = b.id AND s.session_epoch = b.epoch AND s.connected RETURNING s.public_id, s.user_id)
 SELECT 's', u.public_id, e.public_id, NULL FROM ended e JOIN teams u ON u.id = e.user_id

-- name: agent_session_going_down
UPDATE servers SET rebooting_until = CASE WHEN :seconds::int > 0 THEN now() + make_interval(secs => :seconds::int) END
 WHERE id = :id::bigint AND session_epoch = :epoch::bigint RETURNING 1
