-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql
-- include model/team.sql

-- For teams t and the caller's m.
-- fragment: team
json_build_object('id', t.public_id, 'name', coalesce(t.name, (SELECT a.email FROM users a WHERE a.id = t.user_id)), 'personal', t.user_id IS NOT NULL,
 'role', m.role, 'members', (SELECT count(*) FROM team_members o WHERE o.team_id = t.id),
 'servers', (SELECT count(*) FROM servers s WHERE s.user_id = t.id), 'created_at', @time(t.created_at))

-- The personal one first.
-- name: list_teams
SELECT coalesce(json_agg(@team ORDER BY t.user_id IS NULL, lower(t.name), t.public_id), '[]') FROM @listed_teams m JOIN teams t ON t.id = m.id

-- name: get_team
SELECT @team FROM @listed_teams m JOIN teams t ON t.id = m.id

-- name: list_members
SELECT coalesce(json_agg(json_build_object('id', a.public_id, 'email', a.email, 'role', m.role, 'joined_at', @time(m.joined_at))
 ORDER BY m.role DESC, a.email), '[]') FROM @listed_teams o JOIN team_members m ON m.team_id = o.id JOIN users a ON a.id = m.user_id
 HAVING count(*) > 0

-- name: list_team_invitations
SELECT coalesce(json_agg(json_build_object('id', i.public_id, 'email', i.email, 'role', i.role, 'created_at', @time(i.created_at),
 'expires_at', @time(i.expires_at)) ORDER BY i.id DESC) FILTER (WHERE i.id IS NOT NULL), '[]')
 FROM @listed_teams o LEFT JOIN invitations i ON i.team_id = o.id AND @is_pending(i) HAVING count(*) > 0
