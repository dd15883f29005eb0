-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Who is told of what, and how it leaves.
--
-- transitions -> notifications_evaluate() -> notification_outbox -> whichever instance claims a row.
-- The outbox is written by the transaction that takes the transitions, so a change is neither lost nor told twice.

-- Transitions that were taken stay for a day, for whoever wonders why they were told or not.
ALTER TABLE transitions ADD COLUMN taken boolean NOT NULL DEFAULT false;
CREATE INDEX transitions_new ON transitions (id) WHERE NOT taken;

CREATE TABLE notification_settings (
        user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
        quiet_from time,
        quiet_to time,
        timezone text NOT NULL DEFAULT 'UTC',
        damping int NOT NULL DEFAULT 1
);

-- config: what the type needs (address, url, token, …). Empty filters let everything pass. damping null: the user's.
-- verified is false for an e-mail address until its owner has confirmed it.
CREATE TABLE notification_channels (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        public_id text NOT NULL UNIQUE,
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        type text NOT NULL,
        name text NOT NULL,
        enabled boolean NOT NULL DEFAULT true,
        verified boolean NOT NULL DEFAULT true,
        config jsonb NOT NULL DEFAULT '{}',
        min_severity service_status NOT NULL DEFAULT 'UPDATE',
        kinds text[] NOT NULL DEFAULT '{status,error,stale,state}',
        servers text[] NOT NULL DEFAULT '{}',
        labels text[] NOT NULL DEFAULT '{}',
        damping int,
        created_at timestamptz NOT NULL DEFAULT now(),
        tested_at timestamptz,
        last_success_at timestamptz,
        failing_since timestamptz,
        last_error text
);
CREATE INDEX notification_channels_user ON notification_channels (user_id);

-- The application server keys (VAPID) of the instances. Private halves are in files of theirs, never here.
CREATE TABLE push_keys (
        public_key text PRIMARY KEY,
        seen_at timestamptz NOT NULL DEFAULT now()
);

-- A browser subscribes with one key, and only messages that are signed with it reach it: public_key says with which.
CREATE TABLE push_subscriptions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        public_id text NOT NULL UNIQUE,
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        endpoint text NOT NULL UNIQUE,
        p256dh text NOT NULL,
        auth text NOT NULL,
        public_key text NOT NULL,
        label text,
        created_at timestamptz NOT NULL DEFAULT now(),
        last_success_at timestamptz,
        failing_since timestamptz,
        last_error text
);
CREATE INDEX push_subscriptions_user ON push_subscriptions (user_id);

-- What is null is not looked at; ends_at may be 'infinity'.
CREATE TABLE silences (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        public_id text NOT NULL UNIQUE,
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        server_id bigint REFERENCES servers ON DELETE CASCADE,
        service text,
        label text,
        reason text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        ends_at timestamptz NOT NULL
);
CREATE INDEX silences_user ON silences (user_id);
CREATE INDEX silences_end ON silences (ends_at);

-- severity: how bad it was. What is worse is told in spite of it; the recovery ends it.
CREATE TABLE acknowledgements (
        server_id bigint NOT NULL,
        service text NOT NULL,
        reason text NOT NULL,
        severity int NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (server_id, service),
        FOREIGN KEY (server_id, service) REFERENCES services ON DELETE CASCADE
);

-- What a channel was told last of each subject (service '': the server itself), as far as it is not what goes without
-- saying, and what is being held back from it: until when, why, and after how many changes.
CREATE TABLE notification_states (
        channel_id bigint NOT NULL REFERENCES notification_channels ON DELETE CASCADE,
        server_id bigint NOT NULL REFERENCES servers ON DELETE CASCADE,
        service text NOT NULL,
        kind text NOT NULL,
        told text NOT NULL,
        held_until timestamptz,
        held_reason text,
        held_changes int NOT NULL DEFAULT 0,
        PRIMARY KEY (channel_id, server_id, service, kind)
);
CREATE INDEX notification_states_held ON notification_states (held_until) WHERE held_until IS NOT NULL;
CREATE INDEX notification_states_service ON notification_states (server_id, service);

