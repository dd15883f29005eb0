-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include api/fragments.sql

-- Whether services v passes the filters; each parameter may be null.
-- fragment: service_filters(status, state, q)
(@status::service_status[] IS NULL OR v.status = ANY(@status::service_status[]))
 AND (@state::text[] IS NULL OR (v.error_kind IS NOT NULL AND 'error' = ANY(@state::text[]))
  OR (v.stale_since IS NOT NULL AND 'stale' = ANY(@state::text[]))
  OR (NOT coalesce(v.enabled, true) AND 'disabled' = ANY(@state::text[])))
 AND (@q::text IS NULL OR strpos(lower(coalesce(v.title, '') || ' ' || v.name), lower(@q)) > 0)

-- name: list_services
SELECT l.list, l.n, l.last FROM servers s CROSS JOIN LATERAL (
  SELECT coalesce(json_agg(@service_json ORDER BY v.name), '[]') AS list, count(*) AS n,
   json_build_array(max(v.name)) AS last
  FROM (SELECT * FROM services v WHERE v.server_id = s.id AND v.name > coalesce(:after, '')
   AND @service_filters(:statuses, :states, :q) ORDER BY v.name LIMIT :limit::int) v) l
 WHERE s.public_id = :server_id AND @allows(s.user_id)

-- name: get_service
SELECT @service_json FROM servers s JOIN services v ON v.server_id = s.id
 WHERE s.public_id = :server_id AND v.name = :name AND @allows(s.user_id)

-- name: list_all_services
WITH x AS (SELECT json_build_object('server_id', s.public_id, 'server_name', s.name, 'team', @team_json(s.user_id),
   'service', @service_json) AS json, row_number() OVER w AS n,
   json_build_array(k.rank::text, lower(s.name), s.public_id, v.name) AS key
  FROM @listed_teams o JOIN servers s ON s.user_id = o.id JOIN services v ON v.server_id = s.id CROSS JOIN LATERAL (SELECT CASE v.status
   WHEN 'FAILURE' THEN 0 WHEN 'WARNING' THEN 1 WHEN 'UPDATE' THEN 2 WHEN 'OK' THEN 3 ELSE 4 END
   AS rank) k WHERE (k.rank, lower(s.name), s.public_id, v.name) >
   (coalesce(:after_rank::int, -1), coalesce(:after_name, ''), coalesce(:after_server, ''), coalesce(:after_service, ''))
  AND @service_filters(:statuses, :states, :q) AND (:label::text IS NULL OR :label = ANY(s.labels))
  WINDOW w AS (ORDER BY k.rank, lower(s.name), s.public_id, v.name)
  ORDER BY k.rank, lower(s.name), s.public_id, v.name LIMIT :limit::int)
 SELECT coalesce(json_agg(x.json ORDER BY x.n), '[]'), count(*),
  (array_agg(x.key ORDER BY x.n DESC))[1] FROM x
