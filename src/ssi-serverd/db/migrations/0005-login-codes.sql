-- SPDX-License-Identifier: LGPL-2.1-or-later
-- What a second device logs in with: one code per session at a time, used once. It ends with the session that made it.
ALTER TABLE login_sessions
        ADD login_code_hash bytea UNIQUE,
        ADD login_code_expires_at timestamptz;
