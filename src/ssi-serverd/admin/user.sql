-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- name: admin_list_users
SELECT u.public_id, u.email, @usec(u.created_at),
 (SELECT count(*) FROM servers s WHERE s.user_id = u.id) FROM users u ORDER BY u.id
