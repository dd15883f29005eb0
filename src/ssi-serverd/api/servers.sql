-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include api/fragments.sql

-- name: list_servers
SELECT coalesce(json_agg(x.json ORDER BY x.name, x.public_id), '[]'), count(*), json_build_array(
  (array_agg(x.name ORDER BY x.name DESC, x.public_id DESC))[1],
  (array_agg(x.public_id ORDER BY x.name DESC, x.public_id DESC))[1])
 FROM (SELECT x.* FROM @listed_teams o CROSS JOIN LATERAL (SELECT @server_json AS json, lower(s.name) AS name, s.public_id
  FROM servers s @server_counts WHERE s.user_id = o.id
  AND (lower(s.name), s.public_id) > (coalesce(:after, ''), coalesce(:after_id, ''))
  AND (:state::text[] IS NULL OR @server_state = ANY(:state::text[]))
  AND (:status::service_status[] IS NULL OR n.worst = ANY(:status::service_status[]))
  AND (:label::text IS NULL OR :label = ANY(s.labels))
  AND (:q::text IS NULL OR strpos(lower(s.name), lower(:q)) > 0)
  ORDER BY lower(s.name), s.public_id LIMIT :limit::int) x ORDER BY x.name, x.public_id LIMIT :limit::int) x

-- name: get_server
SELECT @server_json FROM servers s @server_counts
 WHERE s.public_id = :server_id AND @allows(s.user_id)

-- name: patch_server
WITH s AS (UPDATE servers s SET name = coalesce(:name, s.name), labels = coalesce(:labels_text::text[], s.labels)
  WHERE s.public_id = :server_id AND @allows(s.user_id) RETURNING s.*),
 audited AS (@audit(server.changed, s.public_id, s.name, s JOIN @owners u ON u.id = s.user_id))
 SELECT @server_json, (SELECT t.public_id FROM teams t WHERE t.id = s.user_id), @audited FROM s @server_counts