-- queue: what keeps its order: a channel, a subscription, or the mails of an account. due_at is also the lease of the
-- instance that has claimed the row: when it dies, the row is due again.
CREATE TABLE notification_outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        public_id text NOT NULL UNIQUE,
        queue text NOT NULL,
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        channel_id bigint REFERENCES notification_channels ON DELETE CASCADE,
        subscription_id bigint REFERENCES push_subscriptions ON DELETE CASCADE,
        subject text NOT NULL DEFAULT '',
        payload jsonb NOT NULL,
        state text NOT NULL DEFAULT 'queued',
        created_at timestamptz NOT NULL DEFAULT now(),
        due_at timestamptz NOT NULL DEFAULT now(),
        attempts int NOT NULL DEFAULT 0,
        done_at timestamptz,
        error text
);
CREATE INDEX notification_outbox_queue ON notification_outbox (queue, id) WHERE state = 'queued';
CREATE INDEX notification_outbox_user ON notification_outbox (user_id, id);
CREATE INDEX notification_outbox_channel ON notification_outbox (channel_id);
CREATE INDEX notification_outbox_subscription ON notification_outbox (subscription_id);

-- Addresses that their owners have confirmed, and the tokens of the mails that ask for it or reset a password. Tokens
-- are kept as hashes: the mail that carries one is made when it is sent, so that no row holds it.
CREATE TABLE verified_emails (
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        email text NOT NULL,
        verified_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (user_id, email)
);
CREATE TABLE email_tokens (
        token_hash bytea PRIMARY KEY,
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        purpose text NOT NULL,
        email text NOT NULL,
        expires_at timestamptz NOT NULL
);
CREATE INDEX email_tokens_user ON email_tokens (user_id);

CREATE FUNCTION notification_severity(kind text, value text) RETURNS int LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE WHEN value = 'FAILURE' OR value = 'offline' THEN 3
               WHEN value = 'WARNING' OR value = 'error' OR value = 'stale' THEN 2
               WHEN value = 'UPDATE' THEN 1 ELSE 0 END
$$;

