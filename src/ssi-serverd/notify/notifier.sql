-- SPDX-License-Identifier: LGPL-2.1-or-later

-- name: claim
SELECT o.id, o.public_id,
 coalesce(o.payload || jsonb_build_object('at_words', account_time(o.payload ->> 'at', u.time_zone, u.language, u.clock)), o.payload),
 o.attempts, coalesce(c.type, 'email'), c.config,
 p.endpoint, p.p256dh, p.auth, coalesce(o.payload ->> 'email', u.email), o.user_id, o.created_at, o.queue, o.channel_id,
 o.subscription_id
 FROM notifications_claim(:limit::int, :lease::interval, :public) o LEFT JOIN users u ON u.id = o.user_id
 LEFT JOIN notification_channels c ON c.id = o.channel_id
 LEFT JOIN push_subscriptions p ON p.id = o.subscription_id

-- name: evaluate
SELECT more, wait_ms FROM notifications_evaluate(:public, :history)

-- name: announce_key
INSERT INTO push_keys (public_key) VALUES (:public)
 ON CONFLICT (public_key) DO UPDATE SET seen_at = now()

-- Messages are kept for a while, so that people can see what they were sent.
-- name: tidy
SELECT notifications_tidy('14 days')
