-- SPDX-License-Identifier: LGPL-2.1-or-later

-- A row per table, and the database's own figures in each.
-- name: database_figures
SELECT d.bytes, d.age, d.age_limit, d.kept_wal, d.oldest_transaction, d.data_directory, t.name, t.table_bytes, t.index_bytes, t.live, t.dead,
 t.waiting, extract(epoch FROM t.vacuumed_at)::bigint
 FROM database_figures() d LEFT JOIN database_tables() t ON true ORDER BY t.table_bytes + t.index_bytes DESC NULLS LAST

-- Of all instances, the first one in these ten minutes adds the row. Nothing is counted for the others.
-- name: figures_sample
WITH old AS (DELETE FROM backend_samples WHERE at < now() - interval '7 days')
INSERT INTO backend_samples (at, results, database_bytes, history_bytes, accounts, servers, connected, services)
 SELECT t.at, (SELECT coalesce(sum(n_tup_ins), 0)::bigint FROM pg_stat_user_tables WHERE starts_with(relname, 'events_')),
 :database_bytes::bigint, :history_bytes::bigint, (SELECT count(*) FROM users), (SELECT count(*) FROM servers),
 (SELECT count(*) FROM servers WHERE connected), (SELECT count(*) FROM services)
 FROM (SELECT date_bin('10 minutes', now(), 'epoch'::timestamptz) AS at) t
 WHERE NOT EXISTS (SELECT FROM backend_samples b WHERE b.at = t.at) ON CONFLICT DO NOTHING
