-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/announcement.sql
-- include model/fragments.sql

-- name: admin_list_announcements
SELECT a.public_id, a.text, @usec(a.created_at), @usec(a.ends_at) FROM @announced ORDER BY a.id DESC
