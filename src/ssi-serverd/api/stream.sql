-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include api/fragments.sql

-- One row per event: team, event, data.
-- name: read_changes
SELECT u.public_id, 'service', json_build_object('server_id', s.public_id, 'service', @service_json)
 FROM unnest(:servers::text[], :names::text[]) p(server, name) JOIN servers s ON s.public_id = p.server
 JOIN teams u ON u.id = s.user_id JOIN services v ON v.server_id = s.id AND v.name = p.name
 UNION ALL
 SELECT u.public_id, 'server', @server_json
 FROM unnest(:counted::text[]) p(server) JOIN servers s ON s.public_id = p.server
 JOIN teams u ON u.id = s.user_id @server_counts

-- name: announce_viewer
INSERT INTO instances (id, viewed_until) VALUES (:instance, now() + interval '60 s')
 ON CONFLICT (id) DO UPDATE SET viewed_until = excluded.viewed_until

-- The teams whose changes the caller's streams get.
-- name: stream_teams
SELECT t.public_id FROM teams t WHERE @allows(t.id)
