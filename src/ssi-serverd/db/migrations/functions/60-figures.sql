-- SPDX-License-Identifier: LGPL-2.1-or-later
-- What the database keeps, for operators. The partitions of the history count as one table, "events". PostgreSQL's own counts
-- and the sizes of files: nothing here reads a table, and nothing waits for a lock.

-- dead: rows that VACUUM has not removed yet. waiting: of how many of its parts autovacuum would do so now (in general; a table
-- may have settings of its own). vacuumed_at: of its part with dead rows that has waited longest; null if none has any, or it
-- never was.
CREATE OR REPLACE FUNCTION database_tables(OUT name text, OUT table_bytes bigint, OUT index_bytes bigint, OUT live bigint, OUT dead bigint,
        OUT waiting bigint, OUT vacuumed_at timestamptz) RETURNS SETOF record LANGUAGE sql STABLE SET lock_timeout = '100ms' AS $$
        SELECT CASE WHEN s.relname ~ '^events_' THEN 'events' ELSE s.relname::text END, coalesce(sum(pg_table_size(s.relid)), 0)::bigint,
               coalesce(sum(pg_indexes_size(s.relid)), 0)::bigint, coalesce(sum(s.n_live_tup), 0)::bigint, coalesce(sum(s.n_dead_tup), 0)::bigint,
               count(*) FILTER (WHERE s.n_dead_tup > current_setting('autovacuum_vacuum_threshold')::bigint
                + current_setting('autovacuum_vacuum_scale_factor')::float8 * s.n_live_tup),
               min(greatest(s.last_vacuum, s.last_autovacuum)) FILTER (WHERE s.n_dead_tup > 0)
        FROM pg_stat_user_tables s WHERE s.schemaname = 'public'
        -- Whoever rewrites a table locks it for as long as that takes.
        AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.relation = s.relid AND l.mode = 'AccessExclusiveLock') GROUP BY 1
$$;

-- age: how many transactions old the oldest row is that no VACUUM has frozen; at age_limit, autovacuum freezes whatever happens.
-- kept_wal: what replication slots keep. data_directory: only where the role may know it.
CREATE OR REPLACE FUNCTION database_figures(OUT bytes bigint, OUT age bigint, OUT age_limit bigint, OUT kept_wal bigint,
        OUT oldest_transaction bigint, OUT data_directory text) LANGUAGE sql STABLE AS $$
        SELECT pg_database_size(d.oid), greatest(age(d.datfrozenxid), mxid_age(d.datminmxid)), current_setting('autovacuum_freeze_max_age')::bigint,
               (SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)), 0)::bigint FROM pg_replication_slots s),
               (SELECT coalesce(extract(epoch FROM max(clock_timestamp() - a.xact_start)), 0)::bigint FROM pg_stat_activity a
                WHERE a.datname = d.datname AND a.pid <> pg_backend_pid()),
               CASE WHEN inet_server_addr() IS NULL AND pg_has_role('pg_read_all_settings', 'USAGE') THEN current_setting('data_directory') END
        FROM pg_database d WHERE d.datname = current_database()
$$;
