-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include api/fragments.sql
-- include model/fragments.sql

-- For users u.
-- fragment: account
json_build_object('id', u.public_id, 'email', u.email, 'created_at', @time(u.created_at),
 'time_zone', u.time_zone, 'language', u.language, 'clock', u.clock,
 'email_change', (SELECT json_build_object('email', c.email, 'requested_at', @time(c.requested_at), 'expires_at', @time(c.expires_at))
  FROM email_changes c WHERE c.user_id = u.id AND c.expires_at > now()))

-- name: show_account
SELECT @account FROM users u WHERE u.public_id = :user

-- A time zone that the database does not know is an error.
-- name: change_account
WITH u AS (UPDATE users u SET time_zone = CASE WHEN :has_zone::bool THEN :time_zone ELSE u.time_zone END,
  language = coalesce(:language, u.language), clock = coalesce(:clock::int, u.clock)
  WHERE u.public_id = :user AND now() AT TIME ZONE coalesce(:time_zone, 'UTC') IS NOT NULL RETURNING u.*),
 audited AS (@audit(account.changed, NULL, NULL, u))
 SELECT @account, @audited FROM u
