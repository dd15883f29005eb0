-- SPDX-License-Identifier: LGPL-2.1-or-later
-- As many services as an inventory can name, however their names come: the agent that makes more is refused.
CREATE FUNCTION services_limit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
        IF EXISTS (SELECT FROM (SELECT DISTINCT server_id FROM added) a
                   WHERE (SELECT count(*) FROM services v WHERE v.server_id = a.server_id) > 4096) THEN
                RAISE check_violation USING MESSAGE = 'a server has at most 4096 services';
        END IF;
        RETURN NULL;
END
$$;

CREATE TRIGGER services_limit AFTER INSERT ON services REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION services_limit();
