-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Maintenance of the history.

-- Maintains the partitions of the history: creates those for today and the next days, drops those that ended more than
-- keep days ago. Each step gets its lock at once or is left to the next call, so that nothing queues behind a lock that
-- is waited for: a backup may hold the table for hours. A partition is created separately and then attached, which
-- blocks neither readers nor writers of the others. Rows in the default partition (they arrived before their day had
-- one) are moved to their day's. events_make_partitions() remains for instances of the previous version, which may
-- still run.
CREATE OR REPLACE FUNCTION events_maintain(ahead int, keep int, OUT made int, OUT dropped int, OUT left_over int)
LANGUAGE plpgsql SET lock_timeout = '500ms' AS $$
DECLARE
        today date := (now() AT TIME ZONE 'UTC')::date;
        day date;
        name text;
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
                END;
        END LOOP;
        FOR name IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                    WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_\d{8}$'
                    AND to_date(right(c.relname, 8), 'YYYYMMDD') < today - keep ORDER BY 1 LOOP
                BEGIN
                        EXECUTE format('DROP TABLE %I', name);
                        dropped := dropped + 1;
                EXCEPTION WHEN lock_not_available THEN
                        left_over := left_over + 1;
                END;
        END LOOP;
END
$$;
