-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql
-- include model/team.sql

-- name: admin_list_servers
SELECT s.public_id, s.name, u.name, server_state(s.claimed_at, s.connected, s.rebooting_until),
 coalesce(@usec(s.last_seen), 0),
 (SELECT count(*) FROM services v WHERE v.server_id = s.id), array_to_string(s.labels, E'\x1f'),
 coalesce(s.agent_version, ''), @agent_is_outdated
 FROM servers s JOIN @owners u ON u.id = s.user_id ORDER BY s.name, s.id

-- name: admin_list_duplicates
SELECT s.public_id, s.name, u.name, @usec(s.duplicate_since), coalesce(s.hostname, ''), coalesce(s.duplicate_hostname, '')
 FROM servers s JOIN @owners u ON u.id = s.user_id WHERE s.duplicate_since IS NOT NULL ORDER BY s.duplicate_since, s.id
