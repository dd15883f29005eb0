-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include api/fragments.sql
-- include model/fragments.sql

-- For push_subscriptions p. The endpoint is a secret of the browser, so it is left out.
-- fragment: subscription
json_build_object('id', p.public_id, 'label', p.label, 'host', split_part(p.endpoint, '/', 3),
 'created_at', @time(p.created_at), 'last_success_at', @time(p.last_success_at),
 'failing_since', @time(p.failing_since), 'last_error', p.last_error)

-- name: list_subscriptions
SELECT coalesce(json_agg(@subscription ORDER BY p.id), '[]') FROM push_subscriptions p
 WHERE p.user_id = @user_id

-- name: subscribe
WITH u AS (SELECT id FROM users WHERE public_id = :user),
 p AS (INSERT INTO push_subscriptions AS p (user_id, public_id, endpoint, p256dh, auth, public_key, label)
  SELECT u.id, :id, :endpoint, :p256dh, :auth, :key, :label FROM u WHERE CASE
   WHEN NOT EXISTS (SELECT FROM push_keys k WHERE k.public_key = :key AND k.seen_at > now() - interval '1 day') THEN false
   WHEN EXISTS (SELECT FROM push_subscriptions o WHERE o.user_id = u.id AND o.endpoint = :endpoint) THEN true
   ELSE quota_take_room(u.id, 'browsers') END
  ON CONFLICT (endpoint) DO UPDATE SET user_id = excluded.user_id, p256dh = excluded.p256dh,
   auth = excluded.auth, public_key = excluded.public_key, label = excluded.label,
   failing_since = NULL, last_error = NULL RETURNING *),
 c AS (INSERT INTO notification_channels (user_id, public_id, type, name)
  SELECT p.user_id, :channel, 'push', 'Browser' FROM p WHERE NOT EXISTS (SELECT FROM notification_channels o
   WHERE o.user_id = p.user_id AND o.type = 'push')),
 audited AS (@audit(push.subscribed, p.public_id, p.label, p JOIN users u ON u.id = p.user_id))
 SELECT @subscription, @audited FROM p

-- The order of locks is that of delete_channel.
-- name: unsubscribe
WITH messages AS (SELECT o.id FROM push_subscriptions p JOIN notification_outbox o ON o.subscription_id = p.id
  WHERE p.user_id = @user_id AND p.public_id = :id FOR UPDATE OF o),
 gone AS (DELETE FROM push_subscriptions p WHERE p.user_id = @user_id AND p.public_id = :id
  AND (SELECT count(*) FROM messages) >= 0 RETURNING p.*),
 audited AS (@audit(push.unsubscribed, p.public_id, p.label, gone p JOIN users u ON u.id = p.user_id))
 SELECT 1, @audited FROM gone
