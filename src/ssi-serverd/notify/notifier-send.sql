-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- name: account_mail_start
INSERT INTO email_tokens (token_hash, user_id, purpose, email, expires_at)
 VALUES (:hash::bytea, :user::bigint, :kind, :email, now() + interval '2 hours') RETURNING purpose

-- To the address that an account is to have. None when the change was given up or replaced in the meantime. If the address has an account,
-- the mail says so, and has no token: only who reads it learns that.
-- name: change_mail_start
WITH c AS (SELECT c.* FROM email_changes c WHERE c.public_id = :change AND c.expires_at > now()),
 taken AS (SELECT FROM c JOIN users x ON @email_key(x.email) = @email_key(c.email) AND x.confirmed),
 t AS (INSERT INTO email_tokens (token_hash, user_id, purpose, email, expires_at)
  SELECT :hash::bytea, c.user_id, 'change', c.email, c.expires_at FROM c WHERE NOT EXISTS (SELECT FROM taken))
 SELECT CASE WHEN EXISTS (SELECT FROM taken) THEN 'change-taken' ELSE 'change' END FROM c

-- To the address that an account had, which can undo the change for a while.
-- name: undo_mail_start
INSERT INTO email_tokens (token_hash, user_id, purpose, email, expires_at)
 VALUES (:hash::bytea, :user::bigint, 'undo', :email, now() + interval '7 days') RETURNING :kind::text

-- None when it was withdrawn or used in the meantime.
-- name: invitation_mail_start
WITH i AS (SELECT i.id, u.email, t.name FROM invitations i LEFT JOIN users u ON u.id = i.invited_by LEFT JOIN teams t ON t.id = i.team_id
  WHERE i.public_id = :invitation AND @is_pending(i)),
 t AS (INSERT INTO invitation_tokens (token_hash, invitation_id, mailed) SELECT :hash::bytea, i.id, true FROM i)
 SELECT CASE WHEN i.name IS NULL THEN 'invitation' ELSE 'team-invitation' END,
  concat_ws(' of ', coalesce(i.email, 'an administrator'), 'the team ' || i.name) FROM i

-- A channel or browser that fails records since when. No row if there is no such message: id alone may be another's by now, if the
-- database was set back.
-- name: record
WITH o AS (UPDATE notification_outbox SET
  state = CASE WHEN :ok::bool THEN 'sent' WHEN :permanent::bool OR created_at < now() - interval '1 day' THEN 'failed'
   ELSE 'queued' END,
  done_at = CASE WHEN :ok::bool OR :permanent::bool OR created_at < now() - interval '1 day' THEN now() END,
  due_at = now() + :delay_ms::int * interval '1 ms', error = :error
  WHERE id = :id::bigint AND public_id = :public AND state = 'queued' RETURNING channel_id, subscription_id),
 c AS (UPDATE notification_channels c SET
  last_success_at = CASE WHEN :ok::bool THEN now() ELSE c.last_success_at END, last_error = :error,
  failing_since = CASE WHEN :ok::bool THEN NULL ELSE coalesce(c.failing_since, now()) END
  FROM o WHERE c.id = o.channel_id AND o.subscription_id IS NULL),
 p AS (UPDATE push_subscriptions p SET
  last_success_at = CASE WHEN :ok::bool THEN now() ELSE p.last_success_at END, last_error = :error,
  failing_since = CASE WHEN :ok::bool THEN NULL ELSE coalesce(p.failing_since, now()) END
  FROM o WHERE p.id = o.subscription_id)
 SELECT 1 FROM o

-- Removes an unsubscribed browser together with its messages, which are locked first, as by "record".
-- name: forget_subscription
WITH messages AS (SELECT m.id FROM notification_outbox o JOIN notification_outbox m ON m.subscription_id = o.subscription_id
  WHERE o.id = :id::bigint AND o.public_id = :public FOR UPDATE OF m)
DELETE FROM push_subscriptions p USING notification_outbox o WHERE o.id = :id::bigint AND o.public_id = :public
 AND p.id = o.subscription_id AND (SELECT count(*) FROM messages) >= 0
