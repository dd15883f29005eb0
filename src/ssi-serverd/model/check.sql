-- SPDX-License-Identifier: LGPL-2.1-or-later

-- What "ssictl server check" asks the database. Each statement returns rows of a status, a message and an advice (null if there is
-- nothing to do), the worst first; the first row is shown where all are OK. Nothing here holds a lock that others wait for.

-- fragment: size(bytes)
pg_size_pretty((@bytes)::bigint)

-- fragment: partition
(SELECT c.oid, c.relname::text AS name, to_date(right(c.relname, 8), 'YYYYMMDD') AS day, EXISTS (SELECT FROM pg_inherits i
  WHERE i.inhrelid = c.oid AND i.inhparent = 'events'::regclass) AS attached
 FROM pg_class c WHERE c.relkind = 'r' AND c.relname ~ '^events_\d{8}$' AND c.relnamespace = 'public'::regnamespace)

-- name: check_version
WITH v AS (SELECT (SELECT max(version) FROM schema_migrations) AS has, :newest::int AS knows,
  current_setting('server_version_num')::int AS number, current_setting('server_version') AS version),
 line AS (SELECT 2 AS k, 'FAILURE' AS status, format('PostgreSQL is of version %s.', version) AS message,
   'Upgrade PostgreSQL to version 14 or later.' AS advice FROM v WHERE number < 140000
  UNION ALL SELECT 2, 'FAILURE', format('The schema has version %s, older than this backend''s %s.', has, knows),
   'Restart ssi-serverd; its journal says why the migrations fail.' FROM v WHERE has < knows
  UNION ALL SELECT 1, 'WARNING', format('The schema has version %s, newer than this backend''s %s.', has, knows),
   'Upgrade this instance: another one has upgraded the database.' FROM v WHERE has > knows
  UNION ALL SELECT 0, 'OK', format('PostgreSQL %s, schema %s.', split_part(version, ' ', 1), has), NULL FROM v)
 SELECT status, message, advice FROM line ORDER BY k DESC

-- name: check_partitions
WITH p AS (SELECT * FROM @partition p), today AS (SELECT (now() AT TIME ZONE 'UTC')::date AS day),
 missing AS (SELECT d.day::date AS day, d.day::date = today.day AS is_today FROM today, generate_series(today.day, today.day + 3, interval '1 day') d(day)
  WHERE NOT EXISTS (SELECT FROM p WHERE p.day = d.day::date AND p.attached)),
 stray AS (SELECT count(*) AS n FROM (SELECT FROM events_default LIMIT 1000) d),
 old AS (SELECT count(*) AS n, min(p.day) AS first FROM p, today WHERE p.attached AND p.day < today.day - :keep::int - 1),
 line AS (SELECT 2 AS k, 'FAILURE' AS status, format('The history has no partition for today, %s.', day) AS message,
   'The backend makes it once no transaction holds the table events_default for long: see pg_stat_activity, and the journal of ssi-serverd.' AS advice
   FROM missing WHERE is_today
  UNION ALL SELECT 1, 'WARNING', format('Days of the next three for which the history has no partition: %s.', count(*)),
   'The backend makes them once no transaction holds the table events_default for long: see pg_stat_activity, and the journal of ssi-serverd.'
   FROM missing WHERE NOT is_today HAVING count(*) > 0
  UNION ALL SELECT 1, 'WARNING', format('Results outside the partitions of their days: %s.', CASE WHEN n = 1000 THEN '1000 or more' ELSE n::text END),
   'They are moved within the hour; if not, the clock of the database was wrong, or a transaction holds the table events_default.' FROM stray WHERE n > 0
  UNION ALL SELECT 1, 'WARNING', format('Days of history that should be gone: %s, from %s on.', n, first),
   'A transaction holds the history for long, such as a backup or a report: end it, see pg_stat_activity.' FROM old WHERE n > 0
  UNION ALL SELECT 1, 'WARNING', format('The table %s is not part of the history.', p.name),
   format('Look what it contains, then attach it, or drop it: DROP TABLE %I.', p.name) FROM p WHERE NOT p.attached
  UNION ALL SELECT 0, 'OK', format('The history has partitions for %s days, from %s to %s.', count(*), min(p.day), max(p.day)), NULL FROM p WHERE p.attached)
 SELECT status, message, advice FROM line ORDER BY k DESC

