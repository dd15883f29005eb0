-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include api/fragments.sql
-- include model/fragments.sql

-- fragment: public_json
json_build_object('name', s.name, 'state', @server_state, 'worst_status', n.worst,
 'counts', json_build_object('OK', n.ok, 'UPDATE', n.update, 'WARNING', n.warning,
  'FAILURE', n.failure), 'services', (SELECT coalesce(json_agg(json_build_object(
  'title', coalesce(v.title, v.name), 'status', v.status, 'changed_at', @time(v.changed_at))
  ORDER BY v.name), '[]') FROM services v WHERE v.server_id = s.id))

-- name: get_public
SELECT @public_json FROM servers s @server_counts WHERE s.public_token = :token

-- name: get_badge
SELECT s.name, CASE WHEN @server_state = 'online' THEN coalesce(n.worst::text, 'unknown')
 ELSE @server_state END FROM servers s @server_counts WHERE s.public_token = :token

-- name: put_page
WITH s AS (UPDATE servers s SET public_token = coalesce(s.public_token, :token) WHERE s.public_id = :server_id
  AND @allows(s.user_id) RETURNING s.*),
 audited AS (@audit(public-page.made, s.public_id, s.name, s JOIN @owners u ON u.id = s.user_id))
 SELECT json_build_object('page', '/public/' || s.public_token,
 'badge', '/public/' || s.public_token || '/badge.svg'), s.public_id, (SELECT t.public_id FROM teams t WHERE t.id = s.user_id), @audited FROM s

-- name: delete_page
WITH s AS (UPDATE servers s SET public_token = NULL WHERE s.public_id = :server_id AND @allows(s.user_id) RETURNING s.*),
 audited AS (@audit(public-page.removed, s.public_id, s.name, s JOIN @owners u ON u.id = s.user_id))
 SELECT s.public_id, (SELECT t.public_id FROM teams t WHERE t.id = s.user_id), @audited FROM s
