-- SPDX-License-Identifier: LGPL-2.1-or-later
-- How transitions become messages, and how messages are sent.
--
-- transitions -> notifications_evaluate() -> notification_outbox -> the instance that claims a row.
-- The transaction that takes the transitions also writes the outbox, so each change is sent once and none is lost.

-- 80 random bits in lower-case letters and digits, the same as the programs make.
CREATE OR REPLACE FUNCTION notification_id() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
        random bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
        id text := 'ntf-';
        i int;
BEGIN
        -- Skip the bytes that mark the version and variant of the UUID.
        FOREACH i IN ARRAY ARRAY[0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 16, 17, 18, 19, 20, 21] LOOP
                id := id || substr('abcdefghijklmnopqrstuvwxyz234567', (get_byte(random, i) & 31) + 1, 1);
        END LOOP;
        RETURN id;
END
$$;

-- The id of a message about one change, for one receiver: it follows from the change. If the database is set back (a standby
-- that lagged became the primary, a snapshot was restored), an agent sends the result again, and the message that was sent
-- once comes with the same id: whoever heeds it takes it once. One that is there already belongs to an equal change of the
-- same second.
CREATE OR REPLACE FUNCTION notification_id_of(p_queue text, p_payload jsonb) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
        digest bytea;
        derived text := 'ntf-';
        i int;
BEGIN
        IF p_payload ->> 'kind' = 'digest' THEN
                RETURN notification_id();
        END IF;
        digest := sha256(convert_to(concat_ws(E'\n', p_queue, p_payload ->> 'kind', p_payload ->> 'server_id', p_payload ->> 'service',
                                              p_payload ->> 'old', p_payload ->> 'new', p_payload ->> 'at'), 'UTF8'));
        FOR i IN 0..15 LOOP
                derived := derived || substr('abcdefghijklmnopqrstuvwxyz234567', (get_byte(digest, i) & 31) + 1, 1);
        END LOOP;
        RETURN CASE WHEN EXISTS (SELECT FROM notification_outbox o WHERE o.public_id = derived) THEN notification_id() ELSE derived END;
END
$$;

