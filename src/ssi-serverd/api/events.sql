-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include api/fragments.sql
-- include model/fragments.sql

-- From events e, with its own LIMIT, newest first. The parameters are those of EventQuery.
-- fragment: events(where)
(SELECT * FROM events e WHERE @where AND e.id < coalesce(:after::bigint, 9223372036854775807)
 AND (:kinds::text[] IS NULL OR e.kind = ANY(:kinds::text[])) AND (:from::timestamptz IS NULL OR e.at >= :from)
 AND (:to::timestamptz IS NULL OR e.at < :to) ORDER BY e.id DESC LIMIT :limit::int)

-- The list, its length, the key of its last element.
-- fragment: events_list
SELECT coalesce(json_agg(json_build_object('at', @time(e.at), 'received_at',
@time(e.received_at), 'service', e.service, 'kind', e.kind, 'status', e.status,
 'message', e.message, 'error', CASE WHEN e.error_kind IS NOT NULL THEN
  json_build_object('kind', e.error_kind, 'detail', e.error_detail) END,
 'duration_ms', e.duration_ms, 'invocation_id', e.invocation_id) ORDER BY e.id DESC), '[]') AS list,
 count(*) AS n, json_build_array(min(e.id)::text) AS last

-- name: list_service_events
SELECT l.list, l.n, l.last FROM servers s JOIN services v ON v.server_id = s.id
 CROSS JOIN LATERAL (@events_list FROM (SELECT * FROM (
@events(e.server_id = s.id AND e.service = v.name) UNION ALL
@events(e.server_id = s.id AND e.service IS NULL)) b ORDER BY id DESC LIMIT :limit::int) e) l
 WHERE s.public_id = :server_id AND v.name = :name AND @allows(s.user_id)

-- name: list_server_events
SELECT l.list, l.n, l.last FROM servers s
 CROSS JOIN LATERAL (@events_list FROM (SELECT * FROM (
(SELECT b.* FROM services v CROSS JOIN LATERAL
@events(e.server_id = s.id AND e.service = v.name) b WHERE v.server_id = s.id) UNION ALL
@events(e.server_id = s.id AND e.service IS NULL)) b ORDER BY id DESC LIMIT :limit::int) e) l
 WHERE s.public_id = :server_id AND @allows(s.user_id)
