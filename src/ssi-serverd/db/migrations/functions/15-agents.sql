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
-- duplicate  Refused: a boot id never comes back after a reboot, and this is the third change within five minutes.
-- refused    Refused: this host was, or another one is connected, and the owner has not chosen yet, or not this one.
CREATE OR REPLACE FUNCTION boot_verdict(s servers, boot text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
        RETURN CASE WHEN boot IS NULL OR s.boot_id IS NULL OR boot = s.boot_id THEN 'same'
               WHEN boot = ANY (s.refused_boots) THEN 'refused'
               WHEN s.duplicate_since IS NOT NULL AND (boot = ANY (s.past_boots) OR (s.connected AND s.rebooting_until IS NULL))
               THEN 'refused'
               WHEN s.duplicate_since IS NULL AND boot = ANY (s.past_boots)
                AND cardinality(recent_boot_changes(s.boot_changes)) >= 2 THEN 'duplicate'
               ELSE 'new' END;
END
$$;