-- name: check_indexes
WITH i AS (SELECT i.*, c.relkind, c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace),
 damaged AS (SELECT * FROM check_btrees(:max_bytes::bigint)),
 line AS (SELECT 2 AS k, 'FAILURE' AS status, format('The index %s is damaged: %s.', index, reason) AS message,
   format('REINDEX INDEX CONCURRENTLY %s; and look for the cause: the disk, the memory, a changed locale.', index) AS advice FROM damaged
  UNION ALL SELECT 1, 'WARNING', format('The index %s is not valid: queries do not use it.', i.indexrelid::regclass),
   CASE i.relkind WHEN 'i' THEN format('REINDEX INDEX CONCURRENTLY %s.', i.indexrelid::regclass)
    ELSE format('Attach the index of each partition to it: ALTER INDEX %s ATTACH PARTITION ….', i.indexrelid::regclass) END
   FROM i WHERE NOT (i.indisvalid AND i.indisready AND i.indislive)
-- An index being built concurrently is not valid yet.
   AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index b WHERE b.index_relid = i.indexrelid)
  UNION ALL SELECT 1, 'WARNING', format('The partition %s has no index.', p.name),
   format('CREATE INDEX ON %I (server_id, service, id).', p.name) FROM @partition p WHERE p.attached AND NOT EXISTS (SELECT FROM i
    JOIN pg_inherits h ON h.inhrelid = i.indexrelid WHERE i.indrelid = p.oid AND h.inhparent = 'events_service'::regclass)
  UNION ALL SELECT 1, 'WARNING', format('The constraint %s of %s is not validated.', o.conname, o.conrelid::regclass),
   format('ALTER TABLE %s VALIDATE CONSTRAINT %I.', o.conrelid::regclass, o.conname)
   FROM pg_constraint o WHERE o.connamespace = 'public'::regnamespace AND NOT o.convalidated
  UNION ALL SELECT 0, 'OK', format('Indexes: %s, all valid%s.', count(*), CASE WHEN NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'amcheck')
   THEN '; the extension amcheck, which looks into them, is not installed' ELSE '' END), NULL FROM i)
 SELECT status, message, advice FROM line ORDER BY k DESC

-- One step of the index for each server, not a scan.
-- name: check_orphans
WITH RECURSIVE server(id, n) AS (SELECT (SELECT min(server_id) FROM events), 1
  UNION ALL SELECT (SELECT min(e.server_id) FROM events e WHERE e.server_id > server.id), n + 1 FROM server WHERE server.id IS NOT NULL AND n < 20000),
 gone AS (SELECT count(*) AS n FROM server WHERE id IS NOT NULL AND NOT EXISTS (SELECT FROM servers s WHERE s.id = server.id)),
 held AS (SELECT count(*) AS n FROM servers s WHERE s.connected AND coalesce(s.last_seen, '-infinity') < now() - interval '5 minutes'
  AND NOT EXISTS (SELECT FROM instances i WHERE i.id = s.instance)),
 line AS (SELECT 1 AS k, 'WARNING' AS status, format('Servers that do not exist, but have results in the history: %s.', n) AS message,
   'They go with the days they are from. If there are more every day, report it.' AS advice FROM gone WHERE n > 0
  UNION ALL SELECT 1, 'WARNING', format('Servers that count as connected to instances that are gone: %s.', n),
   'An instance notices this within a minute; if not, see the journal of ssi-serverd.' FROM held WHERE n > 0
  UNION ALL SELECT 0, 'OK', format('The history belongs to servers that exist%s.', CASE WHEN (SELECT max(n) FROM server) = 20000
   THEN ' (the first 20,000 were looked at)' ELSE '' END), NULL)
 SELECT status, message, advice FROM line ORDER BY k DESC

