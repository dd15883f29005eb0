-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include api/fragments.sql
-- include model/fragments.sql

-- For notification_settings q, which may be null.
-- fragment: settings
json_build_object('quiet_from', to_char(q.quiet_from, 'HH24:MI'), 'quiet_to', to_char(q.quiet_to, 'HH24:MI'),
 'timezone', coalesce(q.timezone, 'UTC'), 'damping', coalesce(q.damping, 1))

-- name: list_notifications
SELECT coalesce(json_agg(json_build_object('id', o.public_id, 'channel_id', c.public_id,
  'channel', c.name, 'subscription_id', p.public_id, 'state', o.state,
  'created_at', @time(o.created_at), 'done_at', @time(o.done_at),
  'next_attempt_at', CASE WHEN o.state = 'queued' THEN @time(o.due_at) END,
  'attempts', o.attempts, 'error', o.error, 'message', o.payload - 'email') ORDER BY o.id DESC), '[]'),
 count(*), json_build_array(min(o.id)::text)
 FROM (SELECT n.* FROM @listed_teams t CROSS JOIN LATERAL (SELECT * FROM notification_outbox WHERE user_id = t.id
   AND id < coalesce(:after::bigint, 9223372036854775807)
   AND channel_id IS NOT NULL ORDER BY id DESC LIMIT :limit::int) n ORDER BY n.id DESC LIMIT :limit::int) o
 JOIN notification_channels c ON c.id = o.channel_id
 LEFT JOIN push_subscriptions p ON p.id = o.subscription_id

-- name: get_settings
SELECT @settings FROM users u LEFT JOIN notification_settings q ON q.user_id = u.id
 WHERE u.public_id = :user

-- name: change_settings
WITH q AS (INSERT INTO notification_settings AS q (user_id, quiet_from, quiet_to, timezone, damping)
  SELECT u.id, :from::time, :to::time, coalesce(:timezone, 'UTC'), coalesce(:damping::int, 1) FROM users u
  WHERE u.public_id = :user AND now() AT TIME ZONE coalesce(:timezone, 'UTC') IS NOT NULL
  ON CONFLICT (user_id) DO UPDATE SET
   quiet_from = CASE WHEN :has_quiet::bool THEN excluded.quiet_from ELSE q.quiet_from END,
   quiet_to = CASE WHEN :has_quiet::bool THEN excluded.quiet_to ELSE q.quiet_to END,
   timezone = coalesce(:timezone, q.timezone), damping = coalesce(:damping::int, q.damping) RETURNING *),
 again AS (UPDATE notification_states n SET held_until = now() FROM notification_channels c, q
  WHERE c.id = n.channel_id AND coalesce(c.person_id, c.user_id) = q.user_id AND n.held_reason = 'quiet'),
 audited AS (@audit(notifications.changed, NULL, NULL, q JOIN users u ON u.id = q.user_id))
 SELECT @settings, @audited FROM q
