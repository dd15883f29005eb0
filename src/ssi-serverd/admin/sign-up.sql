-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- name: admin_list_invitations
SELECT i.public_id, coalesce(i.email, ''), coalesce(u.email, ''), @usec(i.created_at), @usec(i.expires_at)
 FROM invitations i LEFT JOIN users u ON u.id = i.invited_by WHERE @is_pending(i) ORDER BY i.id
