-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Quotas: what they are, whether they are reached, and the history that exceeds one.

-- The account's own value, or the default; null: no limit. p_user null: what is not counted by account. (In PL/pgSQL, which
-- keeps its plans.)
CREATE OR REPLACE FUNCTION quota(p_user bigint, p_name text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
        n bigint;
BEGIN
        SELECT a.value INTO n FROM account_quotas a WHERE a.user_id = p_user AND a.name = p_name;
        IF NOT FOUND THEN
                SELECT d.value INTO n FROM quota_defaults d WHERE d.name = p_name;
        END IF;
        RETURN n;
END
$$;

CREATE OR REPLACE FUNCTION quota_burst(p_user bigint, p_name text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
        n bigint;
BEGIN
        SELECT a.burst INTO n FROM account_quotas a WHERE a.user_id = p_user AND a.name = p_name;
        IF NOT FOUND THEN
                SELECT d.burst INTO n FROM quota_defaults d WHERE d.name = p_name;
        END IF;
        RETURN n;
END
$$;

-- The hour or day (UTC) of now.
CREATE OR REPLACE FUNCTION quota_period(p_unit text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
        SELECT date_trunc(p_unit, now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
$$;

-- How much of it the account uses now; null for what only the instances count.
CREATE OR REPLACE FUNCTION quota_used(p_user bigint, p_name text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
        RETURN CASE p_name
        WHEN 'servers' THEN (SELECT count(*) FROM servers s WHERE s.user_id = p_user)
        WHEN 'services' THEN (SELECT count(*) FROM servers s JOIN services v ON v.server_id = s.id WHERE s.user_id = p_user)
        WHEN 'storage' THEN (SELECT coalesce(sum(h.bytes), 0)::bigint FROM servers s JOIN history_usage h ON h.server_id = s.id
                             WHERE s.user_id = p_user)
        WHEN 'mails' THEN coalesce((SELECT c.n FROM quota_counts c WHERE c.what = 'mails' AND c.who = p_user::text
                                    AND c.since = quota_period('day')), 0)
        WHEN 'requests' THEN coalesce((SELECT c.n FROM quota_counts c WHERE c.what = 'requests' AND c.who = p_user::text
                                       AND c.since = quota_period('hour')), 0)
        WHEN 'channels' THEN (SELECT count(*) FROM notification_channels c WHERE c.user_id = p_user)
        WHEN 'browsers' THEN (SELECT count(*) FROM push_subscriptions p WHERE p.user_id = p_user)
        WHEN 'silences' THEN (SELECT count(*) FROM silences m WHERE m.user_id = p_user AND m.ends_at > now())
        WHEN 'tokens' THEN (SELECT count(*) FROM api_tokens k WHERE k.user_id = p_user) END;
END
$$;

-- How many more it may have; null: no limit. Nothing is counted where there is none.
CREATE OR REPLACE FUNCTION quota_room(p_user bigint, p_name text) RETURNS bigint LANGUAGE sql STABLE AS $$
        SELECT q.n - quota_used(p_user, p_name) FROM (SELECT quota(p_user, p_name) AS n OFFSET 0) q WHERE q.n IS NOT NULL
$$;

-- Notes that the quota has stopped something. True if it had not in the last hour.
CREATE OR REPLACE FUNCTION quota_note(p_user bigint, p_name text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
        is_new boolean;
BEGIN
        INSERT INTO quota_reached AS r (user_id, name) VALUES (p_user, p_name)
        ON CONFLICT (user_id, name) DO UPDATE SET last_at = now(),
                since = CASE WHEN r.last_at < now() - interval '1 hour' THEN now() ELSE r.since END
        RETURNING since = now() INTO is_new;
        RETURN is_new;
END
$$;

-- For a statement that adds something: how many more there is room for; null: no limit. Until its transaction ends, others that
-- ask for the same wait, and then count what it has added. (VOLATILE: a snapshot taken after the lock.) Who asks for several
-- accounts does so in the order of their ids.
CREATE OR REPLACE FUNCTION quota_lock_room(p_user bigint, p_name text) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
        IF quota(p_user, p_name) IS NULL THEN
                RETURN NULL;
        END IF;
        PERFORM pg_advisory_xact_lock(5461839, hashtext(p_name || p_user));
        RETURN quota_room(p_user, p_name);
END
$$;

-- Whether the statement may add one. Notes it if not.
CREATE OR REPLACE FUNCTION quota_take_room(p_user bigint, p_name text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
        IF coalesce(quota_lock_room(p_user, p_name) > 0, true) THEN
                RETURN true;
        END IF;
        PERFORM quota_note(p_user, p_name);
        RETURN false;
END
$$;

-- The same for the invitations of an account that can still be used, whose limit is the program's.
CREATE OR REPLACE FUNCTION invitation_take_room(p_user bigint, p_limit bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
        PERFORM pg_advisory_xact_lock(5461839, hashtext('invitations' || p_user));
        RETURN (SELECT count(*) FROM invitations i WHERE i.invited_by = p_user AND i.used_at IS NULL AND i.expires_at > now()) < p_limit;
END
$$;

-- Counts one more; false if that would be more than p_limit (null: none), and then it is not counted.
CREATE OR REPLACE FUNCTION quota_take(p_what text, p_who text, p_since timestamptz, p_limit bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
        INSERT INTO quota_counts AS c (what, who, since) VALUES (p_what, p_who, p_since)
        ON CONFLICT (what, who, since) DO UPDATE SET n = c.n + 1 WHERE c.n < coalesce(p_limit, 9223372036854775807);
        RETURN FOUND;
END
$$;

-- Counts a mail (p_kind: of one about the account; null: a notification) or, without an address, a request. Returns the quota
-- that does not allow it, or null. The lock: two transactions that send to the same addresses in another order would be a
-- deadlock.
CREATE OR REPLACE FUNCTION quota_send(p_user bigint, p_address text, p_kind text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
        who text := encode(sha256(convert_to(lower(p_address COLLATE "C"), 'UTF8')), 'hex');
BEGIN
        PERFORM pg_advisory_xact_lock(5461838);
        IF p_address IS NULL THEN
                IF NOT quota_take('requests', p_user::text, quota_period('hour'), quota(p_user, 'requests')) THEN
                        PERFORM quota_note(p_user, 'requests');
                        RETURN 'requests';
                END IF;
        ELSIF p_kind IS NOT NULL THEN
                IF NOT quota_take(p_kind, who, quota_period('day'), quota(NULL, 'account-mails')) THEN
                        RETURN 'account-mails';
                END IF;
        ELSE
                IF NOT quota_take('mails', p_user::text, quota_period('day'), quota(p_user, 'mails')) THEN
                        PERFORM quota_note(p_user, 'mails');
                        RETURN 'mails';
                END IF;
                IF NOT quota_take('recipient', who, quota_period('day'), quota(NULL, 'recipient')) THEN
                        RETURN 'recipient';
                END IF;
        END IF;
        RETURN NULL;
END
$$;

-- Until when a message waits that this quota does not allow, and what people are told; until null: it is given up, because
-- a mail about an account is of no use tomorrow.
CREATE OR REPLACE FUNCTION quota_held(p_quota text, OUT until timestamptz, OUT reason text) LANGUAGE sql STABLE AS $$
        SELECT CASE p_quota WHEN 'requests' THEN quota_period('hour') + interval '1 hour'
               WHEN 'account-mails' THEN NULL ELSE quota_period('day') + interval '1 day' END,
               CASE p_quota
               WHEN 'requests' THEN 'Waits for the next hour: the account''s webhooks and push messages of this hour are used up'
                       ' (quota "requests").'
               WHEN 'mails' THEN 'Waits for tomorrow (UTC): the account''s mails of today are used up (quota "mails").'
               WHEN 'recipient' THEN 'Waits for tomorrow (UTC): this address has had as many notifications today as it may get.'
               ELSE 'Not sent: this address has had as many such mails today as it may get. Try again tomorrow.' END
$$;

-- ---- History: a row takes its tuple, and about 64 bytes for its line pointer and its index entry ----

-- Measures the days that are not known yet, and today. Of a day, at most p_pages pages are read: a sample of a large one is
-- close enough, and costs the same however much there is.
CREATE OR REPLACE FUNCTION history_measure(p_pages int) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
        today date := (now() AT TIME ZONE 'UTC')::date;
        part record;
        percent double precision;
BEGIN
        IF NOT pg_try_advisory_xact_lock(5461837) THEN
                RETURN;
        END IF;
        FOR part IN SELECT c.oid::regclass AS name, to_date(right(c.relname, 8), 'YYYYMMDD') AS day FROM pg_inherits i
                    JOIN pg_class c ON c.oid = i.inhrelid
                    WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_\d{8}$'
                    AND to_date(right(c.relname, 8), 'YYYYMMDD') <= today
                    AND to_date(right(c.relname, 8), 'YYYYMMDD') NOT IN (SELECT m.day FROM history_measured m) LOOP
                percent := least(100, 100.0 * p_pages * current_setting('block_size')::int / greatest(pg_relation_size(part.name), 1));
                -- Small changes of today wait: otherwise each server would cost a write each time.
                EXECUTE format('WITH x AS (SELECT e.server_id, (sum(pg_column_size(e) + 64) * 100 / %1$s)::bigint AS bytes'
                               '  FROM %2$s e TABLESAMPLE SYSTEM (%1$s) GROUP BY 1),'
                               ' gone AS (DELETE FROM history_usage h WHERE h.day = $1'
                               '  AND NOT EXISTS (SELECT FROM x WHERE x.server_id = h.server_id))'
                               ' INSERT INTO history_usage AS h (server_id, day, bytes)'
                               ' SELECT x.server_id, $1, x.bytes FROM x JOIN servers s ON s.id = x.server_id'
                               ' ON CONFLICT (server_id, day) DO UPDATE SET bytes = excluded.bytes'
                               ' WHERE abs(excluded.bytes - h.bytes) > 65536 OR $2', percent, part.name)
                USING part.day, part.day < today;
                IF part.day < today THEN
                        INSERT INTO history_measured (day) VALUES (part.day);
                END IF;
        END LOOP;
        DELETE FROM history_measured m WHERE to_regclass('events_' || to_char(m.day, 'YYYYMMDD')) IS NULL;
        DELETE FROM history_usage h WHERE to_regclass('events_' || to_char(h.day, 'YYYYMMDD')) IS NULL;
END
$$;

-- Deletes up to p_chunk bytes of the oldest history of one account that has more than it may have, down to nineteen
-- twentieths. Returns its public id, up to when its history was deleted, and whether that is new (quota_note); null if no
-- account has too much.
CREATE OR REPLACE FUNCTION history_trim(p_chunk bigint, OUT account text, OUT until timestamptz, OUT is_new boolean)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
        owner record;
        part regclass;
        first_day date;
        there bigint;
        excess bigint;
BEGIN
        IF NOT pg_try_advisory_xact_lock(5461837) THEN
                RETURN;
        END IF;
        SELECT u.id, u.public_id, x.bytes, x.quota INTO owner FROM (
                SELECT s.user_id, sum(h.bytes)::bigint AS bytes, quota(s.user_id, 'storage') AS quota
                FROM history_usage h JOIN servers s ON s.id = h.server_id GROUP BY s.user_id) x
        JOIN teams u ON u.id = x.user_id WHERE x.bytes > x.quota ORDER BY x.user_id LIMIT 1;
        IF NOT FOUND THEN
                RETURN;
        END IF;
        SELECT h.day, sum(h.bytes) INTO first_day, there FROM history_usage h JOIN servers s ON s.id = h.server_id
        WHERE s.user_id = owner.id GROUP BY h.day ORDER BY h.day LIMIT 1;
        account := owner.public_id;
        until := (first_day + 1) || ' 00:00:00+00';
        excess := least(owner.bytes - owner.quota / 20 * 19, p_chunk);
        part := to_regclass('events_' || to_char(first_day, 'YYYYMMDD'));
        IF part IS NOT NULL AND there > excess THEN
                EXECUTE format('SELECT max(x.at) + interval ''1 s'' FROM (SELECT t.at, sum(t.bytes) OVER (ORDER BY t.at) - t.bytes AS before'
                               ' FROM (SELECT date_trunc(''second'', e.received_at) AS at, sum(pg_column_size(e) + 64) AS bytes FROM %s e'
                               ' JOIN servers s ON s.id = e.server_id WHERE s.user_id = $1 GROUP BY 1) t) x WHERE x.before < $2', part)
                INTO until USING owner.id, excess;
        END IF;
        IF part IS NOT NULL AND until IS NOT NULL THEN
                EXECUTE format('WITH gone AS (DELETE FROM %s e USING servers s WHERE s.id = e.server_id AND s.user_id = $1'
                               ' AND e.received_at < $2 RETURNING e.server_id, pg_column_size(e) + 64 AS bytes)'
                               ' UPDATE history_usage h SET bytes = greatest(0, h.bytes - g.bytes)'
                               ' FROM (SELECT server_id, sum(bytes) AS bytes FROM gone GROUP BY 1) g'
                               ' WHERE h.server_id = g.server_id AND h.day = $3', part)
                USING owner.id, until, first_day;
        END IF;
        -- Also what was only estimated.
        IF part IS NULL OR until IS NULL OR until >= (first_day + 1)::timestamp AT TIME ZONE 'UTC' THEN
                DELETE FROM history_usage h USING servers s WHERE s.id = h.server_id AND s.user_id = owner.id
                AND h.day = first_day;
        ELSE
                DELETE FROM history_usage h USING servers s WHERE s.id = h.server_id AND s.user_id = owner.id
                AND h.day = first_day AND h.bytes = 0;
        END IF;
        is_new := quota_note(owner.id, 'storage');
END
$$;
