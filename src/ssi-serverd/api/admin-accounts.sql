-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/administrator.sql
-- include model/fragments.sql

-- name: list_accounts
SELECT coalesce(json_agg(json_build_object('id', u.public_id, 'email', u.email, 'created_at', @time(u.created_at),
 'confirmed', u.confirmed, 'administrator', u.administrator, 'locked_at', @time(u.locked_at), 'servers', u.servers,
 'seen_at', @time(u.seen_at)) ORDER BY u.id DESC), '[]'),
 count(*), json_build_array(min(u.id)::text) FROM @accounts_found
