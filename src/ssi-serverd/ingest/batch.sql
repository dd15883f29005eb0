-- SPDX-License-Identifier: LGPL-2.1-or-later
-- The statements of ingestion, each in its own transaction. Their parameters are arrays, except grace.

-- All start with the fence: it locks the server rows, keeps only those whose session is still current and whose cursor is
-- the one that the session last saw committed (expected), and moves the cursor. All else joins it by the number of the
-- batch's part. A session that takes over later waits for that lock before it reads the cursor, so it never sees a cursor
-- without its data. If the database was set back (a standby that lagged became the primary, a snapshot was restored), what
-- it lost is sent again, because the cursor never moves over a hole. gap: the cursor belongs to a gap. contested: for
-- so many seconds, two hosts may share the server's identity; null: no.
-- fragment: fence
WITH fence AS (
 UPDATE servers s SET last_seen = now(), resume_cursor = coalesce(i.cursor, s.resume_cursor),
  gap_told = CASE WHEN i.cursor IS NULL THEN s.gap_told ELSE i.gap END
 FROM unnest(:server::bigint[], :epoch::bigint[], :expected::text[], :cursor::text[], :gap::bool[]) WITH ORDINALITY
  i(id, epoch, expected, cursor, gap, part)
 WHERE s.id = i.id AND s.session_epoch = i.epoch AND s.resume_cursor IS NOT DISTINCT FROM i.expected
 RETURNING s.id, i.part, CASE WHEN s.duplicate_since IS NOT NULL THEN 300 WHEN s.contested_until > now()
  THEN ceil(extract(epoch FROM s.contested_until - now()))::int + 1 END AS contested)

-- What is new among the given rows (server_id, name, part, fresh), and one too many for its account (docs/adr/0045).
-- fresh: the session has not written it before. In the usual case nothing is, and nothing is counted.
-- fragment: refuse(given)
unseen AS (SELECT g.part, g.server_id, g.name, s.user_id,
   row_number() OVER (PARTITION BY s.user_id ORDER BY g.server_id, g.name) AS n
  FROM @given g JOIN servers s ON s.id = g.server_id
  WHERE g.fresh AND NOT EXISTS (SELECT FROM services x WHERE x.server_id = g.server_id AND x.name = g.name)),
 room AS (SELECT u.user_id, quota_lock_room(u.user_id, 'services') AS n
  FROM (SELECT DISTINCT user_id FROM unseen ORDER BY user_id) u),
 refused AS (SELECT u.part, u.server_id, u.name, u.user_id FROM unseen u JOIN room r ON r.user_id = u.user_id WHERE u.n > r.n)

-- fragment: is_refused(server_id, name)
EXISTS (SELECT FROM refused x WHERE x.server_id = @server_id AND x.name = @name)

-- Tells the session, and notes it for the account.
-- fragment: refused_rows
SELECT part, 'q' AS what, name FROM refused WHERE (SELECT count(quota_note(u.user_id, 'services'))
 FROM (SELECT DISTINCT user_id FROM refused) u) >= 0

