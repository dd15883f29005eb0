-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Where an instance runs, which version it is, and since when. Null for instances of earlier versions, which do not say.
-- host: an ID of the machine.
ALTER TABLE instances
        ADD COLUMN host text,
        ADD COLUMN hostname text,
        ADD COLUMN version text,
        ADD COLUMN started_at timestamptz;

-- Whose key it is: it is withdrawn when the host leaves.
ALTER TABLE access_token_keys ADD COLUMN host text;

-- With one of these, another host joins (docs/adr/0054).
CREATE TABLE join_tokens (
        public_id text PRIMARY KEY,
        token_hash bytea NOT NULL UNIQUE,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        used_at timestamptz,
        used_by text -- the host
);

-- The hosts that have joined. Those that were set up by hand are not here.
CREATE TABLE backend_hosts (
        host text PRIMARY KEY,
        hostname text NOT NULL,
        joined_at timestamptz NOT NULL DEFAULT now()
);
