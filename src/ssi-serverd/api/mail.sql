-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- Queues a mail of this kind to the account selected by the condition on users u, unless too many were sent recently.
-- fragment: ask(kind, condition)
WITH asked AS (@account_mail(@kind, users u WHERE @condition) AND @may_mail(u.id, @kind) RETURNING user_id),
 audited AS (@audit(mail.asked, NULL, '@kind', asked JOIN users u ON u.id = asked.user_id))
 SELECT @audited

-- name: ask_for_reset
@ask(reset, @email_key(u.email) = @email_key(:email))

-- name: ask_to_verify
@ask(verify, u.public_id = :user)

-- name: verify_email
WITH t AS (DELETE FROM email_tokens WHERE token_hash = :hash::bytea AND purpose = 'verify'
   AND expires_at > now() RETURNING user_id, @email_key(email) AS email),
 v AS (INSERT INTO verified_emails (user_id, email) SELECT user_id, email FROM t
  ON CONFLICT DO NOTHING),
 a AS (UPDATE users u SET confirmed = true FROM t WHERE u.id = t.user_id AND @email_key(u.email) = t.email
  AND NOT u.confirmed),
 c AS (UPDATE notification_channels c SET verified = true FROM t, team_members m
  WHERE m.user_id = t.user_id AND m.role >= 'admin' AND c.user_id = m.team_id
  AND c.type = 'email' AND @email_key(c.config ->> 'address') = t.email),
 audited AS (@audit(account.confirmed, NULL, t.email, t JOIN users u ON u.id = t.user_id))
 SELECT 1, @audited FROM t

-- name: confirm_reset
SELECT t.email FROM email_tokens t JOIN users u ON u.id = t.user_id WHERE t.token_hash = :hash::bytea AND @resets(t, u)
