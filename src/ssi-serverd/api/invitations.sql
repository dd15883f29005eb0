-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- name: list_invitations
SELECT coalesce(json_agg(json_build_object('id', i.public_id, 'email', i.email, 'created_at', @time(i.created_at),
  'expires_at', @time(i.expires_at), 'used_at', @time(i.used_at)) ORDER BY i.id DESC), '[]'),
 count(*), json_build_array(min(i.id)::text)
 FROM (SELECT * FROM invitations WHERE invited_by = (SELECT id FROM users WHERE public_id = :user) AND team_id IS NULL
  AND id < coalesce(:after::bigint, 9223372036854775807) ORDER BY id DESC LIMIT :limit::int) i

-- Those of all inviters that can still be used; invited_by is null for an administrator.
-- name: list_all_invitations
SELECT coalesce(json_agg(json_build_object('id', i.public_id, 'email', i.email, 'invited_by', u.email, 'created_at', @time(i.created_at),
  'expires_at', @time(i.expires_at)) ORDER BY i.id DESC), '[]'),
 count(*), json_build_array(min(i.id)::text)
 FROM (SELECT * FROM invitations i WHERE @is_pending(i) AND i.id < coalesce(:after::bigint, 9223372036854775807)
  ORDER BY i.id DESC LIMIT :limit::int) i LEFT JOIN users u ON u.id = i.invited_by
