-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- The old address is told first: mails of an account keep their order. Whether the new one has an account is only looked up when its
-- mail is sent, so that nothing here depends on it.
-- name: account_email_ask
WITH a AS (SELECT u.*, @email_key(u.email) = @email_key(:email) AS same FROM users u WHERE u.public_id = :account),
 u AS (SELECT u.* FROM a u WHERE NOT u.same AND @may_mail(u.id, change)
  AND (SELECT count(*) FROM notification_outbox o WHERE o.payload ->> 'kind' = 'change' AND o.created_at > now() - interval '1 day'
   AND @email_key(o.payload ->> 'email') = @email_key(:email)) < @EMAIL_CHANGE_MAILS_TO_MAX),
 c AS (INSERT INTO email_changes (user_id, public_id, email, expires_at)
  SELECT u.id, :id, :email, now() + make_interval(secs => @EMAIL_CHANGE_LIFETIME) FROM u
  ON CONFLICT (user_id) DO UPDATE SET public_id = excluded.public_id, email = excluded.email, requested_at = now(),
   expires_at = excluded.expires_at RETURNING *),
 links AS (DELETE FROM email_tokens t USING c WHERE t.user_id = c.user_id AND t.purpose = 'change'),
 mailed AS (INSERT INTO notification_outbox (public_id, queue, user_id, payload)
  SELECT notification_id(), 'account ' || u.id, u.id, m.payload FROM u, c CROSS JOIN LATERAL (VALUES
   (1, jsonb_build_object('kind', 'changing', 'email', u.email, 'new', c.email)),
   (2, jsonb_build_object('kind', 'change', 'email', c.email, 'change', c.public_id))) m(n, payload) ORDER BY m.n),
 audited AS (@audit(email-change.asked, NULL, c.email, u JOIN c ON c.user_id = u.id))
 SELECT a.same, EXISTS (SELECT FROM c), @audited FROM a

-- name: account_email_cancel
WITH c AS (DELETE FROM email_changes c USING users u WHERE u.public_id = :account AND c.user_id = u.id RETURNING c.*),
 links AS (DELETE FROM email_tokens t USING c WHERE t.user_id = c.user_id AND t.purpose = 'change'),
 audited AS (@audit(email-change.cancelled, NULL, c.email, c JOIN users u ON u.id = c.user_id))
 SELECT u.public_id, @audited FROM c JOIN users u ON u.id = c.user_id

-- A mail of this kind to the old address, was.email, of u.
-- fragment: told(kind)
INSERT INTO notification_outbox (public_id, queue, user_id, payload)
 SELECT notification_id(), 'account ' || u.id, u.id, jsonb_build_object('kind', '@kind', 'email', was.email, 'new', u.email)
 FROM u JOIN was ON was.id = u.id WHERE true

-- name: account_email_confirm
WITH t AS (DELETE FROM email_tokens t USING email_changes c WHERE t.token_hash = :token_hash::bytea AND t.purpose = 'change'
  AND t.expires_at > now() AND c.user_id = t.user_id AND c.email = t.email AND c.expires_at > now() RETURNING t.user_id, c.email),
 over AS (DELETE FROM email_changes c USING t WHERE c.user_id = t.user_id),
 was AS (SELECT u.id, u.public_id, u.email FROM users u JOIN t ON t.user_id = u.id),
 squatter AS (@make_way(t.email, true)),
 u AS (UPDATE users u SET email = t.email FROM t WHERE u.id = t.user_id AND (SELECT count(*) FROM squatter) >= 0
  AND NOT EXISTS (SELECT FROM users x WHERE @email_key(x.email) = @email_key(t.email) AND x.id <> t.user_id AND x.confirmed) RETURNING u.*),
 links AS (DELETE FROM email_tokens o USING u WHERE o.user_id = u.id AND o.purpose IN ('reset', 'change')
  AND o.token_hash <> :token_hash::bytea),
 v AS (INSERT INTO verified_emails (user_id, email) SELECT u.id, @email_key(u.email) FROM u ON CONFLICT DO NOTHING),
 ch AS (UPDATE notification_channels c SET verified = true FROM u WHERE c.user_id = u.id
  AND c.type = 'email' AND @email_key(c.config ->> 'address') = @email_key(u.email)),
 told AS (@told(changed)),
 audited AS (@audit(email-change.confirmed, NULL, was.email, was JOIN u ON u.id = was.id))
 SELECT was.public_id, u.email, @audited FROM was LEFT JOIN u ON u.id = was.id

-- name: account_email_set
WITH was AS (SELECT u.id, u.public_id, u.email FROM users u WHERE (u.public_id = :account OR @email_key(u.email) = @email_key(:account))),
 u AS (UPDATE users u SET email = :email FROM was WHERE u.id = was.id
  AND NOT EXISTS (SELECT FROM users x WHERE @email_key(x.email) = @email_key(:email) AND x.id <> was.id) RETURNING u.*),
 over AS (DELETE FROM email_changes c USING u WHERE c.user_id = u.id),
 links AS (DELETE FROM email_tokens o USING u WHERE o.user_id = u.id),
 told AS (@told(moved) AND :tell::bool),
 audited AS (@audit(email.set, NULL, was.email, was JOIN u ON u.id = was.id))
 SELECT was.public_id, EXISTS (SELECT FROM u), @audited FROM was