-- Transactions of other roles may be hidden.
-- name: check_vacuum
WITH d AS (SELECT f.* FROM database_figures() f), t AS (SELECT * FROM database_tables()),
 line AS (SELECT 2 AS k, 'FAILURE' AS status, format('The oldest row is %s transactions old: PostgreSQL refuses writes at 2 billion.', age) AS message,
   'VACUUM as a superuser, now; end old transactions and unused replication slots first.' AS advice FROM d WHERE age > 1500000000
  UNION ALL SELECT 1, 'WARNING', format('The oldest row is %s transactions old, and autovacuum should have frozen it at %s.', age, age_limit),
   'Look for old transactions, prepared transactions and unused replication slots, which keep VACUUM from its work.'
   FROM d WHERE age > age_limit * 1.5 AND age <= 1500000000
  UNION ALL SELECT 1, 'WARNING', 'Autovacuum is off.', 'ALTER SYSTEM SET autovacuum = on; then reload PostgreSQL.' WHERE current_setting('autovacuum') = 'off'
  UNION ALL SELECT 1, 'WARNING', format('VACUUM falls behind with %s: %s rows are dead, %s live.', name, dead, live),
   'Look for old transactions in pg_stat_activity; if there are none, give autovacuum more to do (autovacuum_vacuum_cost_limit).'
   FROM t WHERE dead > 100000 + live
  UNION ALL SELECT 1, 'WARNING', format('A transaction of %s (process %s, %s) has lasted for %s.', a.usename, a.pid, coalesce(nullif(a.application_name, ''), 'unnamed'),
   date_trunc('second', clock_timestamp() - a.xact_start)), format('It keeps dead rows and old days of history. To end it: SELECT pg_terminate_backend(%s).', a.pid)
   FROM pg_stat_activity a WHERE a.datname = current_database() AND a.xact_start < clock_timestamp() - interval '1 hour'
  UNION ALL SELECT 1, 'WARNING', format('The prepared transaction %s has waited since %s.', x.gid, date_trunc('second', x.prepared)),
   format('COMMIT PREPARED %L, or ROLLBACK PREPARED.', x.gid) FROM pg_prepared_xacts x
   WHERE x.database = current_database() AND x.prepared < now() - interval '10 minutes'
  UNION ALL SELECT 0, 'OK', format('The database has %s; its oldest row is %s transactions old; dead rows: %s.', @size(d.bytes), d.age, (SELECT sum(dead) FROM t)), NULL FROM d)
 SELECT status, message, advice FROM line ORDER BY k DESC

-- name: check_replication
WITH r AS (SELECT coalesce(nullif(application_name, ''), pid::text) AS name, state, sync_state, pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) AS behind,
  coalesce(replay_lag, interval '0') AS lag FROM pg_stat_replication WHERE state IS NOT NULL),
 n AS (SELECT (SELECT count(*) FROM pg_stat_replication) AS all_, (SELECT count(*) FROM r) AS seen,
  current_setting('synchronous_standby_names') AS wanted, (SELECT count(*) FROM r WHERE sync_state IN ('sync', 'quorum') AND state = 'streaming') AS synchronous),
 line AS (SELECT 2 AS k, 'FAILURE' AS status, format('No synchronous standby is connected (%s): commits wait.', wanted) AS message,
   'Start a standby, or set synchronous_standby_names for those that run.' AS advice
   FROM n WHERE wanted <> '' AND synchronous = 0 AND (seen = all_) AND current_setting('synchronous_commit') NOT IN ('off', 'local')
  UNION ALL SELECT 1, 'WARNING', format('The standby %s is %s: %s and %s behind.', name, state, @size(behind), date_trunc('milliseconds', lag)),
   'Look at its load, its disk and the network to it.' FROM r WHERE state <> 'backup' AND (state <> 'streaming' OR lag > interval '10 seconds' OR behind > 1073741824)
  UNION ALL SELECT 1, 'WARNING', format('The replication slot %s is not used and keeps %s of the write-ahead log.', s.slot_name,
   @size(coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), 0))),
   format('Start the standby that uses it, or drop it before it fills the disk: SELECT pg_drop_replication_slot(%L).', s.slot_name)
   FROM pg_replication_slots s WHERE NOT s.active AND s.restart_lsn IS NOT NULL
  UNION ALL SELECT 1, 'WARNING', format('The replication slot %s has lost what its standby needs.', s.slot_name),
   format('Make the standby again, and drop the slot: SELECT pg_drop_replication_slot(%L).', s.slot_name) FROM pg_replication_slots s WHERE s.wal_status = 'lost'
  UNION ALL SELECT 0, 'OK', CASE WHEN all_ = 0 THEN 'PostgreSQL has no standby.' WHEN seen < all_ THEN
   format('Standbys: %s; only a role with pg_monitor can tell how they are.', all_)
   ELSE format('Standbys: %s, of them synchronous: %s; at most %s behind.', seen, synchronous,
    (SELECT date_trunc('milliseconds', coalesce(max(lag), interval '0')) FROM r)) END, NULL FROM n)
 SELECT status, message, advice FROM line ORDER BY k DESC

-- name: check_deliveries
WITH o AS (SELECT count(*) AS n, now() - min(due_at) AS late FROM notification_outbox WHERE state = 'queued' AND due_at < now() - interval '10 minutes'),
 line AS (SELECT 1 AS k, 'WARNING' AS status, format('Notifications that are late: %s, the oldest by %s.', n, date_trunc('second', late)) AS message,
   'See the journal of ssi-serverd, and the channels on the dashboard: a target may be slow.' AS advice FROM o WHERE n > 0
  UNION ALL SELECT 0, 'OK', 'No notification is late.', NULL)
 SELECT status, message, advice FROM line ORDER BY k DESC

-- The database's clock, in usec.
-- name: check_clock
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