-- What goes without saying.
CREATE FUNCTION notification_baseline(kind text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE kind WHEN 'status' THEN 'OK' WHEN 'error' THEN 'none' WHEN 'stale' THEN 'fresh' ELSE 'online' END
$$;

-- A transition's value as a channel is told it: kinds of errors are one, and a planned reboot is nothing to tell.
CREATE FUNCTION notification_value(kind text, value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE kind WHEN 'error' THEN CASE WHEN value IS NULL THEN 'none' ELSE 'error' END
               WHEN 'state' THEN CASE WHEN value = 'offline' THEN value ELSE 'online' END
               ELSE coalesce(value, notification_baseline(kind)) END
$$;

-- What stands now. No row when the subject is gone.
CREATE FUNCTION notification_current(p_server bigint, p_service text, p_kind text)
RETURNS TABLE (value text, since timestamptz, message text) LANGUAGE sql STABLE AS $$
        SELECT notification_value(p_kind, CASE p_kind WHEN 'status' THEN v.told_status::text WHEN 'error' THEN v.told_error
                WHEN 'stale' THEN CASE WHEN v.stale_since IS NOT NULL THEN 'stale' END END),
               CASE p_kind WHEN 'status' THEN v.changed_at WHEN 'error' THEN v.error_at ELSE v.stale_since END,
               CASE p_kind WHEN 'status' THEN v.message WHEN 'error' THEN v.error_detail END
        FROM services v WHERE p_kind <> 'state' AND v.server_id = p_server AND v.name = p_service
        UNION ALL
        SELECT notification_value(p_kind, server_state(s.claimed_at, s.connected, s.rebooting_until)), s.last_seen, NULL
        FROM servers s WHERE p_kind = 'state' AND s.id = p_server
$$;

-- The end of the quiet hours that the user is in; null outside of them.
CREATE FUNCTION notification_quiet_until(p_user bigint) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
        q notification_settings;
        here timestamp;
        ending timestamp;
BEGIN
        SELECT * INTO q FROM notification_settings WHERE user_id = p_user;
        IF q.quiet_from IS NULL OR q.quiet_to IS NULL OR q.quiet_from = q.quiet_to THEN
                RETURN NULL;
        END IF;
        here := now() AT TIME ZONE q.timezone;
        IF (CASE WHEN q.quiet_from < q.quiet_to THEN here::time < q.quiet_from OR here::time >= q.quiet_to
            ELSE here::time < q.quiet_from AND here::time >= q.quiet_to END) THEN
                RETURN NULL;
        END IF;
        ending := here::date + q.quiet_to;
        RETURN (CASE WHEN ending <= here THEN ending + interval '1 day' ELSE ending END) AT TIME ZONE q.timezone;
END
$$;

-- Whether the service's last n results all say this (for an error: whether its last n runs all broke, or all did not).
-- Of a service that runs so seldom that the history may not hold n, all that it holds do. A history of changes alone
-- cannot tell: each change counts then.
CREATE FUNCTION notification_in_a_row(p_server bigint, p_service text, p_kind text, p_value text, n int)
RETURNS boolean LANGUAGE sql STABLE AS $$
        SELECT current_setting('ssi.history', true) = 'changes'
               OR bool_and(same) AND (count(*) = n OR min(received_at) < now() - interval '6 days') FROM (
                SELECT e.received_at, CASE p_kind WHEN 'status' THEN e.status::text = p_value
                       ELSE (e.kind = 'error') = (p_value = 'error') END AS same
                FROM events e WHERE e.server_id = p_server AND e.service = p_service
                AND e.kind IN ('result', CASE p_kind WHEN 'error' THEN 'error' ELSE 'result' END)
                ORDER BY e.id DESC LIMIT n) last
$$;

-- Why and until when this is kept from the channel, in the order in which the reasons count.
CREATE FUNCTION notification_hold(c notification_channels, s servers, p_service text, p_kind text, p_value text,
                                  p_since timestamptz, OUT reason text, OUT until timestamptz)
LANGUAGE plpgsql STABLE AS $$
DECLARE
        badness int := notification_severity(p_kind, p_value);
        n int;
BEGIN
        -- An agent that comes back at once was never gone.
        IF p_kind = 'state' AND p_value = 'offline' THEN
                until := coalesce(p_since, now()) + interval '30 s';
                IF until > now() THEN
                        reason := 'grace';
                        RETURN;
                END IF;
        END IF;
        -- A dead host is one alert, not one for each of its services.
        IF p_kind = 'stale' AND badness > 0 AND
           server_state(s.claimed_at, s.connected, s.rebooting_until) <> 'online' THEN
                reason := 'host';
                until := 'infinity';
                RETURN;
        END IF;
        SELECT max(m.ends_at) INTO until FROM silences m WHERE m.user_id = c.user_id AND m.ends_at > now()
        AND (m.server_id IS NULL OR m.server_id = s.id) AND (m.service IS NULL OR m.service = p_service)
        AND (m.label IS NULL OR m.label = ANY (s.labels));
        IF until IS NOT NULL THEN
                reason := 'silence';
                RETURN;
        END IF;
        IF badness > 0 AND EXISTS (SELECT FROM acknowledgements a WHERE a.server_id = s.id AND a.service = p_service
                                    AND a.severity >= badness) THEN
                reason := 'acknowledged';
                until := 'infinity';
                RETURN;
        END IF;
        IF p_kind IN ('status', 'error') THEN
                n := coalesce(c.damping, (SELECT q.damping FROM notification_settings q WHERE q.user_id = c.user_id), 1);
                IF n > 1 AND NOT notification_in_a_row(s.id, p_service, p_kind, p_value, n) THEN
                        reason := 'damping';
                        until := now() + interval '2 s';
                        RETURN;
                END IF;
        END IF;
        until := notification_quiet_until(c.user_id);
        reason := CASE WHEN until IS NOT NULL THEN 'quiet' END;
END
$$;

-- What the channel says of one change; in the outbox, and an item of a digest.
CREATE FUNCTION notification_payload(s servers, p_service text, p_kind text, p_old text, p_new text,
                                     p_since timestamptz, p_message text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
        RETURN jsonb_build_object('kind', p_kind, 'server_id', s.public_id, 'server', s.name, 'labels', to_jsonb(s.labels),
                'service', nullif(p_service, ''), 'title', (SELECT coalesce(v.title, v.name) FROM services v
                 WHERE v.server_id = s.id AND v.name = p_service),
                'old', p_old, 'new', p_new, 'severity', notification_severity(p_kind, p_new), 'message', p_message,
                'at', to_char(coalesce(p_since, now()) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                'services', CASE WHEN p_kind = 'state' THEN (SELECT count(*) FROM services v WHERE v.server_id = s.id) END);
END
$$;

-- 80 random bits in lower-case letters and digits, as the programs make them.
CREATE FUNCTION notification_id() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
        random bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
        id text := 'ntf-';
        i int;
BEGIN
        -- Not the bytes that say which kind of UUID it is.
        FOREACH i IN ARRAY ARRAY[0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 16, 17, 18, 19, 20, 21] LOOP
                id := id || substr('abcdefghijklmnopqrstuvwxyz234567', (get_byte(random, i) & 31) + 1, 1);
        END LOOP;
        RETURN id;
END
$$;

-- Into the outbox (in PL/pgSQL like what else is called for each message: it keeps its plans). For a push channel once for each of the user's browsers.
CREATE FUNCTION notification_tell(c notification_channels, p_subject text, p_payload jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
        INSERT INTO notification_outbox (public_id, queue, user_id, channel_id, subscription_id, subject, payload)
        SELECT notification_id(), CASE WHEN p.id IS NULL THEN 'channel ' || c.id ELSE 'subscription ' || p.id END,
               c.user_id, c.id, p.id, p_subject, p_payload
        FROM (SELECT NULL::bigint AS id WHERE c.type <> 'push'
              UNION ALL SELECT b.id FROM push_subscriptions b WHERE c.type = 'push' AND b.user_id = c.user_id) p;
END
$$;

CREATE FUNCTION notification_remember(c notification_channels, p_server bigint, p_service text, p_kind text, p_told text,
                                      p_reason text, p_until timestamptz, p_changes int) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
        IF p_told = notification_baseline(p_kind) AND p_until IS NULL THEN
                DELETE FROM notification_states n WHERE n.channel_id = c.id AND n.server_id = p_server
                AND n.service = p_service AND n.kind = p_kind;
                RETURN;
        END IF;
        INSERT INTO notification_states AS n (channel_id, server_id, service, kind, told, held_reason, held_until,
                held_changes)
        VALUES (c.id, p_server, p_service, p_kind, p_told, p_reason, p_until, p_changes)
        ON CONFLICT (channel_id, server_id, service, kind) DO UPDATE SET told = excluded.told,
                held_reason = excluded.held_reason, held_until = excluded.held_until,
                held_changes = excluded.held_changes;
END
$$;

-- One channel and one value of one subject: told, held back, or nothing to it. p_old is what the value was before, null
-- when it is looked at again after it was held back.
CREATE FUNCTION notification_consider(c notification_channels, s servers, p_service text, p_kind text, p_old text,
                                      p_value text, p_since timestamptz, p_message text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
        n notification_states;
        hold record;
        told text;
        changes int;
        threshold int;
BEGIN
        SELECT * INTO n FROM notification_states x WHERE x.channel_id = c.id AND x.server_id = s.id
        AND x.service = p_service AND x.kind = p_kind;
        told := coalesce(n.told, notification_baseline(p_kind));
        changes := coalesce(n.held_changes, 0) + (p_old IS NOT NULL)::int;
        threshold := greatest(array_position(enum_range(NULL::service_status), c.min_severity) - 1, 1);
        IF p_value = told THEN
                -- What came and went in quiet hours is in the digest.
                IF n.held_reason = 'quiet' AND p_old IS NOT NULL THEN
                        PERFORM notification_remember(c, s.id, p_service, p_kind, told, 'quiet', n.held_until, changes);
                ELSIF n.held_until IS NOT NULL THEN
                        PERFORM notification_remember(c, s.id, p_service, p_kind, told, NULL, NULL, 0);
                END IF;
                RETURN;
        END IF;
        IF greatest(notification_severity(p_kind, told), notification_severity(p_kind, p_value)) < threshold
        THEN
                PERFORM notification_remember(c, s.id, p_service, p_kind, p_value, NULL, NULL, 0);
                RETURN;
        END IF;
        hold := notification_hold(c, s, p_service, p_kind, p_value, p_since);
        IF hold.reason IS NOT NULL THEN
                PERFORM notification_remember(c, s.id, p_service, p_kind, told, hold.reason, hold.until, changes);
                RETURN;
        END IF;
        PERFORM notification_tell(c, s.id || ' ' || p_service || ' ' || p_kind,
                                  notification_payload(s, p_service, p_kind, told, p_value, p_since, p_message) ||
                                  CASE WHEN changes > 1 THEN jsonb_build_object('merged', changes) ELSE '{}' END);
        PERFORM notification_remember(c, s.id, p_service, p_kind, p_value, NULL, NULL, 0);
END
$$;

-- Whether the channel wants to hear of the server at all.
CREATE FUNCTION notification_wanted(c notification_channels, s servers, p_kind text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
        SELECT c.user_id = s.user_id AND c.enabled AND c.verified AND p_kind = ANY (c.kinds)
        AND (c.servers = '{}' OR s.public_id = ANY (c.servers)) AND (c.labels = '{}' OR c.labels && s.labels)
$$;

-- At the end of the quiet hours: one thing that stands is told as always, several make a digest, in which is counted
-- what has come and gone.
CREATE FUNCTION notification_end_quiet(c notification_channels) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
        n notification_states;
        s servers;
        now_is record;
        hold record;
        items jsonb := '[]';
        gone int := 0;
BEGIN
        FOR n IN SELECT * FROM notification_states x WHERE x.channel_id = c.id AND x.held_reason = 'quiet'
                 AND x.held_until <= now() ORDER BY x.server_id, x.service, x.kind LOOP
                SELECT * INTO s FROM servers v WHERE v.id = n.server_id;
                SELECT * INTO now_is FROM notification_current(n.server_id, n.service, n.kind);
                IF now_is.value IS NULL OR now_is.value = n.told OR NOT notification_wanted(c, s, n.kind) THEN
                        gone := gone + (now_is.value IS NOT NULL)::int;
                        PERFORM notification_remember(c, n.server_id, n.service, n.kind, n.told, NULL, NULL, 0);
                        CONTINUE;
                END IF;
                hold := notification_hold(c, s, n.service, n.kind, now_is.value, now_is.since);
                IF hold.reason IS NOT NULL THEN
                        PERFORM notification_remember(c, n.server_id, n.service, n.kind, n.told, hold.reason, hold.until,
                                                      n.held_changes);
                        CONTINUE;
                END IF;
                items := items || notification_payload(s, n.service, n.kind, n.told, now_is.value, now_is.since,
                                                       now_is.message);
                PERFORM notification_remember(c, n.server_id, n.service, n.kind, now_is.value, NULL, NULL, 0);
        END LOOP;
        IF jsonb_array_length(items) = 1 AND gone = 0 THEN
                PERFORM notification_tell(c, '', items -> 0);
        ELSIF jsonb_array_length(items) > 0 OR gone > 0 THEN
                PERFORM notification_tell(c, '', jsonb_build_object('kind', 'digest', 'items', items, 'recovered', gone,
                        'severity', (SELECT coalesce(max((i ->> 'severity')::int), 0) FROM jsonb_array_elements(items) i),
                        'at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')));
        END IF;
END
$$;

-- What was held back and may be due now.
CREATE FUNCTION notification_look_again() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
        n notification_states;
        c notification_channels;
        s servers;
        now_is record;
BEGIN
        FOR c IN SELECT * FROM notification_channels x WHERE x.id IN (SELECT channel_id FROM notification_states
                 WHERE held_reason = 'quiet' AND held_until <= now()) LOOP
                PERFORM notification_end_quiet(c);
        END LOOP;
        FOR n IN SELECT * FROM notification_states x WHERE x.held_until <= now() ORDER BY x.held_until LIMIT 500 LOOP
                SELECT * INTO c FROM notification_channels x WHERE x.id = n.channel_id;
                SELECT * INTO s FROM servers x WHERE x.id = n.server_id;
                SELECT * INTO now_is FROM notification_current(n.server_id, n.service, n.kind);
                IF now_is.value IS NULL OR NOT notification_wanted(c, s, n.kind) THEN
                        PERFORM notification_remember(c, n.server_id, n.service, n.kind, n.told, NULL, NULL, 0);
                ELSE
                        PERFORM notification_consider(c, s, n.service, n.kind, NULL, now_is.value, now_is.since,
                                                      now_is.message);
                END IF;
        END LOOP;
END
$$;

-- The oldest message of each queue, as far as an instance with this application server key may send it: browsers that
-- subscribed with another one are left to who has it.
CREATE FUNCTION notification_heads(p_key text) RETURNS TABLE (id bigint, due_at timestamptz) LANGUAGE sql STABLE AS $$
        WITH RECURSIVE heads AS (
                (SELECT o.queue, o.id, o.due_at, o.subscription_id FROM notification_outbox o WHERE o.state = 'queued'
                 ORDER BY o.queue, o.id LIMIT 1)
                UNION ALL
                SELECT n.* FROM heads h CROSS JOIN LATERAL (
                        SELECT o.queue, o.id, o.due_at, o.subscription_id FROM notification_outbox o
                        WHERE o.state = 'queued' AND o.queue > h.queue ORDER BY o.queue, o.id LIMIT 1) n)
        SELECT h.id, h.due_at FROM heads h LEFT JOIN push_subscriptions p ON p.id = h.subscription_id
        WHERE p.id IS NULL OR p.public_key = p_key
$$;

-- Takes the transitions that are there, in their order, and writes what follows from them into the outbox. One instance
-- at a time: the lock is taken before anything is looked at. more: there may be more; wait_ms: until something that is
-- held back or queued is due, null when there is nothing. p_history: what the history holds, "all" or "changes".
CREATE FUNCTION notifications_evaluate(p_key text, p_history text, OUT more boolean, OUT wait_ms bigint) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
        t transitions;
        c notification_channels;
        s servers;
        n int := 0;
        new_value text;
BEGIN
        PERFORM pg_advisory_xact_lock(5461835);
        PERFORM set_config('ssi.history', p_history, true);
        FOR t IN WITH now_taken AS (UPDATE transitions SET taken = true WHERE id IN
                                    (SELECT id FROM transitions WHERE NOT taken ORDER BY id LIMIT 500) RETURNING *)
                 SELECT * FROM now_taken ORDER BY id LOOP
                n := n + 1;
                IF t.what = 'removed' THEN
                        DELETE FROM notification_states x WHERE x.server_id = t.server_id AND x.service = t.service;
                        CONTINUE;
                END IF;
                SELECT * INTO s FROM servers x WHERE x.id = t.server_id;
                CONTINUE WHEN NOT FOUND;
                new_value := notification_value(t.what, t.after);
                IF t.service IS NOT NULL AND notification_severity(t.what, new_value) = 0 THEN
                        -- What came since counts for itself, so this looks at the service only for what is not t's.
                        DELETE FROM acknowledgements a WHERE a.server_id = t.server_id AND a.service = t.service
                        AND a.created_at <= t.recorded_at
                        AND NOT EXISTS (SELECT FROM services v WHERE v.server_id = t.server_id AND v.name = t.service
                                        AND ((t.what <> 'status' AND v.told_status <> 'OK') OR
                                             (t.what <> 'error' AND v.told_error IS NOT NULL)));
                END IF;
                -- Its services have two minutes to report before what stands is told.
                IF t.what = 'state' AND t.after = 'online' THEN
                        UPDATE notification_states x SET held_until = now() + interval '2 min'
                        WHERE x.server_id = t.server_id AND x.held_reason = 'host';
                END IF;
                FOR c IN SELECT * FROM notification_channels x WHERE x.user_id = s.user_id LOOP
                        CONTINUE WHEN NOT notification_wanted(c, s, t.what);
                        PERFORM notification_consider(c, s, coalesce(t.service, ''), t.what,
                                                      notification_value(t.what, t.before), new_value, t.since,
                                                      t.message);
                END LOOP;
        END LOOP;
        PERFORM notification_look_again();
        more := n = 500;
        SELECT greatest(0, ceil(extract(epoch FROM min(at) - clock_timestamp()) * 1000)) INTO wait_ms FROM (
                SELECT min(held_until) AS at FROM notification_states
                WHERE held_until IS NOT NULL AND held_until <> 'infinity'
                UNION ALL
                SELECT min(due_at) FROM notification_heads(p_key)) d;
END
$$;

-- Claims up to p_limit messages that are due, for p_lease: when their instance dies, they are due again. Only the oldest
-- one of each queue can be claimed, so that nothing overtakes it.
CREATE FUNCTION notifications_claim(p_limit int, p_lease interval, p_key text)
RETURNS SETOF notification_outbox LANGUAGE sql VOLATILE AS $$
        WITH claimed AS (
                SELECT o.id FROM notification_outbox o JOIN notification_heads(p_key) h ON h.id = o.id
                WHERE o.state = 'queued' AND o.due_at <= now() ORDER BY o.due_at LIMIT p_limit
                FOR UPDATE OF o SKIP LOCKED)
        UPDATE notification_outbox o SET due_at = now() + p_lease, attempts = o.attempts + 1
        FROM claimed c WHERE o.id = c.id RETURNING o.*
$$;

-- Once a minute. Messages that have waited for ten minutes behind another one, and that a later one of the same subject
-- has overtaken, are merged into that one, which says so. What has waited for a day is given up. What is old goes.
CREATE FUNCTION notifications_tidy(p_keep interval) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
        IF NOT pg_try_advisory_xact_lock(5461836) THEN
                RETURN;
        END IF;
        WITH late AS (
                SELECT o.id, last_value(o.id) OVER w AS into_id, count(*) OVER w AS n,
                       first_value(o.payload) OVER w -> 'old' AS old
                FROM notification_outbox o
                WHERE o.state = 'queued' AND o.attempts = 0 AND o.subject <> ''
                AND o.created_at < now() - interval '10 min'
                WINDOW w AS (PARTITION BY o.queue, o.subject ORDER BY o.id
                             ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING))
        UPDATE notification_outbox o SET
                state = CASE WHEN o.id = l.into_id THEN 'queued' ELSE 'merged' END,
                done_at = CASE WHEN o.id <> l.into_id THEN now() END,
                payload = CASE WHEN o.id = l.into_id
                               THEN o.payload || jsonb_build_object('merged', l.n, 'old', l.old) ELSE o.payload END
        FROM late l WHERE o.id = l.id AND l.n > 1 AND o.state = 'queued' AND o.attempts = 0;

        UPDATE notification_outbox o SET state = 'failed', done_at = now(),
                error = coalesce(o.error, 'No instance of the server could send it for a day.')
        WHERE o.state = 'queued' AND o.created_at < now() - interval '1 day 1 hour';
        DELETE FROM notification_outbox o WHERE o.state <> 'queued' AND o.done_at < now() - p_keep;
        DELETE FROM email_tokens e WHERE e.expires_at < now();
        DELETE FROM silences m WHERE m.ends_at < now() - p_keep;
        DELETE FROM push_keys k WHERE k.seen_at < now() - interval '90 days';
END
$$;
