-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include api/fragments.sql
-- include model/fragments.sql

-- Columns for notification_channels c: the object, its config, its type.
-- fragment: channel
json_build_object('id', c.public_id, 'team', @team_json(c.user_id), 'type', c.type, 'name', c.name, 'enabled', c.enabled,
 'verified', c.verified, 'min_severity', c.min_severity, 'kinds', to_json(c.kinds),
 'servers', to_json(c.servers), 'labels', to_json(c.labels), 'damping', c.damping,
 'created_at', @time(c.created_at), 'last_success_at', @time(c.last_success_at),
 'failing_since', @time(c.failing_since), 'last_error', c.last_error,
 'queued', (SELECT count(*) FROM notification_outbox o WHERE o.channel_id = c.id AND o.state = 'queued')),
 c.config, c.type

-- Queues mails that ask owners to confirm the addresses of the channels in ch, unless too many were sent in the last
-- hour.
-- fragment: ask_to_verify
 asked AS (INSERT INTO notification_outbox (public_id, queue, user_id, payload)
  SELECT notification_id(), 'account ' || a.id, a.id,
   jsonb_build_object('kind', 'verify', 'email', ch.config ->> 'address') FROM ch JOIN users a ON a.public_id = :user
  WHERE NOT ch.verified AND @may_mail(a.id, verify))

-- An address counts as confirmed only for the users u who confirmed it.
-- fragment: is_verified(type, config)
(@type <> 'email' OR EXISTS (SELECT FROM verified_emails e WHERE e.user_id = u.id
 AND e.email = @email_key(@config ->> 'address')))

-- name: list_channels
SELECT @channel FROM @listed_teams o JOIN notification_channels c ON c.user_id = o.id ORDER BY c.id

-- name: get_channel
SELECT @channel FROM notification_channels c WHERE c.public_id = :id AND @allows(c.user_id)

-- Locks the channel's messages first, as the statement that records a delivery does: the other order is a deadlock.
-- name: delete_channel
WITH messages AS (SELECT o.id FROM notification_channels c JOIN notification_outbox o ON o.channel_id = c.id
  WHERE c.public_id = :id AND @allows(c.user_id) FOR UPDATE OF o),
 gone AS (DELETE FROM notification_channels c WHERE c.public_id = :id AND @allows(c.user_id)
  AND (SELECT count(*) FROM messages) >= 0 RETURNING c.*),
 audited AS (@audit(channel.removed, c.public_id, c.name, gone c JOIN @owners u ON u.id = c.user_id))
 SELECT 1, @audited FROM gone

-- name: create_channel
WITH o AS (SELECT t.id FROM teams t WHERE t.public_id = coalesce(:team, :user) AND @allows(t.id)),
 ch AS (INSERT INTO notification_channels (user_id, person_id, public_id, type, config, name, enabled,
   min_severity, kinds, servers, labels, damping, verified)
  SELECT o.id, CASE WHEN :type = 'push' AND o.id <> u.id THEN u.id END, :id, :type, :config::jsonb, :name, coalesce(:enabled::bool, true),
   coalesce(:min_severity::service_status, 'UPDATE'), coalesce(:kinds::text[], '{status,error,stale,state}'),
   coalesce(:servers::text[], '{}'), coalesce(:labels::text[], '{}'), :damping::int, @is_verified(:type, :config::jsonb)
  FROM o JOIN users u ON u.public_id = :user
  WHERE CASE WHEN :type = 'push' AND EXISTS (SELECT FROM notification_channels x WHERE x.user_id = o.id
   AND coalesce(x.person_id, x.user_id) = u.id AND x.type = 'push') THEN false ELSE quota_take_room(o.id, 'channels') END
  RETURNING *),
@ask_to_verify,
 audited AS (@audit(channel.made, ch.public_id, ch.name, ch JOIN @owners u ON u.id = ch.user_id))
 SELECT @channel, @audited FROM o LEFT JOIN ch c ON true

-- name: change_found
WITH ch AS (UPDATE notification_channels c SET config = coalesce(:config::jsonb, c.config),
   name = coalesce(:name, c.name), enabled = coalesce(:enabled::bool, c.enabled),
   min_severity = coalesce(:min_severity::service_status, c.min_severity), kinds = coalesce(:kinds::text[], c.kinds),
   servers = coalesce(:servers::text[], c.servers), labels = coalesce(:labels::text[], c.labels),
   damping = CASE WHEN :has_damping::bool THEN :damping::int ELSE c.damping END,
   verified = @is_verified(c.type, coalesce(:config::jsonb, c.config))
  FROM users u WHERE u.public_id = :user AND c.public_id = :id AND @allows(c.user_id) RETURNING c.*),
 again AS (UPDATE notification_outbox o SET due_at = now() FROM ch WHERE o.channel_id = ch.id
  AND o.state = 'queued' AND o.due_at > now() + interval '1 min'),
@ask_to_verify,
 audited AS (@audit(channel.changed, ch.public_id, ch.name, ch JOIN @owners u ON u.id = ch.user_id))
 SELECT @channel, @audited FROM ch c

-- name: change_channel
SELECT c.type, c.config FROM notification_channels c WHERE c.public_id = :id AND @allows(c.user_id)
