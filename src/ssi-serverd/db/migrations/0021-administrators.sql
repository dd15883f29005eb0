-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Administrators of the backend, and accounts that are locked: see docs/adr/0060. Nobody becomes an administrator by the upgrade:
-- who has root on the backend's host says who it is.
ALTER TABLE users
        ADD COLUMN administrator boolean NOT NULL DEFAULT false,
        ADD COLUMN locked_at timestamptz;
CREATE INDEX users_administrators ON users (id) WHERE administrator;

-- What the backend held and did, every ten minutes of the last week: for the pages of administrators, where nothing else keeps such figures.
CREATE TABLE backend_samples (
        at timestamptz PRIMARY KEY, -- the beginning of the ten minutes
        results bigint NOT NULL, -- rows ever added to the history, as PostgreSQL counts them
        database_bytes bigint NOT NULL,
        history_bytes bigint NOT NULL,
        accounts bigint NOT NULL,
        servers bigint NOT NULL,
        connected bigint NOT NULL,
        services bigint NOT NULL
);

-- What administrators tell all users, on the dashboard, until ends_at.
CREATE TABLE announcements (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        public_id text NOT NULL UNIQUE,
        text text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        ends_at timestamptz NOT NULL
);
