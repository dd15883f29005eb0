-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Channels are told of two hosts with one identity, and of one that comes back: docs/adr/0047.

-- Its body is in functions/15-agents.sql.
CREATE OR REPLACE FUNCTION server_hosts_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
        RETURN NULL;
END
$$;

-- The owner's choice moves the boot ids, too, but not into past_boots.
CREATE TRIGGER server_hosts AFTER UPDATE OF duplicate_since, boot_id ON servers FOR EACH ROW
WHEN ((NEW.duplicate_since IS NOT NULL AND OLD.duplicate_since IS NULL)
      OR (NEW.boot_id <> OLD.boot_id AND NEW.past_boots[1] = OLD.boot_id AND NEW.boot_id = ANY (OLD.past_boots)))
EXECUTE FUNCTION server_hosts_changed();
