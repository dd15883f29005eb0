-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/administrator.sql
-- include model/fragments.sql

-- name: admin_list_users
SELECT u.public_id AS id, u.email, @usec(u.created_at) AS created_usec, u.servers, u.confirmed, u.administrator,
 coalesce(@usec(u.locked_at), 0) AS locked_usec, coalesce(@usec(u.seen_at), 0) AS seen_usec
 FROM @accounts_found ORDER BY u.id
