-- SPDX-License-Identifier: LGPL-2.1-or-later
-- What depends on what, so that the root cause is told and shown first (docs/adr/0027).

-- watches: the units that the script is about. depends_on: the other services that it depends on, also by way of others,
-- without cycles: who writes it takes care of that.
ALTER TABLE services
        ADD COLUMN watches text[] NOT NULL DEFAULT '{}',
        ADD COLUMN depends_on text[] NOT NULL DEFAULT '{}';

-- How bad it is for what depends on it; 0: not at all.
CREATE FUNCTION service_severity(status service_status, error_kind text, stale_since timestamptz) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE WHEN status = 'FAILURE' THEN 3
               WHEN status = 'WARNING' OR error_kind IS NOT NULL OR stale_since IS NOT NULL THEN 2 ELSE 0 END
$$;

-- Has what waits for the service looked at again: when it has recovered, its dependants have two minutes to do so, too.
CREATE FUNCTION notification_cause_changed(p_server bigint, p_service text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
        UPDATE notification_states x SET held_until = now() + interval '2 min'
        WHERE x.server_id = p_server AND x.held_reason = 'cause' AND x.held_until = 'infinity'
        AND (SELECT p_service = ANY (v.depends_on) FROM services v WHERE v.server_id = p_server AND v.name = x.service);
END
$$;

-- The same when it does not depend on the service any more.
CREATE FUNCTION notification_dependencies_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
        UPDATE notification_states x SET held_until = now() + interval '2 min'
        WHERE x.server_id = NEW.server_id AND x.service = NEW.name AND x.held_reason = 'cause'
        AND x.held_until = 'infinity';
        RETURN NULL;
END
$$;
CREATE TRIGGER service_dependencies AFTER UPDATE OF depends_on ON services FOR EACH ROW
WHEN (OLD.depends_on <> NEW.depends_on) EXECUTE FUNCTION notification_dependencies_changed();

-- Why and until when this is kept from the channel, in the order in which the reasons count.
CREATE OR REPLACE FUNCTION notification_hold(c notification_channels, s servers, p_service text, p_kind text, p_value text,
                                  p_since timestamptz, OUT reason text, OUT until timestamptz)
LANGUAGE plpgsql STABLE AS $$
DECLARE
        badness int := notification_severity(p_kind, p_value);
        n int;
        depends boolean;
        explained boolean;
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
        -- What is wrong because something else is, is told when that has recovered and this has not. The other has to be as
        -- bad, and to be told to this channel: a warning explains no failure.
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
                -- What stops last may be the cause, and has a moment to report. (An agent whose clock is ahead gets none.)
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

-- Takes the transitions that are there, in their order, and writes what follows from them into the outbox. One instance
-- at a time: the lock is taken before anything is looked at. more: there may be more; wait_ms: until something that is
-- held back or queued is due, null when there is nothing. p_history: what the history holds, "all" or "changes".
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
