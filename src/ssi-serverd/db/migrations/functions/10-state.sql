-- SPDX-License-Identifier: LGPL-2.1-or-later
-- What follows from the state of servers and services, and the limit of services.

CREATE OR REPLACE FUNCTION server_state(claimed_at timestamptz, connected boolean, rebooting_until timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE WHEN claimed_at IS NULL THEN 'pending' WHEN rebooting_until IS NOT NULL THEN 'rebooting'
               WHEN connected THEN 'online' ELSE 'offline' END
$$;

-- How bad a service's state is; 0: not at all. An overdue result counts if stale_since is given: as a cause (@severity in
-- api/fragments.sql) it does not.
CREATE OR REPLACE FUNCTION service_severity(status service_status, error_kind text, stale_since timestamptz) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE WHEN status = 'FAILURE' THEN 3
               WHEN status = 'WARNING' OR error_kind IS NOT NULL OR stale_since IS NOT NULL THEN 2 ELSE 0 END
$$;

CREATE OR REPLACE FUNCTION server_transitions() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
        before text := server_state(OLD.claimed_at, OLD.connected, OLD.rebooting_until);
        after text := server_state(NEW.claimed_at, NEW.connected, NEW.rebooting_until);
BEGIN
        IF before <> after AND EXISTS (SELECT FROM notification_channels c WHERE c.user_id = NEW.user_id) THEN
                INSERT INTO transitions (server_id, what, before, after, since)
                VALUES (NEW.id, 'state', before, after, now());
        END IF;
        RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION service_transitions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
        IF TG_OP = 'DELETE' THEN
                INSERT INTO transitions (server_id, service, what, before)
                SELECT o.server_id, o.name, 'removed', o.told_status FROM old_rows o
                WHERE EXISTS (SELECT FROM servers s JOIN notification_channels c ON c.user_id = s.user_id
                              WHERE s.id = o.server_id)
                ORDER BY o.server_id, o.name;
                RETURN NULL;
        END IF;
        IF TG_OP = 'INSERT' THEN
                INSERT INTO transitions (server_id, service, what, after, since, message)
                SELECT n.server_id, n.name, t.what, t.after, t.since, t.message
                FROM new_rows n CROSS JOIN LATERAL (VALUES
                        (1, 'status', n.told_status::text, n.changed_at, n.message),
                        (2, 'error', n.told_error, n.error_at, n.error_detail)) t(k, what, after, since, message)
                WHERE t.after IS NOT NULL
                AND EXISTS (SELECT FROM servers s JOIN notification_channels c ON c.user_id = s.user_id
                            WHERE s.id = n.server_id)
                ORDER BY n.server_id, n.name, t.k;
                RETURN NULL;
        END IF;
        INSERT INTO transitions (server_id, service, what, before, after, since, message)
        SELECT n.server_id, n.name, t.what, t.before, t.after, t.since, t.message
        FROM new_rows n JOIN old_rows o ON o.server_id = n.server_id AND o.name = n.name
        CROSS JOIN LATERAL (VALUES
                (1, 'status', o.told_status::text, n.told_status::text, n.changed_at, n.message),
                (2, 'error', o.told_error, n.told_error, n.error_at, n.error_detail),
                (3, 'stale', CASE WHEN o.stale_since IS NOT NULL THEN 'stale' END,
                 CASE WHEN n.stale_since IS NOT NULL THEN 'stale' END, n.stale_since, NULL)
                ) t(k, what, before, after, since, message)
        WHERE t.before IS DISTINCT FROM t.after
        AND (EXISTS (SELECT FROM servers s JOIN notification_channels c ON c.user_id = s.user_id
                     WHERE s.id = n.server_id)
             OR EXISTS (SELECT FROM acknowledgements a WHERE a.server_id = n.server_id AND a.service = n.name))
        ORDER BY n.server_id, n.name, t.k;
        RETURN NULL;
END
$$;

-- Limits a server's services to what an inventory can list, however they are inserted: an agent that exceeds it is
-- refused.
CREATE OR REPLACE FUNCTION services_limit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
        IF EXISTS (SELECT FROM (SELECT DISTINCT server_id FROM added) a
                   WHERE (SELECT count(*) FROM services v WHERE v.server_id = a.server_id) > 4096) THEN
                RAISE check_violation USING MESSAGE = 'a server has at most 4096 services';
        END IF;
        RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER server_changed AFTER UPDATE OF connected, rebooting_until ON servers FOR EACH ROW
WHEN (OLD.connected <> NEW.connected OR (OLD.rebooting_until IS NULL) <> (NEW.rebooting_until IS NULL))
EXECUTE FUNCTION server_transitions();

CREATE OR REPLACE TRIGGER service_changed AFTER UPDATE ON services REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION service_transitions();
CREATE OR REPLACE TRIGGER service_new AFTER INSERT ON services REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION service_transitions();
CREATE OR REPLACE TRIGGER service_removed AFTER DELETE ON services REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION service_transitions();

CREATE OR REPLACE TRIGGER services_limit AFTER INSERT ON services REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION services_limit();
