-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Two hosts with one agent's identity, told by the boot ids of their kernels: docs/adr/0047.

-- The times within the last five minutes at which a session with another boot id took over.
CREATE OR REPLACE FUNCTION recent_boot_changes(changes timestamptz[]) RETURNS timestamptz[] LANGUAGE sql STABLE AS $$
        SELECT ARRAY(SELECT t FROM unnest(changes) t WHERE t > now() - interval '5 minutes' ORDER BY t DESC LIMIT 8)
$$;

-- What becomes of a session that authenticates with the server's key and this boot id, which may be null:
--
-- same       Accepted: it has no boot id, or that of the session before.
-- new        Accepted, and takes over: the host has rebooted, or it is the other one of two.
-- duplicate  Refused: a boot id never comes back after a reboot. This one does, and it is the third change within five minutes, or
--            the host that it would displace has itself come back within the last day.
-- refused    Refused: this host was, or another one is connected, and the owner has not chosen yet, or not this one.
CREATE OR REPLACE FUNCTION boot_verdict(s servers, boot text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
        RETURN CASE WHEN boot IS NULL OR s.boot_id IS NULL OR boot = s.boot_id THEN 'same'
               WHEN boot = ANY (s.refused_boots) THEN 'refused'
               WHEN s.duplicate_since IS NOT NULL AND (boot = ANY (s.past_boots) OR (s.connected AND s.rebooting_until IS NULL))
               THEN 'refused'
               WHEN s.duplicate_since IS NULL AND boot = ANY (s.past_boots)
                AND (cardinality(recent_boot_changes(s.boot_changes)) >= 2 OR s.contested_until > now() + interval '5 minutes')
               THEN 'duplicate'
               ELSE 'new' END;
END
$$;

-- The trigger is that of migration 0017, whose columns older databases lack.
--
-- Tells the owner's channels: of two hosts, one of which is refused; or that a host is back that was replaced before.
CREATE OR REPLACE FUNCTION server_hosts_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
        is_duplicate boolean := NEW.duplicate_since IS NOT NULL;
BEGIN
        INSERT INTO transitions (server_id, what, before, after, since, message)
        SELECT NEW.id, 'hosts', 'one', CASE WHEN is_duplicate THEN 'duplicate' ELSE 'returned' END, now(),
               CASE WHEN is_duplicate THEN format('Two hosts report as this server: %s, which is accepted, and %s, which is refused. Choose on'
                    ' the server''s page which one to keep, and register the other one anew.', coalesce(NEW.hostname, 'one without a name'),
                    coalesce(NEW.duplicate_hostname, 'one without a name'))
               ELSE format('The host %s, which had been replaced, reports as this server again. Unless it was set back to an earlier state, two'
                    ' hosts share one identity: register one of them anew.', coalesce(NEW.hostname, 'without a name')) END
        WHERE EXISTS (SELECT FROM notification_channels c WHERE c.user_id = NEW.user_id);
        RETURN NULL;
END
$$;