-- Results, execution errors, gaps.
--
-- v has each service at most once: status is null if all its items are execution errors; flipped says that its status
-- changed inside the batch, and changed_at is the start of the last run of equal statuses. Changes from a replay (live
-- is false) are notified when it ends. A service that reported is due again at its next run, if that is known;
-- otherwise the next inventory says when.
--
-- A trigger on told_status records the status changes that people are to be notified of in the table transitions, with
-- the status before and after, in this transaction.
--
-- name: items(server, epoch, expected, cursor, gap, part, name, status, message, status_at, changed_at, fresh, flipped, live,
--   duration, invocation, error_kind, error_detail, error_at, event_part, event_service, event_kind, event_at,
--   event_status, event_message, event_error_kind, event_error_detail, event_duration, event_invocation,
--   event_gap_from, grace)
@fence,
 given AS (SELECT f.id AS server_id, v.* FROM unnest(:part::int[], :name::text[], :status::service_status[], :message::text[],
  :status_at::timestamptz[], :changed_at::timestamptz[], :fresh::bool[], :flipped::bool[], :live::bool[], :duration::bigint[], :invocation::text[], :error_kind::text[],
  :error_detail::text[], :error_at::timestamptz[])
  v(part, name, status, message, status_at, changed_at, fresh, flipped, live, duration_ms, invocation_id,
    error_kind, error_detail, error_at)
  JOIN fence f ON f.part = v.part),
 @refuse(given),
 v AS (SELECT * FROM given g WHERE NOT @is_refused(g.server_id, g.name)),
 flipped AS (SELECT server_id, name FROM v WHERE flipped),
 replayed AS (SELECT server_id, name FROM v WHERE NOT live),
 upserted AS (
 INSERT INTO services AS s (server_id, name, status, message, status_at, changed_at, received_at,
  duration_ms, invocation_id, error_kind, error_detail, error_at, told_status, told_error)
 SELECT v.server_id, v.name, v.status, v.message, v.status_at, v.changed_at, now(),
  v.duration_ms, v.invocation_id, v.error_kind, v.error_detail, v.error_at,
  CASE WHEN v.live THEN v.status END, CASE WHEN v.live THEN v.error_kind END FROM v
 ON CONFLICT (server_id, name) DO UPDATE SET
  status = coalesce(excluded.status, s.status),
  message = CASE WHEN excluded.status IS NULL THEN s.message ELSE excluded.message END,
  status_at = coalesce(excluded.status_at, s.status_at),
  changed_at = CASE WHEN excluded.status IS NULL THEN s.changed_at
   WHEN s.status IS DISTINCT FROM excluded.status
    OR (excluded.server_id, excluded.name) IN (TABLE flipped) THEN excluded.changed_at
   ELSE s.changed_at END,
  received_at = excluded.received_at, duration_ms = excluded.duration_ms,
  invocation_id = excluded.invocation_id, error_kind = excluded.error_kind,
  error_detail = excluded.error_detail, error_at = excluded.error_at,
  told_status = coalesce(excluded.told_status, s.told_status),
  told_error = CASE WHEN (excluded.server_id, excluded.name) IN (TABLE replayed) THEN s.told_error
   ELSE excluded.told_error END,
  stale_since = CASE WHEN (excluded.server_id, excluded.name) IN (TABLE replayed) THEN s.stale_since END,
  due_at = CASE WHEN s.enabled AND s.next_run > now()
   THEN s.next_run + make_interval(secs => coalesce(s.timeout_ms, 0) / 1000.0 + :grace::int) END),
 logged AS (
 INSERT INTO events (server_id, service, kind, at, status, message, error_kind, error_detail, duration_ms,
  invocation_id, gap_from)
 SELECT f.id, e.service, e.kind, e.at, e.status, e.message, e.error_kind, e.error_detail,
  e.duration_ms, e.invocation_id, e.gap_from
 FROM unnest(:event_part::int[], :event_service::text[], :event_kind::text[], :event_at::timestamptz[], :event_status::service_status[], :event_message::text[],
  :event_error_kind::text[], :event_error_detail::text[], :event_duration::bigint[], :event_invocation::text[], :event_gap_from::timestamptz[]) WITH ORDINALITY
  e(part, service, kind, at, status, message, error_kind, error_detail, duration_ms, invocation_id,
    gap_from, n)
 JOIN fence f ON f.part = e.part
  -- A client that ignores gap_told reports the same gap again.
 WHERE (e.kind <> 'gap' OR NOT EXISTS (SELECT FROM events o WHERE o.server_id = f.id
  AND o.service IS NULL AND o.kind = 'gap' AND o.gap_from IS NOT DISTINCT FROM e.gap_from
  AND (o.gap_from IS NOT NULL OR o.at = e.at)))
  AND NOT @is_refused(f.id, e.service)
 ORDER BY e.n)
 SELECT f.part, 'f' AS what, NULL::text AS name FROM fence f
 UNION ALL (@refused_rows)

-- Until the expected run has come, its time counts, whatever the timer says about the next one; a stopped timer schedules
-- no further runs, but the run already announced is still due. excluded.received_at is when the session last heard from the
-- service.
-- fragment: due
CASE WHEN NOT excluded.enabled THEN NULL
 WHEN s.enabled AND s.schedule IS NOT DISTINCT FROM excluded.schedule AND s.due_at IS NOT NULL
  AND (excluded.next_run IS NULL OR s.next_run <= now())
  AND (s.next_run IS NULL OR s.next_run > coalesce(greatest(s.received_at, excluded.received_at),
   '-infinity')) THEN s.due_at
 ELSE excluded.due_at END

