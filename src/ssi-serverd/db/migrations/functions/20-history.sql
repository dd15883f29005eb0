-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Maintenance of the history.

-- Whether a transaction that has lasted for a while has a lock on one of these tables. Of other roles' transactions, only their
-- locks are known; they count as well.
CREATE OR REPLACE FUNCTION tables_are_held(tables regclass[]) RETURNS boolean LANGUAGE sql VOLATILE AS $$
        SELECT EXISTS (SELECT FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
                WHERE l.relation = ANY (tables) AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
                AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
                AND coalesce(a.xact_start < clock_timestamp() - interval '200 ms', true))
$$;

-- Maintains the partitions of the history: creates those for today and the next days, drops one of those that ended more
-- than keep days ago. left_over: how many there are still to create or to drop; call it again.
--
-- Whoever waits for a lock makes all others wait behind it, and a backup or a report may hold the tables for hours. So
-- nothing waits for a transaction that has lasted for a while; for short ones, as ingestion's, it does for 50 ms at most.
-- The lock of the whole history is never kept while waiting for another one, and only one partition is dropped in a
-- transaction. (PostgreSQL cannot detach a partition concurrently where there is a default one.) A partition is created
-- separately and then attached, which blocks neither readers nor writers of the others. Rows in the default partition
-- (they arrived before their day had one) are moved to their day's.
CREATE OR REPLACE FUNCTION events_maintain(ahead int, keep int, OUT made int, OUT dropped int, OUT left_over int)
LANGUAGE plpgsql SET lock_timeout = '50ms' AS $$
DECLARE
        today date := (now() AT TIME ZONE 'UTC')::date;
        day date;
        name text;
        tried boolean := false;
BEGIN
        made := 0;
        dropped := 0;
        left_over := 0;
        IF NOT pg_try_advisory_xact_lock(5461834) THEN
                RETURN;
        END IF;
        FOR day IN SELECT today + i FROM generate_series(0, ahead) i
                   UNION SELECT DISTINCT (received_at AT TIME ZONE 'UTC')::date FROM events_default ORDER BY 1 LOOP
                name := 'events_' || to_char(day, 'YYYYMMDD');
                CONTINUE WHEN to_regclass(quote_ident(name)) IS NOT NULL;
                IF tried OR tables_are_held(ARRAY['events_default'::regclass]) THEN
                        left_over := left_over + 1;
                        CONTINUE;
                END IF;
                BEGIN
                        EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING DEFAULTS)', name);
                        EXECUTE format('WITH moved AS (DELETE FROM events_default WHERE received_at >= %1$L AND'
                                       ' received_at < %2$L RETURNING *) INSERT INTO %3$I SELECT * FROM moved',
                                       day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00', name);
                        EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                                       name, day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00');
                        made := made + 1;
                EXCEPTION WHEN lock_not_available THEN
                        left_over := left_over + 1;
                        tried := true;
                END;
        END LOOP;
        tried := tried OR made > 0;
        FOR name IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                    WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_\d{8}$'
                    AND to_date(right(c.relname, 8), 'YYYYMMDD') < today - keep ORDER BY 1 LOOP
                IF tried OR tables_are_held(ARRAY['events'::regclass, quote_ident(name)::regclass]) THEN
                        left_over := left_over + 1;
                        CONTINUE;
                END IF;
                tried := true;
                BEGIN
                        LOCK TABLE ONLY events IN ACCESS EXCLUSIVE MODE;
                        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE NOWAIT', name);
                        EXECUTE format('DROP TABLE %I', name);
                        dropped := dropped + 1;
                EXCEPTION WHEN lock_not_available THEN
                        left_over := left_over + 1;
                END;
        END LOOP;
END
$$;
