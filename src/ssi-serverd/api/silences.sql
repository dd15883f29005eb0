-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include api/fragments.sql
-- include model/fragments.sql

-- For silences m and servers s, which may be null.
-- fragment: silence
json_build_object('id', m.public_id, 'team', @team_json(m.user_id), 'made_by', m.made_by, 'server_id', s.public_id, 'service', m.service, 'label', m.label,
 'reason', m.reason, 'created_at', @time(m.created_at),
 'ends_at', CASE WHEN m.ends_at < 'infinity' THEN @time(m.ends_at) END)

-- Reconsiders messages held back for this reason.
-- fragment: release(reason)
 released AS (UPDATE notification_states n SET held_until = now() FROM notification_channels c, m
  WHERE c.id = n.channel_id AND c.user_id = m.user_id AND n.held_reason = '@reason')

-- fragment: own_service
servers s JOIN services v ON v.server_id = s.id WHERE s.public_id = :server_id AND v.name = :name AND @allows(s.user_id)

-- name: list_silences
SELECT coalesce(json_agg(@silence ORDER BY m.ends_at, m.id), '[]')
 FROM @listed_teams o JOIN silences m ON m.user_id = o.id LEFT JOIN servers s ON s.id = m.server_id
 WHERE m.ends_at > now()

-- name: create_silence
WITH u AS (SELECT t.id, s.id AS server_id FROM teams t LEFT JOIN servers s ON s.public_id = :server AND s.user_id = t.id
  WHERE @allows(t.id) AND CASE WHEN :server::text IS NULL THEN t.public_id = coalesce(:team, :user)
   ELSE s.id IS NOT NULL AND t.public_id = coalesce(:team, t.public_id) END),
 m AS (INSERT INTO silences (user_id, public_id, server_id, service, label, reason, ends_at, made_by)
  SELECT u.id, :id, u.server_id, :service, :label, :reason, coalesce(:end::timestamptz, 'infinity'),
  (SELECT a.email FROM users a WHERE a.public_id = :user) FROM u WHERE quota_take_room(u.id, 'silences') RETURNING *),
 audited AS (@audit(silence.made, m.public_id, coalesce(m.service, m.label), m JOIN @owners u ON u.id = m.user_id))
 SELECT CASE WHEN m.id IS NOT NULL THEN @silence END, @audited FROM u LEFT JOIN m ON true LEFT JOIN servers s ON s.id = m.server_id

-- name: delete_silence
WITH m AS (DELETE FROM silences m WHERE m.public_id = :id AND @allows(m.user_id)
  RETURNING m.*), @release(silence),
 audited AS (@audit(silence.removed, m.public_id, coalesce(m.service, m.label), m JOIN @owners u ON u.id = m.user_id))
 SELECT 1, @audited FROM m

-- One that has ended stays ended: it no longer counts towards the quota.
-- name: change_silence
WITH m AS (UPDATE silences m SET reason = coalesce(:reason, m.reason),
   ends_at = CASE WHEN :has_end::bool THEN coalesce(:end::timestamptz, 'infinity') ELSE m.ends_at END
  WHERE m.public_id = :id AND @allows(m.user_id) AND m.ends_at > now() RETURNING *), @release(silence),
 audited AS (@audit(silence.changed, m.public_id, coalesce(m.service, m.label), m JOIN @owners u ON u.id = m.user_id))
 SELECT @silence, @audited FROM m LEFT JOIN servers s ON s.id = m.server_id

-- name: acknowledge
WITH f AS (SELECT s.user_id, v.server_id, v.name, greatest(notification_severity('status', v.status::text),
   CASE WHEN v.error_kind IS NOT NULL OR v.stale_since IS NOT NULL THEN 2 ELSE 0 END) AS severity
  FROM @own_service),
 a AS (INSERT INTO acknowledgements AS a (server_id, service, reason, severity, made_by)
  SELECT f.server_id, f.name, :reason, f.severity, (SELECT a.email FROM users a WHERE a.public_id = :user) FROM f WHERE f.severity > 0
  ON CONFLICT (server_id, service) DO UPDATE SET reason = excluded.reason,
   severity = excluded.severity, created_at = now(), made_by = excluded.made_by RETURNING *),
 audited AS (@audit(acknowledgement.made, s.public_id, a.service,
  a JOIN servers s ON s.id = a.server_id JOIN @owners u ON u.id = s.user_id))
 SELECT CASE WHEN a.reason IS NOT NULL THEN json_build_object('reason', a.reason, 'created_at',
  @time(a.created_at), 'made_by', a.made_by) END, (SELECT t.public_id FROM teams t WHERE t.id = f.user_id), @audited FROM f LEFT JOIN a ON true

-- name: withdraw_acknowledgement
WITH f AS (SELECT s.user_id, s.public_id, v.server_id, v.name FROM @own_service),
 m AS (DELETE FROM acknowledgements a USING f WHERE a.server_id = f.server_id AND a.service = f.name
  RETURNING f.*), @release(acknowledged),
 audited AS (@audit(acknowledgement.removed, m.public_id, m.name, m JOIN @owners u ON u.id = m.user_id))
 SELECT 1, (SELECT t.public_id FROM teams t WHERE t.id = m.user_id), @audited FROM m
