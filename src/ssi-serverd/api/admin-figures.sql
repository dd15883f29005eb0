-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql
-- include model/instance.sql

-- A count that decreased comes from another database: a restored one.
-- fragment: rate
CASE WHEN s.results >= s.before AND s.at > s.at_before THEN round(((s.results - s.before) / extract(epoch FROM s.at - s.at_before))::numeric, 2) END

-- name: get_figures
SELECT json_build_object('accounts', (SELECT count(*) FROM users), 'servers', (SELECT count(*) FROM servers),
 'connected', (SELECT count(*) FROM servers WHERE connected), 'services', (SELECT count(*) FROM services),
 'database', :database::json,
 'schema_version', (SELECT max(version) FROM schema_migrations),
 'history_days', :history_days::int, 'audit_days', :audit_days::int,
 'partitions', (SELECT json_build_object('count', count(*), 'oldest', to_char(min(to_date(right(c.relname, 8), 'YYYYMMDD')), 'YYYY-MM-DD'))
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_\d{8}$'),
 'backup', (SELECT json_build_object('at', @time(l.at), 'event', l.event) FROM audit_log l WHERE l.event IN ('backup.started', 'backup.failed')
  ORDER BY l.id DESC LIMIT 1),
 'instances', (SELECT coalesce(json_agg(json_build_object('hostname', i.hostname, 'version', i.version, 'started_at', @time(i.started_at),
   'seen_at', @time(i.seen_at), 'alive', @alive(i) IS TRUE) ORDER BY i.hostname, i.started_at), '[]') FROM instances i),
 'samples', (SELECT coalesce(json_agg(json_build_object('at', @time(s.at), 'results_per_second', @rate, 'database_bytes', s.database_bytes,
   'history_bytes', s.history_bytes, 'accounts', s.accounts, 'servers', s.servers, 'connected', s.connected, 'services', s.services)
   ORDER BY s.at), '[]')
  FROM (SELECT b.*, lag(b.results) OVER (ORDER BY b.at) AS before, lag(b.at) OVER (ORDER BY b.at) AS at_before FROM backend_samples b) s))
