-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- name: admin_sample
SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM servers),
 (SELECT count(*) FROM servers WHERE connected),
 (SELECT count(*) FROM services),
 (SELECT coalesce(sum(n_tup_ins), 0)::bigint FROM pg_stat_user_tables
  WHERE starts_with(relname, 'events_')),
 (SELECT max(version) FROM schema_migrations),
 @kept_sign_up
