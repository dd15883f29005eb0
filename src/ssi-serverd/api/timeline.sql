-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include api/fragments.sql
-- include model/fragments.sql

-- A result is valid until the next one, but no longer than three times the usual interval: after that the status is
-- unknown. Execution errors are a separate list, because an error is not a status and ends none. A period ends with a
-- change of status or with such a silence.
-- name: timeline
WITH service AS (SELECT s.id, v.name FROM servers s JOIN services v ON v.server_id = s.id
  WHERE s.public_id = :server_id AND v.name = :name AND @allows(s.user_id)),
 event AS (SELECT e.at, e.kind, e.status, e.error_kind, e.id FROM service, events e
  WHERE e.server_id = service.id AND e.service = service.name
  AND e.received_at > now() - (:days::int + 1) * interval '1 day' AND e.at > now() - :days::int * interval '1 day'),
 result AS (SELECT at, status, id, lag(at) OVER w AS before, lag(status) OVER w AS status_before,
  lead(at) OVER w AS next FROM event WHERE kind = 'result' WINDOW w AS (ORDER BY at, id)),
 pace AS (SELECT 3 * coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY at - before), interval '1 day')
  + interval '1 minute' AS longest FROM result),
 counted AS (SELECT result.*, count(*) FILTER (WHERE status_before IS DISTINCT FROM status
  OR at - before > longest) OVER (ORDER BY at, id) AS stretch FROM result, pace),
 stretch AS (SELECT status, min(at) AS since, max(least(coalesce(next, now()), at + longest)) AS until,
  count(*) AS results FROM counted, pace GROUP BY stretch, status ORDER BY since DESC LIMIT 2000),
 error AS (SELECT at, error_kind FROM event WHERE kind = 'error' ORDER BY at DESC LIMIT 2000)
 SELECT json_build_object('from', @time((now() - :days::int * interval '1 day')), 'to', @time(now()),
  'stretches', (SELECT coalesce(json_agg(json_build_object('from', @time(since), 'to', @time(until),
   'status', status, 'results', results) ORDER BY since), '[]') FROM stretch),
  'errors', (SELECT coalesce(json_agg(json_build_object('at', @time(at), 'kind', error_kind) ORDER BY at), '[]')
   FROM error)) FROM service
