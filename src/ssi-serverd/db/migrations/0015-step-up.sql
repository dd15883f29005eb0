-- SPDX-License-Identifier: LGPL-2.1-or-later
-- When the user of this session last proved who they are, with the password or another proof: see docs/adr/0049. Null in a
-- session that began with a login code, and in all that are older than this column.
ALTER TABLE login_sessions ADD COLUMN authenticated_at timestamptz;
