-- SPDX-License-Identifier: LGPL-2.1-or-later

-- name: stray_done
SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)
 FROM notification_outbox WHERE state = 'queued'

-- name: get_metrics
SELECT (SELECT count(*) FROM (SELECT FROM events_default LIMIT 1000) d),
 to_regclass('notification_outbox') IS NOT NULL
