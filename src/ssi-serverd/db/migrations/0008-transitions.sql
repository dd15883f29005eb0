-- SPDX-License-Identifier: LGPL-2.1-or-later
-- A fleet whose every result changes something writes as many transitions, a row and a call of the trigger each, and each
-- is looked at once more to see whom it is told. They are written by one statement now for all rows of a statement, and
-- only those that somebody may be told of: of an account with a channel, or of a service whose trouble is acknowledged.

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

DROP TRIGGER service_changed ON services;
DROP TRIGGER service_new ON services;
DROP TRIGGER service_removed ON services;
CREATE TRIGGER service_changed AFTER UPDATE ON services REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION service_transitions();
CREATE TRIGGER service_new AFTER INSERT ON services REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION service_transitions();
CREATE TRIGGER service_removed AFTER DELETE ON services REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION service_transitions();

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
