-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/account.sql
-- include model/fragments.sql
-- include model/team.sql

-- name: quota_defaults(names, values, bursts)
WITH d AS (INSERT INTO quota_defaults AS d (name, value, burst)
  SELECT * FROM unnest(:names::text[], :values::bigint[], :bursts::bigint[])
  ON CONFLICT (name) DO UPDATE SET value = excluded.value, burst = excluded.burst
  WHERE (d.value, d.burst) IS DISTINCT FROM (excluded.value, excluded.burst) RETURNING 1)
 SELECT count(*) FROM d

-- Messages that wait for the next day or hour are tried again.
-- fragment: try_again
again AS (UPDATE notification_outbox o SET due_at = now() FROM u WHERE o.user_id = u.id AND o.state = 'queued'
  AND o.due_at > now() + interval '1 min' AND :name::text IN ('mails', 'requests'))

-- name: quota_set
WITH u AS (SELECT u.id, u.public_id, u.email FROM @owners u WHERE @account_is(:account)),
 q AS (INSERT INTO account_quotas (user_id, name, value, burst)
  SELECT u.id, :name::text, :value::bigint, :burst::bigint FROM u
  ON CONFLICT (user_id, name) DO UPDATE SET value = excluded.value, burst = excluded.burst),
 @try_again,
 audited AS (@audit(quota.changed, :name::text, coalesce(:value::text, 'unlimited') || coalesce(':' || :burst::text, ''), u))
 SELECT public_id, @audited FROM u

-- name: quota_reset
WITH u AS (SELECT u.id, u.public_id, u.email FROM @owners u WHERE @account_is(:account)),
 q AS (DELETE FROM account_quotas q USING u WHERE q.user_id = u.id AND q.name = :name::text),
 @try_again,
 audited AS (@audit(quota.changed, :name::text, 'default', u))
 SELECT public_id, @audited FROM u

-- Quotas n of teams u.
-- fragment: quotas
@owners u CROSS JOIN unnest(:names::text[]) WITH ORDINALITY n(name, k)
 LEFT JOIN account_quotas a ON a.user_id = u.id AND a.name = n.name
 LEFT JOIN quota_reached r ON r.user_id = u.id AND r.name = n.name

-- name: quota_list
SELECT n.name, quota_used(u.id, n.name), quota(u.id, n.name), quota_burst(u.id, n.name), a.name IS NOT NULL, @usec(r.last_at)
 FROM @quotas WHERE @account_is(:account) ORDER BY n.k

-- name: quota_usage
SELECT json_build_object('quotas', json_agg(json_build_object('name', n.name,
  'used', CASE WHEN n.name = 'results' THEN :results::bigint ELSE quota_used(u.id, n.name) END,
  'limit', quota(u.id, n.name), 'burst', quota_burst(u.id, n.name),
  'per', CASE n.name WHEN 'results' THEN 'minute' WHEN 'requests' THEN 'hour' WHEN 'mails' THEN 'day' END,
  'reached_at', @time(r.last_at)) ORDER BY n.k))
 FROM @quotas WHERE u.public_id = :team AND @allows(u.id) GROUP BY u.id

-- name: quota_note_results
SELECT quota_note(u.id, 'results'), u.public_id, quota(u.id, 'results') FROM teams u WHERE u.public_id = :team

-- A sample of this many pages of eight kilobytes takes a fraction of a second.
-- name: measure_history
SELECT history_measure(4000)

-- name: trim_history
SELECT t.account, t.is_new, @time(t.until) FROM history_trim(268435456) t WHERE t.account IS NOT NULL
