-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/announcement.sql
-- include model/fragments.sql

-- name: list_announcements
SELECT coalesce(json_agg(json_build_object('id', a.public_id, 'text', a.text, 'created_at', @time(a.created_at),
 'ends_at', @time(a.ends_at)) ORDER BY a.id DESC), '[]') FROM @announced
