-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql
-- include model/team.sql

-- name: channel_test
WITH found AS (SELECT c.id, c.tested_at FROM notification_channels c
  WHERE c.public_id = :id AND @allows(c.user_id) FOR UPDATE),
 good AS (UPDATE notification_channels c SET tested_at = now() FROM found f WHERE c.id = f.id
  AND (f.tested_at IS NULL OR f.tested_at < now() - interval '3 s') RETURNING c.*),
 audited AS (@audit(channel.tested, c.public_id, c.name, good c JOIN @owners u ON u.id = c.user_id))
 SELECT c.type, c.config, p.endpoint, p.p256dh, p.auth, c.verified,
  EXISTS (SELECT FROM good), CASE WHEN EXISTS (SELECT FROM good) AND c.verified AND (c.type <> 'push' OR p.id IS NOT NULL)
   THEN quota_send(c.user_id, CASE WHEN c.type = 'email' THEN c.config ->> 'address' END, NULL) END, @audited
 FROM found f JOIN notification_channels c ON c.id = f.id
 LEFT JOIN push_subscriptions p ON c.type = 'push' AND p.user_id = coalesce(c.person_id, c.user_id)
