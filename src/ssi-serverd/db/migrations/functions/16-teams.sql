-- SPDX-License-Identifier: LGPL-2.1-or-later
-- What must hold for teams. The triggers are those of migration 0019.

-- The last owner stays one: the row is left as it is. The lock makes two owners who leave at once do so one after the other.
-- Where the account itself is removed, its row could not stay; account_remove looks before.
CREATE OR REPLACE FUNCTION team_keeps_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
        IF TG_OP = 'UPDATE' AND NEW.role = 'owner' THEN
                RETURN NEW;
        END IF;
        PERFORM FROM teams t WHERE t.id = OLD.team_id FOR UPDATE;
        IF NOT FOUND OR EXISTS (SELECT FROM team_members m WHERE m.team_id = OLD.team_id AND m.role = 'owner' AND m.user_id <> OLD.user_id) THEN
                RETURN CASE WHEN TG_OP = 'UPDATE' THEN NEW ELSE OLD END;
        END IF;
        IF NOT EXISTS (SELECT FROM users u WHERE u.id = OLD.user_id) THEN
                RAISE check_violation USING MESSAGE = 'a team must keep an owner';
        END IF;
        RETURN NULL;
END
$$;

-- Who leaves gets no more notifications of the team, in browsers or by mail to the account's address; other channels stay. The
-- messages are locked first, as by the statement that records a delivery.
CREATE OR REPLACE FUNCTION team_member_gone() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
        mine bigint[] := ARRAY(SELECT c.id FROM notification_channels c LEFT JOIN users u ON u.id = OLD.user_id
                WHERE c.user_id = OLD.team_id AND ((c.type = 'push' AND c.person_id = OLD.user_id)
                OR (c.type = 'email' AND lower((c.config ->> 'address') COLLATE "C") = lower(u.email COLLATE "C"))));
BEGIN
        PERFORM FROM notification_outbox o WHERE o.channel_id = ANY (mine) FOR UPDATE;
        DELETE FROM notification_channels c WHERE c.id = ANY (mine);
        UPDATE notification_channels c SET person_id = NULL WHERE c.user_id = OLD.team_id AND c.person_id = OLD.user_id;
        DELETE FROM invitations i WHERE i.team_id = OLD.team_id AND i.invited_by = OLD.user_id AND i.used_at IS NULL;
        RETURN NULL;
END
$$;
