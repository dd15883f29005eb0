-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Administrators of the backend, and accounts that are locked: see docs/adr/0060. Nobody becomes an administrator by the upgrade:
-- who has root on the backend's host says who it is.
ALTER TABLE users
        ADD COLUMN administrator boolean NOT NULL DEFAULT false,
        ADD COLUMN locked_at timestamptz;
CREATE INDEX users_administrators ON users (id) WHERE administrator;