-- Removes services that the inventory does not name, unless the session knows that there are none (whole is false: then
-- n holds only what changed). Those it names keep their state. While two hosts may share the agent's identity, nothing is removed:
-- the row 'w' says for how many seconds.
-- name: inventory(server, epoch, expected, cursor, gap, part, name, fresh, title, metadata, schedule, timeout, enabled,
--   next_run, watches, depends_on, heard_at, whole, grace)
@fence,
 given AS (SELECT f.part, n.fresh, f.id AS server_id, n.name, n.title, coalesce(n.metadata::jsonb, '{}') AS metadata, n.schedule, n.timeout_ms,
  n.enabled, n.next_run, coalesce(n.watches, '{}')::text[] AS watches,
  coalesce(n.depends_on, '{}')::text[] AS depends_on, n.heard_at
  FROM unnest(:part::int[], :name::text[], :fresh::bool[],
   :title::text[], :metadata::text[], :schedule::text[], :timeout::bigint[],
   :enabled::bool[], :next_run::timestamptz[], :watches::text[], :depends_on::text[], :heard_at::timestamptz[])
   n(part, name, fresh, title, metadata, schedule, timeout_ms, enabled, next_run, watches, depends_on,
     heard_at)
  JOIN fence f ON f.part = n.part),
 @refuse(given),
 n AS (SELECT g.server_id, g.name, g.title, g.metadata, g.schedule, g.timeout_ms, g.enabled, g.next_run, g.watches,
   g.depends_on, g.heard_at FROM given g WHERE NOT @is_refused(g.server_id, g.name)),
 whole AS (SELECT f.id, f.part, f.contested FROM unnest(:whole::bool[]) WITH ORDINALITY w(whole, part)
  JOIN fence f ON f.part = w.part WHERE w.whole),
 removed AS (DELETE FROM services s USING whole f WHERE s.server_id = f.id AND f.contested IS NULL
  AND (s.server_id, s.name) NOT IN (SELECT n.server_id, n.name FROM n)
  RETURNING f.part, s.name),
 upserted AS (
 INSERT INTO services AS s (server_id, name, title, metadata, schedule, timeout_ms, enabled,
  next_run, watches, depends_on, received_at, due_at)
 SELECT n.*, CASE WHEN n.enabled THEN
  n.next_run + make_interval(secs => coalesce(n.timeout_ms, 0) / 1000.0 + :grace::int) END FROM n
 ON CONFLICT (server_id, name) DO UPDATE SET title = excluded.title, metadata = excluded.metadata,
  schedule = excluded.schedule, timeout_ms = excluded.timeout_ms,
  enabled = excluded.enabled, next_run = excluded.next_run,
  watches = excluded.watches, depends_on = excluded.depends_on,
  received_at = greatest(s.received_at, excluded.received_at),
  due_at = @due,
  stale_since = CASE WHEN (@due) <= now() THEN s.stale_since END
 WHERE (s.title, s.metadata, s.schedule, s.timeout_ms, s.enabled, s.next_run, s.watches,
   s.depends_on)
  IS DISTINCT FROM (excluded.title, excluded.metadata, excluded.schedule,
   excluded.timeout_ms, excluded.enabled, excluded.next_run, excluded.watches, excluded.depends_on)
-- Instances of the previous version did not set due_at.
  OR (s.enabled AND s.next_run > now() AND s.due_at IS NULL)
 RETURNING s.server_id, s.name, s.xmax = 0 AS new)
 SELECT part, 'f' AS what, NULL::text AS name FROM fence
 UNION ALL SELECT part, 'r', name FROM removed
 UNION ALL SELECT f.part, 'v', u.name FROM upserted u JOIN fence f ON f.id = u.server_id
 UNION SELECT part, 's', NULL FROM removed
 UNION SELECT f.part, 's', NULL FROM upserted u JOIN fence f ON f.id = u.server_id WHERE u.new
 UNION ALL (@refused_rows)
 UNION SELECT f.part, 'w', f.contested::text FROM whole f WHERE f.contested IS NOT NULL AND EXISTS (SELECT FROM services s
  WHERE s.server_id = f.id AND (s.server_id, s.name) NOT IN (SELECT n.server_id, n.name FROM n))

-- The end of a replay: of all the replayed changes, notify only the final state.
-- name: live(server, epoch, expected, cursor, gap)
@fence,
 told AS (UPDATE services v SET told_status = v.status, told_error = v.error_kind,
  stale_since = CASE WHEN v.received_at > v.stale_since THEN NULL ELSE v.stale_since END
  FROM fence f WHERE v.server_id = f.id AND (v.told_status IS DISTINCT FROM v.status
   OR v.told_error IS DISTINCT FROM v.error_kind OR v.received_at > v.stale_since)
  RETURNING f.part, v.name)
 SELECT part, 's' AS what, NULL::text AS name FROM fence
 UNION ALL SELECT part, 'v', name FROM told
