-- SPDX-License-Identifier: LGPL-2.1-or-later
-- What a channel is notified of, and what is held back from it until when.

CREATE OR REPLACE FUNCTION notification_severity(kind text, value text) RETURNS int LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE WHEN value = 'FAILURE' OR value = 'offline' OR value = 'duplicate' THEN 3
               WHEN value = 'WARNING' OR value = 'error' OR value = 'stale' OR value = 'returned' THEN 2
               WHEN value = 'UPDATE' THEN 1 ELSE 0 END
$$;

-- The value that needs no notification.
CREATE OR REPLACE FUNCTION notification_baseline(kind text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE kind WHEN 'status' THEN 'OK' WHEN 'error' THEN 'none' WHEN 'stale' THEN 'fresh' ELSE 'online' END
$$;

-- A transition's value for a channel: all kinds of errors are one, and a planned reboot is not notified.
CREATE OR REPLACE FUNCTION notification_value(kind text, value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE kind WHEN 'error' THEN CASE WHEN value IS NULL THEN 'none' ELSE 'error' END
               WHEN 'state' THEN CASE WHEN value = 'offline' THEN value ELSE 'online' END
               ELSE coalesce(value, notification_baseline(kind)) END
$$;

-- The current value. No row when the subject is gone.
CREATE OR REPLACE FUNCTION notification_current(p_server bigint, p_service text, p_kind text)
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

-- The end of the user's current quiet hours; null outside of them.
CREATE OR REPLACE FUNCTION notification_quiet_until(p_user bigint) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
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

-- Whether the service's last n results all agree (for an error: whether its last n runs all broke, or none did). If a
-- service runs so seldom that the history may not hold n results, all results in the history must agree. A history of
-- changes alone cannot show this: then each change counts.
CREATE OR REPLACE FUNCTION notification_in_a_row(p_server bigint, p_service text, p_kind text, p_value text, n int)
RETURNS boolean LANGUAGE sql STABLE AS $$
        SELECT current_setting('ssi.history', true) = 'changes'
               OR bool_and(same) AND (count(*) = n OR min(received_at) < now() - interval '6 days') FROM (
                SELECT e.received_at, CASE p_kind WHEN 'status' THEN e.status::text = p_value
                       ELSE (e.kind = 'error') = (p_value = 'error') END AS same
                FROM events e WHERE e.server_id = p_server AND e.service = p_service
                AND e.kind IN ('result', CASE p_kind WHEN 'error' THEN 'error' ELSE 'result' END)
                ORDER BY e.id DESC LIMIT n) last
$$;

-- Why and until when this is held back from the channel; the first reason that applies.
CREATE OR REPLACE FUNCTION notification_hold(c notification_channels, s servers, p_service text, p_kind text, p_value text,
                                  p_since timestamptz, OUT reason text, OUT until timestamptz)
LANGUAGE plpgsql STABLE AS $$
DECLARE
        badness int := notification_severity(p_kind, p_value);
        n int;
        depends boolean;
        explained boolean;
BEGIN
        -- An agent that reconnects at once was never gone.
        IF p_kind = 'state' AND p_value = 'offline' THEN
                until := coalesce(p_since, now()) + interval '30 s';
                IF until > now() THEN
                        reason := 'grace';
                        RETURN;
                END IF;
        END IF;
        -- A dead host is one alert, not one per service.
        IF p_kind = 'stale' AND badness > 0 AND
           server_state(s.claimed_at, s.connected, s.rebooting_until) <> 'online' THEN
                reason := 'host';
                until := 'infinity';
                RETURN;
        END IF;
        -- A problem with a cause is notified once the cause has recovered and the problem remains. The cause must be as
        -- bad and must be notified to this channel: a warning does not explain a failure.
        IF p_kind <> 'state' AND badness >= 2 THEN
                SELECT count(*) > 0, bool_or(service_severity(
                        CASE WHEN 'status' = ANY (c.kinds) THEN t.told_status END,
                        CASE WHEN 'error' = ANY (c.kinds) THEN t.told_error END, NULL) >= badness)
                INTO depends, explained FROM services v JOIN services t ON t.server_id = v.server_id
                AND t.name = ANY (v.depends_on) WHERE v.server_id = s.id AND v.name = p_service;
                IF explained THEN
                        reason := 'cause';
                        until := 'infinity';
                        RETURN;
                END IF;
                -- The service that stops last may be the cause, so it gets a moment to report. (Not if the agent's
                -- clock is ahead.)
                until := p_since + interval '10 s';
                IF depends AND p_since <= now() AND until > now() THEN
                        reason := 'grace';
                        RETURN;
                END IF;
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
                n := coalesce(c.damping, (SELECT q.damping FROM notification_settings q WHERE q.user_id = coalesce(c.person_id, c.user_id)), 1);
                IF n > 1 AND NOT notification_in_a_row(s.id, p_service, p_kind, p_value, n) THEN
                        reason := 'damping';
                        until := now() + interval '2 s';
                        RETURN;
                END IF;
        END IF;
        until := notification_quiet_until(coalesce(c.person_id, c.user_id));
        reason := CASE WHEN until IS NOT NULL THEN 'quiet' END;
END
$$;

-- Messages with the same subject supersede each other.
CREATE OR REPLACE FUNCTION notification_subject(p_server bigint, p_service text, p_kind text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT p_server || ' ' || p_service || ' ' || p_kind
$$;

CREATE OR REPLACE FUNCTION notification_time(p_since timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
        SELECT to_char(coalesce(p_since, now()) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
$$;

-- The payload for one change: a message in the outbox, or an item of a digest.
CREATE OR REPLACE FUNCTION notification_payload(s servers, p_service text, p_kind text, p_old text, p_new text,
                                     p_since timestamptz, p_message text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
        RETURN jsonb_build_object('kind', p_kind, 'server_id', s.public_id, 'server', s.name, 'labels', to_jsonb(s.labels),
                'service', nullif(p_service, ''), 'title', (SELECT coalesce(v.title, v.name) FROM services v
                 WHERE v.server_id = s.id AND v.name = p_service),
                'old', p_old, 'new', p_new, 'severity', notification_severity(p_kind, p_new), 'message', p_message,
                'at', notification_time(p_since),
                'services', CASE WHEN p_kind = 'state' THEN (SELECT count(*) FROM services v WHERE v.server_id = s.id) END);
END
$$;

CREATE OR REPLACE FUNCTION notification_remember(c notification_channels, p_server bigint, p_service text, p_kind text, p_told text,
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

-- Considers one value of one subject for one channel: notifies, holds back, or does neither. p_old is the value before,
-- null when a value that was held back is considered again.
CREATE OR REPLACE FUNCTION notification_consider(c notification_channels, s servers, p_service text, p_kind text, p_old text,
                                      p_value text, p_since timestamptz, p_message text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
        n notification_states;
        hold record;
        told text;
        changes int;
        threshold int;
        newest text;
BEGIN
        SELECT * INTO n FROM notification_states x WHERE x.channel_id = c.id AND x.server_id = s.id
        AND x.service = p_service AND x.kind = p_kind;
        told := coalesce(n.told, notification_baseline(p_kind));
        changes := coalesce(n.held_changes, 0) + (p_old IS NOT NULL)::int;
        threshold := greatest(array_position(enum_range(NULL::service_status), c.min_severity) - 1, 1);
        -- The database was set back, and this comes again, or for the first time. What is not newer than the last message was told, or
        -- left out, before it.
        IF n.held_reason = 'lost' AND p_old IS NOT NULL THEN
                SELECT o.payload ->> 'at' INTO newest FROM notification_outbox o
                WHERE o.channel_id = c.id AND o.subject = notification_subject(s.id, p_service, p_kind)
                ORDER BY o.created_at DESC, o.id DESC LIMIT 1;
                IF p_value = told OR notification_time(p_since) <= newest THEN
                        RETURN;
                END IF;
        END IF;
        IF p_value = told THEN
                -- What failed and recovered in quiet hours is counted in the digest.
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
        PERFORM notification_tell(c, notification_subject(s.id, p_service, p_kind),
                                  notification_payload(s, p_service, p_kind, told, p_value, p_since, p_message) ||
                                  CASE WHEN changes > 1 THEN jsonb_build_object('merged', changes) ELSE '{}' END);
        PERFORM notification_remember(c, s.id, p_service, p_kind, p_value, NULL, NULL, 0);
END
$$;

-- Whether the channel's filters select this server at all.
CREATE OR REPLACE FUNCTION notification_wanted(c notification_channels, s servers, p_kind text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
        SELECT c.user_id = s.user_id AND c.enabled AND c.verified AND p_kind = ANY (c.kinds)
        AND (c.servers = '{}' OR s.public_id = ANY (c.servers)) AND (c.labels = '{}' OR c.labels && s.labels)
$$;

-- Reconsiders what waits for the service: once it has recovered, its dependants have two minutes to recover, too.
CREATE OR REPLACE FUNCTION notification_cause_changed(p_server bigint, p_service text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
        UPDATE notification_states x SET held_until = now() + interval '2 min'
        WHERE x.server_id = p_server AND x.held_reason = 'cause' AND x.held_until = 'infinity'
        AND (SELECT p_service = ANY (v.depends_on) FROM services v WHERE v.server_id = p_server AND v.name = x.service);
END
$$;

-- The same when the service no longer has the dependency.
CREATE OR REPLACE FUNCTION notification_dependencies_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
        UPDATE notification_states x SET held_until = now() + interval '2 min'
        WHERE x.server_id = NEW.server_id AND x.service = NEW.name AND x.held_reason = 'cause'
        AND x.held_until = 'infinity';
        RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER service_dependencies AFTER UPDATE OF depends_on ON services FOR EACH ROW
WHEN (OLD.depends_on <> NEW.depends_on) EXECUTE FUNCTION notification_dependencies_changed();
