-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql
-- include model/team.sql

-- name: list_audit
SELECT coalesce(json_agg(json_build_object('id', l.id::text, 'at', @time(l.at), 'last_at', @time(l.last_at), 'count', l.count,
 'event', l.event, 'outcome', l.outcome, 'email', l.email, 'actor', l.actor, 'address', l.address, 'method', l.method,
 'credential', l.credential, 'object', l.object, 'name', l.name) ORDER BY l.id DESC), '[]'),
 count(*), json_build_array(min(l.id)::text) FROM (SELECT l.* FROM @listed_teams o JOIN teams t ON t.id = o.id
  CROSS JOIN LATERAL (SELECT * FROM @audit_entries(l.account = t.public_id)) l ORDER BY l.id DESC LIMIT :limit::int) l
