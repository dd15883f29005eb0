-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/account.sql
-- include model/fragments.sql

-- All administrators who can log in, with their rows locked in one order: of two who take the right from each other, the second one
-- finds that it is the last.
-- fragment: administrators
administrators AS (SELECT u.id FROM users u WHERE @is_administrator(u) ORDER BY u.id FOR UPDATE)

-- Whether others than users u are left. It counts, because all of the rows are to be locked.
-- fragment: others_are_left(u)
((SELECT count(*) FROM administrators o WHERE o.id <> @u.id) > 0)

-- name: administrator_grant
WITH t AS (SELECT u.id, u.public_id FROM users u WHERE @account_is(:account)),
 changed AS (UPDATE users u SET administrator = true FROM t WHERE u.id = t.id AND NOT u.administrator RETURNING u.*),
 audited AS (@audit(administrator.granted, NULL, NULL, changed u))
 SELECT t.public_id, false, @audited FROM t

-- name: administrator_revoke
WITH @administrators,
 t AS (SELECT u.id, u.public_id, u.administrator FROM users u WHERE @account_is(:account)),
 changed AS (UPDATE users u SET administrator = false FROM t WHERE u.id = t.id AND u.administrator AND @others_are_left(t) RETURNING u.*),
 audited AS (@audit(administrator.revoked, NULL, NULL, changed u))
 SELECT t.public_id, t.administrator AND NOT EXISTS (SELECT FROM changed), @audited FROM t

-- name: account_lock
WITH @administrators,
 t AS (SELECT u.id, u.public_id, u.locked_at FROM users u WHERE @account_is(:account)),
 changed AS (UPDATE users u SET locked_at = now() FROM t WHERE u.id = t.id AND u.locked_at IS NULL
  AND (NOT u.administrator OR @others_are_left(t)) RETURNING u.*),
 ended AS (UPDATE login_sessions l SET revoked_at = now(), login_code_hash = NULL, login_code_expires_at = NULL FROM changed u
  WHERE l.user_id = u.id AND l.revoked_at IS NULL),
 invitations AS (DELETE FROM invitations i USING changed u WHERE i.invited_by = u.id AND i.used_at IS NULL),
 audited AS (@audit(account.locked, NULL, NULL, changed u))
 SELECT t.public_id, t.locked_at IS NULL AND NOT EXISTS (SELECT FROM changed), @audited FROM t

-- name: account_unlock
WITH t AS (SELECT u.id, u.public_id FROM users u WHERE @account_is(:account)),
 changed AS (UPDATE users u SET locked_at = NULL FROM t WHERE u.id = t.id AND u.locked_at IS NOT NULL RETURNING u.*),
 audited AS (@audit(account.unlocked, NULL, NULL, changed u))
 SELECT t.public_id, false, @audited FROM t

-- name: account_mail_reset
WITH u AS (SELECT u.* FROM users u WHERE @account_is(:account)),
 asked AS (@account_mail(reset, u WHERE @may_mail(u.id, reset)) RETURNING user_id),
 audited AS (@audit(mail.asked, NULL, 'reset', asked JOIN u ON u.id = asked.user_id))
 SELECT u.public_id, EXISTS (SELECT FROM asked), @audited FROM u

-- The accounts u that are found, newest first, before the one with the id :after.
-- fragment: accounts_found
(SELECT u.*, (SELECT count(*) FROM servers s WHERE s.user_id = u.id) AS servers,
  (SELECT max(l.last_used_at) FROM login_sessions l WHERE l.user_id = u.id) AS seen_at FROM users u
  WHERE (:search::text IS NULL OR u.public_id = :search OR position(@email_key(:search) IN @email_key(u.email)) > 0)
  AND (:state::text IS NULL OR CASE :state WHEN 'administrator' THEN u.administrator WHEN 'locked' THEN u.locked_at IS NOT NULL
   ELSE NOT u.confirmed END)
  AND u.id < coalesce(:after::bigint, 9223372036854775807) ORDER BY u.id DESC LIMIT :limit::bigint) u
