-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Who did what to accounts, credentials and servers: see docs/adr/0046. Entries outlive what they are about, so nothing
-- here refers to another table.
CREATE TABLE audit_log (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT now(),
        last_at timestamptz NOT NULL DEFAULT now(), -- of the last of count
        count bigint NOT NULL DEFAULT 1,
        event text NOT NULL,
        outcome text NOT NULL DEFAULT 'done',
        account text, -- the account that the act is about, by its public id, and its address at that time
        email text,
        actor text, -- an account or "uid 0"; null: a stranger
        address text NOT NULL, -- of the actor: an IP address, or a network for refusals; "bus"
        method text, -- how the actor proved who it is: "password", "token NAME"
        credential text, -- the session's or the token's public id
        object text,
        name text, -- of the object at that time
        fold text UNIQUE -- entries with the same one are counted in one row
);
CREATE INDEX audit_log_account ON audit_log (account, id);
CREATE INDEX audit_log_at ON audit_log (at);
CREATE INDEX audit_log_recent_acts ON audit_log (account, at) WHERE outcome = 'done' AND fold IS NULL;
