-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- fragment: account_is(param)
(u.public_id = @param OR @email_key(u.email) = @email_key(@param))

-- name: account_add
WITH u AS (INSERT INTO users (public_id, email, password_hash, confirmed) VALUES (:id, :email, :hash, NOT :verify::bool)
  ON CONFLICT DO NOTHING RETURNING *),
 asked AS (@account_mail(verify, u WHERE :verify::bool)),
 told AS (@account_mail(taken, users u WHERE :verify::bool AND @email_key(u.email) = @email_key(:email) AND @may_mail(taken)))
 SELECT public_id, email FROM u

-- name: account_set_password
WITH u AS (UPDATE users u SET password_hash = :hash, confirmed = true WHERE @account_is(:account) RETURNING u.id, u.public_id),
 ended AS (UPDATE login_sessions l SET revoked_at = now() FROM u WHERE l.user_id = u.id
  AND l.revoked_at IS NULL AND l.public_id IS DISTINCT FROM :keep_session::text),
 links AS (DELETE FROM email_tokens t USING u WHERE t.user_id = u.id AND t.purpose = 'reset')
 SELECT public_id FROM u

-- name: account_reset_password
WITH t AS (DELETE FROM email_tokens WHERE token_hash = :token_hash::bytea AND purpose = 'reset'
   AND expires_at > now() RETURNING user_id, @email_key(email) AS email),
 others AS (DELETE FROM email_tokens o USING t WHERE o.user_id = t.user_id
  AND o.purpose = 'reset' AND o.token_hash <> :token_hash::bytea),
 ended AS (UPDATE login_sessions l SET revoked_at = now() FROM t WHERE l.user_id = t.user_id
  AND l.revoked_at IS NULL),
 known AS (@remember_network(t)),
 v AS (INSERT INTO verified_emails (user_id, email) SELECT user_id, email FROM t
  ON CONFLICT DO NOTHING)
 UPDATE users u SET password_hash = :hash, confirmed = true FROM t WHERE u.id = t.user_id AND @email_key(u.email) = t.email
 RETURNING u.public_id

-- name: forget_removed
DELETE FROM transitions t WHERE NOT EXISTS (SELECT FROM servers s WHERE s.id = t.server_id)

-- name: account_remove
WITH s AS (SELECT s.id, s.public_id FROM servers s JOIN users u ON u.id = s.user_id
  WHERE @account_is(:account)),
 history AS (DELETE FROM events e USING s WHERE e.server_id = s.id),
 told AS (DELETE FROM transitions t USING s WHERE t.server_id = s.id),
-- Locked first, as by the statement that records a delivery: the other order is a deadlock.
 messages AS (SELECT o.id FROM users u JOIN notification_outbox o ON o.user_id = u.id WHERE @account_is(:account) FOR UPDATE OF o),
 gone AS (DELETE FROM users u WHERE @account_is(:account) AND (SELECT count(*) FROM messages) >= 0 RETURNING u.public_id)
 SELECT gone.public_id, s.public_id FROM gone LEFT JOIN s ON true
