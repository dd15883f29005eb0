-- SPDX-License-Identifier: LGPL-2.1-or-later

-- name: put_back(id, created, queue, user, channel, subscription, payload)
SELECT notifications_put_back(:id::text[], :created::timestamptz[], :queue::text[], :user::bigint[], :channel::bigint[],
 :subscription::bigint[], :payload::jsonb[])
