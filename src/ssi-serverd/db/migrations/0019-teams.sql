-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Teams: see docs/adr/0057. Servers, channels, silences and quotas belong to a team; every account has a personal one.
--
-- A personal team has its account's key and public id. So the columns named user_id of servers, notification_channels, silences,
-- account_quotas, quota_reached and notification_outbox, which hold a team's key from now on, keep their values and their indexes,
-- and a version that knows no teams works on with what belongs to personal ones. The keys of other teams are negative.

-- From the least to the most.
CREATE TYPE team_role AS ENUM ('viewer', 'operator', 'admin', 'owner');

CREATE SEQUENCE teams_id_seq INCREMENT BY -1;
CREATE TABLE teams (
        id bigint PRIMARY KEY DEFAULT nextval('teams_id_seq'),
        public_id text NOT NULL UNIQUE,
        user_id bigint UNIQUE REFERENCES users ON DELETE CASCADE, -- whose personal team it is, which is called by the address
        name text,
        created_at timestamptz NOT NULL DEFAULT now(),
        CHECK (CASE WHEN user_id IS NULL THEN id < 0 AND name IS NOT NULL ELSE id = user_id AND name IS NULL END)
);
ALTER SEQUENCE teams_id_seq OWNED BY teams.id;

CREATE TABLE team_members (
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        team_id bigint NOT NULL REFERENCES teams ON DELETE CASCADE,
        role team_role NOT NULL,
        joined_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (user_id, team_id)
);
CREATE INDEX team_members_team ON team_members (team_id);

INSERT INTO teams (id, public_id, user_id, created_at) SELECT id, public_id, id, created_at FROM users;
INSERT INTO team_members (user_id, team_id, role, joined_at) SELECT id, id, 'owner', created_at FROM users;

-- Instances of the version before make accounts, too.
CREATE FUNCTION account_team() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
        INSERT INTO teams (id, public_id, user_id, created_at) VALUES (NEW.id, NEW.public_id, NEW.id, NEW.created_at);
        INSERT INTO team_members (user_id, team_id, role) VALUES (NEW.id, NEW.id, 'owner');
        RETURN NULL;
END
$$;
CREATE TRIGGER account_team AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION account_team();

-- Its body is in functions/16-teams.sql.
CREATE OR REPLACE FUNCTION team_keeps_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
        RETURN coalesce(NEW, OLD);
END
$$;
CREATE TRIGGER team_keeps_owner BEFORE UPDATE OF role OR DELETE ON team_members FOR EACH ROW
        WHEN (OLD.role = 'owner' AND OLD.team_id < 0) EXECUTE FUNCTION team_keeps_owner();
CREATE OR REPLACE FUNCTION team_member_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
        RETURN NULL;
END
$$;
CREATE TRIGGER team_member_gone AFTER DELETE ON team_members FOR EACH ROW
        WHEN (OLD.team_id < 0) EXECUTE FUNCTION team_member_gone();

ALTER TABLE servers DROP CONSTRAINT servers_user_id_fkey,
        ADD CONSTRAINT servers_team_fkey FOREIGN KEY (user_id) REFERENCES teams ON DELETE CASCADE;
ALTER TABLE silences DROP CONSTRAINT silences_user_id_fkey,
        ADD CONSTRAINT silences_team_fkey FOREIGN KEY (user_id) REFERENCES teams ON DELETE CASCADE;
ALTER TABLE account_quotas DROP CONSTRAINT account_quotas_user_id_fkey,
        ADD CONSTRAINT account_quotas_team_fkey FOREIGN KEY (user_id) REFERENCES teams ON DELETE CASCADE;
ALTER TABLE quota_reached DROP CONSTRAINT quota_reached_user_id_fkey,
        ADD CONSTRAINT quota_reached_team_fkey FOREIGN KEY (user_id) REFERENCES teams ON DELETE CASCADE;
ALTER TABLE notification_outbox DROP CONSTRAINT notification_outbox_user_id_fkey,
        ADD CONSTRAINT notification_outbox_team_fkey FOREIGN KEY (user_id) REFERENCES teams ON DELETE CASCADE;

-- person_id: whose quiet hours, damping and browsers a channel of a team has; null: the personal team's account's, or nobody's.
ALTER TABLE notification_channels DROP CONSTRAINT notification_channels_user_id_fkey,
        ADD CONSTRAINT notification_channels_team_fkey FOREIGN KEY (user_id) REFERENCES teams ON DELETE CASCADE,
        ADD COLUMN person_id bigint REFERENCES users ON DELETE SET NULL;
CREATE INDEX notification_channels_person ON notification_channels (person_id) WHERE person_id IS NOT NULL;

-- The address, at that time, of whoever made it; null: made by a version that does not say.
ALTER TABLE silences ADD COLUMN made_by text;
ALTER TABLE acknowledgements ADD COLUMN made_by text;

-- Of an invitation to a team; null: to the backend alone.
ALTER TABLE invitations ADD COLUMN team_id bigint REFERENCES teams ON DELETE CASCADE,
        ADD COLUMN role team_role;
CREATE INDEX invitations_team ON invitations (team_id, id) WHERE team_id IS NOT NULL;
