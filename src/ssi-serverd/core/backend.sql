-- SPDX-License-Identifier: LGPL-2.1-or-later

-- name: publish_change
SELECT pg_notify(:channel, :payload)
