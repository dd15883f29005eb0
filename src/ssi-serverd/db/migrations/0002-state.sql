-- SPDX-License-Identifier: LGPL-2.1-or-later
-- What is shown beside the status (stale, offline, rebooting), what has been told of it, and the history's upkeep.

-- Each instance of the backend says here that it lives; the agents that it holds are as alive as it is. An idle agent
-- so costs no writing.
CREATE TABLE instances (
        id text PRIMARY KEY,
        seen_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- instance holds the agent's session. gap_told: that entries after resume_cursor are lost is in the history already.
ALTER TABLE servers
        ADD COLUMN instance text,
        ADD COLUMN gap_told boolean NOT NULL DEFAULT false,
        ADD COLUMN rebooting_until timestamptz;
UPDATE servers SET connected = false WHERE connected;
CREATE INDEX servers_instance ON servers (instance) WHERE connected;
CREATE INDEX servers_rebooting ON servers (rebooting_until) WHERE rebooting_until IS NOT NULL;

-- told_status and told_error are what transitions ended with last: status and error_kind, except while an agent sends
-- again what it could not send before. due_at is when a result has to be there, null while nothing is expected.
ALTER TABLE services
        ADD COLUMN told_status service_status,
        ADD COLUMN told_error text,
        ADD COLUMN due_at timestamptz,
        ADD COLUMN stale_since timestamptz;
UPDATE services SET told_status = status, told_error = error_kind;
CREATE INDEX services_due ON services (due_at) WHERE due_at IS NOT NULL AND stale_since IS NULL;

CREATE FUNCTION server_state(claimed_at timestamptz, connected boolean, rebooting_until timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE WHEN claimed_at IS NULL THEN 'pending' WHEN rebooting_until IS NOT NULL THEN 'rebooting'
               WHEN connected THEN 'online' ELSE 'offline' END
$$;

-- What changed, written by the transaction that changed it, for whoever tells people of it.
--
-- what     service   before and after
-- status   its name  statuses; before is null for the first result
-- error    its name  kinds of execution errors; null: none
-- stale    its name  'stale' or null
-- removed  its name  the last status, and null
-- state    null      'online', 'offline', 'rebooting'
CREATE TABLE transitions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        server_id bigint NOT NULL,
        service text,
        what text NOT NULL,
        before text,
        after text,
        since timestamptz,
        message text
);

CREATE FUNCTION service_transitions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
        IF TG_OP = 'DELETE' THEN
                INSERT INTO transitions (server_id, service, what, before)
                VALUES (OLD.server_id, OLD.name, 'removed', OLD.told_status);
                RETURN NULL;
        END IF;
        IF NEW.told_status IS DISTINCT FROM (CASE WHEN TG_OP = 'UPDATE' THEN OLD.told_status END) THEN
                INSERT INTO transitions (server_id, service, what, before, after, since, message)
                VALUES (NEW.server_id, NEW.name, 'status', CASE WHEN TG_OP = 'UPDATE' THEN OLD.told_status END,
                        NEW.told_status, NEW.changed_at, NEW.message);
        END IF;
        IF NEW.told_error IS DISTINCT FROM (CASE WHEN TG_OP = 'UPDATE' THEN OLD.told_error END) THEN
                INSERT INTO transitions (server_id, service, what, before, after, since, message)
                VALUES (NEW.server_id, NEW.name, 'error', CASE WHEN TG_OP = 'UPDATE' THEN OLD.told_error END,
                        NEW.told_error, NEW.error_at, NEW.error_detail);
        END IF;
        IF TG_OP = 'UPDATE' AND (NEW.stale_since IS NULL) <> (OLD.stale_since IS NULL) THEN
                INSERT INTO transitions (server_id, service, what, before, after, since)
                VALUES (NEW.server_id, NEW.name, 'stale', CASE WHEN OLD.stale_since IS NOT NULL THEN 'stale' END,
                        CASE WHEN NEW.stale_since IS NOT NULL THEN 'stale' END, NEW.stale_since);
        END IF;
        RETURN NULL;
END
$$;
CREATE TRIGGER service_changed AFTER UPDATE OF told_status, told_error, stale_since ON services FOR EACH ROW
WHEN (OLD.told_status IS DISTINCT FROM NEW.told_status OR OLD.told_error IS DISTINCT FROM NEW.told_error OR
      (OLD.stale_since IS NULL) <> (NEW.stale_since IS NULL))
EXECUTE FUNCTION service_transitions();
CREATE TRIGGER service_new AFTER INSERT ON services FOR EACH ROW
WHEN (NEW.told_status IS NOT NULL OR NEW.told_error IS NOT NULL) EXECUTE FUNCTION service_transitions();
CREATE TRIGGER service_removed AFTER DELETE ON services FOR EACH ROW EXECUTE FUNCTION service_transitions();

CREATE FUNCTION server_transitions() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
        before text := server_state(OLD.claimed_at, OLD.connected, OLD.rebooting_until);
        after text := server_state(NEW.claimed_at, NEW.connected, NEW.rebooting_until);
BEGIN
        IF before <> after THEN
                INSERT INTO transitions (server_id, what, before, after, since)
                VALUES (NEW.id, 'state', before, after, now());
        END IF;
        RETURN NULL;
END
$$;
CREATE TRIGGER server_changed AFTER UPDATE OF connected, rebooting_until ON servers FOR EACH ROW
WHEN (OLD.connected <> NEW.connected OR (OLD.rebooting_until IS NULL) <> (NEW.rebooting_until IS NULL))
EXECUTE FUNCTION server_transitions();

-- The partitions of the history: makes those of today and the days to come, drops those that ended more than keep days
-- ago. Each step gets its lock at once or is left for the next call, so that nobody queues behind a wait: a backup may
-- hold the table for hours. A partition is made apart and then attached, which stops neither readers nor writers of
-- the others. What lies in the default partition (no day's was there when it came) is moved to the day's.
-- (events_make_partitions() stays for instances of the version before, which may still run.)
CREATE FUNCTION events_maintain(ahead int, keep int, OUT made int, OUT dropped int, OUT left_over int)
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