-- Puts a message into the outbox; for a push channel, once per browser of the user. (In PL/pgSQL, as everything called
-- for each message: it keeps its plans.)
CREATE OR REPLACE FUNCTION notification_tell(c notification_channels, p_subject text, p_payload jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
        INSERT INTO notification_outbox (public_id, queue, user_id, channel_id, subscription_id, subject, payload)
        SELECT notification_id_of(p.queue, p_payload), p.queue, c.user_id, c.id, p.id, p_subject, p_payload
        FROM (SELECT 'channel ' || c.id AS queue, NULL::bigint AS id WHERE c.type <> 'push'
              UNION ALL SELECT 'subscription ' || b.id, b.id FROM push_subscriptions b WHERE c.type = 'push'
              AND b.user_id = coalesce(c.person_id, c.user_id)) p;
END
$$;

-- At the end of the quiet hours: one remaining problem is sent as usual; several make a digest, which also counts what
-- recovered in between.
CREATE OR REPLACE FUNCTION notification_end_quiet(c notification_channels) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
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

-- Reconsiders what was held back and may be due now.
CREATE OR REPLACE FUNCTION notification_look_again() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
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
                ELSIF n.held_reason = 'lost' AND n.kind <> 'state' AND
                      server_state(s.claimed_at, s.connected, s.rebooting_until) <> 'online' THEN
                        PERFORM notification_remember(c, n.server_id, n.service, n.kind, n.told, 'lost', 'infinity', n.held_changes);
                ELSE
                        PERFORM notification_consider(c, s, n.service, n.kind, NULL, now_is.value, now_is.since,
                                                      now_is.message);
                END IF;
        END LOOP;
END
$$;

-- The oldest message of each queue that an instance with this application server key may send: messages for browsers
-- that subscribed with another key are left to the instance that has it.
CREATE OR REPLACE FUNCTION notification_heads(p_key text) RETURNS TABLE (id bigint, due_at timestamptz) LANGUAGE sql STABLE AS $$
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

-- Two hosts with one identity: told to the channels that want the server's state, at once, since neither silences nor quiet hours are
-- meant for this.
CREATE OR REPLACE FUNCTION notification_tell_hosts(s servers, t transitions) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
        c notification_channels;
BEGIN
        FOR c IN SELECT * FROM notification_channels x WHERE x.user_id = s.user_id LOOP
                IF notification_wanted(c, s, 'state') AND notification_severity('hosts', t.after) >=
                   array_position(enum_range(NULL::service_status), c.min_severity) - 1 THEN
                        PERFORM notification_tell(c, s.id || '  hosts',
                                                  notification_payload(s, '', 'hosts', t.before, t.after, t.since, t.message));
                END IF;
        END LOOP;
END
$$;

-- Takes the pending transitions in order and puts the resulting messages into the outbox. One instance at a time: the
-- lock is taken before anything is read. more: there may be more; wait_ms: time until something held back or queued is
-- due, null if there is nothing. p_history: what the history holds, "all" or "changes".
CREATE OR REPLACE FUNCTION notifications_evaluate(p_key text, p_history text, OUT more boolean, OUT wait_ms bigint) LANGUAGE plpgsql VOLATILE AS $$
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
                IF t.service IS NOT NULL THEN
                        PERFORM notification_cause_changed(t.server_id, t.service);
                END IF;
                IF t.what = 'removed' THEN
                        DELETE FROM notification_states x WHERE x.server_id = t.server_id AND x.service = t.service;
                        CONTINUE;
                END IF;
                SELECT * INTO s FROM servers x WHERE x.id = t.server_id;
                CONTINUE WHEN NOT FOUND;
                IF t.what = 'hosts' THEN
                        PERFORM notification_tell_hosts(s, t);
                        CONTINUE;
                END IF;
                new_value := notification_value(t.what, t.after);
                IF t.service IS NOT NULL AND notification_severity(t.what, new_value) = 0 THEN
                        -- Later changes have their own transitions, so check the service only for what is not t's
                        -- subject.
                        DELETE FROM acknowledgements a WHERE a.server_id = t.server_id AND a.service = t.service
                        AND a.created_at <= t.recorded_at
                        AND NOT EXISTS (SELECT FROM services v WHERE v.server_id = t.server_id AND v.name = t.service
                                        AND ((t.what <> 'status' AND v.told_status <> 'OK') OR
                                             (t.what <> 'error' AND v.told_error IS NOT NULL)));
                END IF;
                -- Its services have two minutes to report before remaining problems are notified.
                IF t.what = 'state' AND t.after = 'online' THEN
                        UPDATE notification_states x SET held_until = now() + CASE x.held_reason WHEN 'host' THEN interval '2 min'
                                ELSE interval '30 s' END
                        WHERE x.server_id = t.server_id AND x.held_reason IN ('host', 'lost');
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

-- Puts back what an instance has sent and the database does not know of, because it was set back: a standby that lagged became the
-- primary. What a channel was told then counts again. Half a minute passes before anything else is concluded from it, in which the
-- agents send again what was lost. A message that is there and still waits is sent. Returns the number of those put back.
CREATE OR REPLACE FUNCTION notifications_put_back(p_ids text[], p_created timestamptz[], p_queues text[], p_users bigint[],
                                                  p_channels bigint[], p_subscriptions bigint[], p_payloads jsonb[]) RETURNS int
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
        m record;
        n int := 0;
BEGIN
        PERFORM pg_advisory_xact_lock(5461835);
        UPDATE notification_outbox o SET state = 'sent', done_at = now(), error = NULL
        WHERE o.public_id = ANY (p_ids) AND o.state = 'queued';
        -- The keys of rows that were lost may belong to others by now.
        FOR m IN SELECT i.*, s.id AS server_id, coalesce(i.payload ->> 'service', '') AS service, i.payload ->> 'kind' AS kind,
                 notification_subject(s.id, coalesce(i.payload ->> 'service', ''), i.payload ->> 'kind') AS subject
                 FROM unnest(p_ids, p_created, p_queues, p_users, p_channels, p_subscriptions, p_payloads)
                 i(public_id, created_at, queue, user_id, channel_id, subscription_id, payload)
                 JOIN servers s ON s.public_id = i.payload ->> 'server_id' AND s.user_id = i.user_id
                 JOIN notification_channels c ON c.id = i.channel_id AND c.user_id = i.user_id
                 LEFT JOIN push_subscriptions p ON p.id = i.subscription_id AND p.user_id = i.user_id
                 WHERE i.payload ->> 'kind' IN ('status', 'error', 'stale', 'state')
                 AND (i.subscription_id IS NULL OR p.id IS NOT NULL)
                 AND NOT EXISTS (SELECT FROM notification_outbox o WHERE o.public_id = i.public_id)
                 ORDER BY i.created_at LOOP
                n := n + 1;
                INSERT INTO notification_outbox (public_id, queue, user_id, channel_id, subscription_id, subject, payload, state,
                        created_at, done_at)
                VALUES (m.public_id, m.queue, m.user_id, m.channel_id, m.subscription_id, m.subject, m.payload, 'sent', m.created_at, now());
                CONTINUE WHEN EXISTS (SELECT FROM notification_outbox o WHERE o.channel_id = m.channel_id AND o.subject = m.subject
                                      AND o.created_at > m.created_at);
                INSERT INTO notification_states (channel_id, server_id, service, kind, told, held_reason, held_until)
                VALUES (m.channel_id, m.server_id, m.service, m.kind, m.payload ->> 'new', 'lost', now() + interval '30 s')
                ON CONFLICT (channel_id, server_id, service, kind) DO UPDATE SET told = excluded.told,
                        held_reason = excluded.held_reason, held_until = excluded.held_until, held_changes = 0;
        END LOOP;
        RETURN n;
END
$$;

-- Whether the quotas let this message be sent now: null, or the quota that does not. Mails count once, requests with each
-- attempt.
CREATE OR REPLACE FUNCTION notification_over(o notification_outbox) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
        c notification_channels;
BEGIN
        IF o.channel_id IS NOT NULL THEN
                SELECT * INTO c FROM notification_channels x WHERE x.id = o.channel_id;
                IF c.type <> 'email' THEN
                        RETURN quota_send(o.user_id, NULL, NULL);
                END IF;
        END IF;
        IF o.attempts > 0 THEN
                RETURN NULL;
        END IF;
        IF o.channel_id IS NOT NULL THEN
                RETURN quota_send(o.user_id, c.config ->> 'address', NULL);
        END IF;
        RETURN quota_send(o.user_id, coalesce(o.payload ->> 'email', (SELECT u.email FROM users u WHERE u.id = o.user_id)),
                          o.payload ->> 'kind');
END
$$;

-- Puts a message off, or gives it up, and says why at the channel or browser. Up to ten minutes more, so that not all come
-- at once.
CREATE OR REPLACE FUNCTION notification_put_off(o notification_outbox, p_quota text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
        held record;
BEGIN
        SELECT * INTO held FROM quota_held(p_quota);
        UPDATE notification_outbox x SET error = held.reason,
                state = CASE WHEN held.until IS NULL THEN 'failed' ELSE x.state END,
                done_at = CASE WHEN held.until IS NULL THEN now() END,
                due_at = coalesce(held.until + random() * interval '10 min', x.due_at)
        WHERE x.id = o.id;
        UPDATE push_subscriptions p SET last_error = held.reason, failing_since = coalesce(p.failing_since, now())
        WHERE p.id = o.subscription_id;
        UPDATE notification_channels c SET last_error = held.reason, failing_since = coalesce(c.failing_since, now())
        WHERE c.id = o.channel_id AND o.subscription_id IS NULL;
        -- The channels that wait for this confirmation.
        UPDATE notification_channels c SET last_error = held.reason
        WHERE o.channel_id IS NULL AND o.payload ->> 'kind' = 'verify' AND c.type = 'email'
        AND c.user_id IN (SELECT m.team_id FROM team_members m WHERE m.user_id = o.user_id)
        AND NOT c.verified AND lower(c.config ->> 'address' COLLATE "C") = lower(o.payload ->> 'email' COLLATE "C");
END
$$;

-- Claims up to p_limit due messages for p_lease: if their instance dies, they are due again. Only the oldest message of
-- each queue can be claimed, so nothing overtakes it.
CREATE OR REPLACE FUNCTION notifications_claim(p_limit int, p_lease interval, p_key text)
RETURNS SETOF notification_outbox LANGUAGE plpgsql VOLATILE AS $$
DECLARE
        o notification_outbox;
        over text;
BEGIN
        FOR o IN SELECT m.* FROM notification_outbox m JOIN notification_heads(p_key) h ON h.id = m.id
                 WHERE m.state = 'queued' AND m.due_at <= now() ORDER BY m.due_at LIMIT p_limit
                 FOR UPDATE OF m SKIP LOCKED LOOP
                over := notification_over(o);
                IF over IS NOT NULL THEN
                        PERFORM notification_put_off(o, over);
                        CONTINUE;
                END IF;
                UPDATE notification_outbox m SET due_at = now() + p_lease, attempts = m.attempts + 1
                WHERE m.id = o.id RETURNING * INTO o;
                RETURN NEXT o;
        END LOOP;
END
$$;

-- Run once a minute. If messages have waited for ten minutes behind another one, those of the same subject are merged
-- into the latest, which says so. Messages older than a day are given up. Old rows are deleted.
CREATE OR REPLACE FUNCTION notifications_tidy(p_keep interval) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
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
                error = coalesce(o.error, 'No instance could send it within a day.')
        WHERE o.state = 'queued' AND o.created_at < now() - interval '1 day 1 hour';
        DELETE FROM notification_outbox o WHERE o.state <> 'queued' AND o.done_at < now() - p_keep;
        DELETE FROM email_tokens e WHERE e.expires_at < now();
        DELETE FROM silences m WHERE m.ends_at < now() - p_keep;
        DELETE FROM push_keys k WHERE k.seen_at < now() - interval '90 days';
END
$$;
