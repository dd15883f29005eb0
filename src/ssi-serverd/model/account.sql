-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- fragment: account_is(param)
(u.public_id = @param OR @email_key(u.email) = @email_key(@param))

-- name: account_add
WITH admitted AS (SELECT WHERE @sign_up_is_in(:modes)),
 u AS (INSERT INTO users (public_id, email, password_hash, confirmed) SELECT :id, :email, :hash, NOT :verify::bool FROM admitted
  ON CONFLICT DO NOTHING RETURNING *),
 asked AS (@account_mail(verify, u WHERE :verify::bool)),
 told AS (@account_mail(taken, users u WHERE :verify::bool AND EXISTS (SELECT FROM admitted) AND @email_key(u.email) = @email_key(:email) AND @may_mail(u.id, taken))),
 audited AS (@audit(account.made, NULL, NULL, u))
 SELECT u.public_id, u.email, @audited FROM admitted LEFT JOIN u ON true

-- name: account_add_first
WITH kept AS (INSERT INTO settings (key, value) SELECT 'sign_up', 'closed'::bytea WHERE NOT EXISTS (SELECT FROM users)
  ON CONFLICT DO NOTHING RETURNING 1),
 u AS (INSERT INTO users (public_id, email, password_hash, administrator) SELECT :id, :email, :hash, true FROM kept RETURNING *),
 audited AS (@audit(account.made, NULL, NULL, u))
 SELECT public_id, email, @audited FROM u

-- Who waits for the invitation's row, because another one uses it, then finds that it is used.
-- name: account_add_invited
WITH taken AS (SELECT u.id, u.email FROM users u WHERE @email_key(u.email) = @email_key(:email)),
 i AS (UPDATE invitations i SET used_at = now() FROM invitation_tokens t WHERE t.token_hash = :invitation::bytea
  AND i.id = t.invitation_id AND @admits(i, :email) AND (i.invited_by IS NULL OR @sign_up_is_in(:modes)) AND (:verify::bool OR NOT EXISTS (SELECT FROM taken))
  RETURNING t.mailed, i.team_id, i.role, @is_backed(i) AS is_backed),
 u AS (INSERT INTO users (public_id, email, password_hash, confirmed)
  SELECT :id, :email, :hash, i.mailed OR NOT :verify::bool FROM i ON CONFLICT DO NOTHING RETURNING *),
 v AS (INSERT INTO verified_emails (user_id, email) SELECT u.id, @email_key(u.email) FROM u, i WHERE i.mailed),
 joined AS (INSERT INTO team_members (user_id, team_id, role) SELECT u.id, i.team_id, i.role FROM u, i WHERE i.is_backed),
 asked AS (@account_mail(verify, u WHERE NOT u.confirmed)),
 told AS (@account_mail(taken, taken u WHERE :verify::bool AND EXISTS (SELECT FROM i) AND @may_mail(u.id, taken))),
 audited AS (@audit(account.made, NULL, NULL, u))
 SELECT u.public_id, u.email, EXISTS (SELECT FROM taken), u.confirmed, @audited FROM (VALUES (1)) one LEFT JOIN u ON true
 WHERE EXISTS (SELECT FROM i) OR (NOT :verify::bool AND EXISTS (SELECT FROM taken))

-- What else somebody may have set up in the account users u, to be reviewed; keys: the API tokens withdrawn.
-- fragment: left_over(keys)
json_build_object('withdrawn', json_build_object('api_tokens', (SELECT count(*) FROM @keys)),
 'review', json_build_object('channels', (SELECT count(*) FROM notification_channels c WHERE c.user_id = u.id),
 'push_subscriptions', (SELECT count(*) FROM push_subscriptions p WHERE p.user_id = u.id),
 'servers', (SELECT count(*) FROM servers s WHERE s.user_id = u.id)))

-- Login codes end with their sessions; that of the session kept ends, too. Links that bring a former address back stay: whoever moved
-- the account must not get rid of them (docs/adr/0059).
-- name: account_set_password
WITH u AS (UPDATE users u SET password_hash = :hash, confirmed = true WHERE @account_is(:account) AND (:was::text IS NULL OR u.password_hash = :was)
  RETURNING u.*),
 ended AS (UPDATE login_sessions l SET revoked_at = now() FROM u WHERE l.user_id = u.id
  AND l.revoked_at IS NULL AND l.public_id IS DISTINCT FROM :keep_session::text),
 code AS (UPDATE login_sessions l SET login_code_hash = NULL, login_code_expires_at = NULL FROM u
  WHERE l.user_id = u.id AND l.public_id = :keep_session::text),
 keys AS (DELETE FROM api_tokens k USING u WHERE k.user_id = u.id AND :withdraw::bool RETURNING 1),
 links AS (DELETE FROM email_tokens t USING u WHERE t.user_id = u.id
  AND (t.purpose IN ('reset', 'change') OR (:withdraw::bool AND t.purpose <> 'undo'))),
 change AS (DELETE FROM email_changes c USING u WHERE c.user_id = u.id),
 invitations AS (DELETE FROM invitations i USING u WHERE i.invited_by = u.id AND i.used_at IS NULL AND :withdraw::bool),
 told AS (@account_mail(password, u WHERE :tell::bool AND @may_mail(u.id, password))),
 audited AS (@audit(password.changed, NULL, NULL, u))
 SELECT public_id, @left_over(keys), @audited FROM u

-- With the token of a mail to a former address (docs/adr/0059), the account gets it back. Later changes cannot be undone any more.
-- name: account_reset_password
WITH t AS (DELETE FROM email_tokens t USING users u WHERE t.token_hash = :token_hash::bytea AND u.id = t.user_id AND @resets(t, u)
   RETURNING t.user_id, t.purpose = 'undo' AS undo, t.email AS address, @email_key(t.email) AS email, t.expires_at),
 others AS (DELETE FROM email_tokens o USING t WHERE o.user_id = t.user_id AND o.token_hash <> :token_hash::bytea
  AND (o.purpose <> 'undo' OR (t.undo AND o.expires_at >= t.expires_at))),
 change AS (DELETE FROM email_changes c USING t WHERE c.user_id = t.user_id),
 squatter AS (@make_way(t.address, t.undo)),
 ended AS (UPDATE login_sessions l SET revoked_at = now() FROM t WHERE l.user_id = t.user_id
  AND l.revoked_at IS NULL),
 keys AS (DELETE FROM api_tokens k USING t WHERE k.user_id = t.user_id RETURNING 1),
 invitations AS (DELETE FROM invitations i USING t WHERE i.invited_by = t.user_id AND i.used_at IS NULL),
 known AS (@remember_network(t)),
 forgotten AS (@forget_network(t)),
 v AS (INSERT INTO verified_emails (user_id, email) SELECT user_id, email FROM t
  ON CONFLICT DO NOTHING),
 u AS (UPDATE users u SET password_hash = :hash, confirmed = true, email = CASE WHEN t.undo THEN t.address ELSE u.email END
  FROM t WHERE u.id = t.user_id AND (SELECT count(*) FROM squatter) >= 0 RETURNING u.*),
 told AS (@account_mail(password, u WHERE @may_mail(u.id, password))),
 audited AS (@audit(password.reset, NULL, (SELECT t.address FROM t WHERE t.undo), u))
 SELECT public_id, @left_over(keys), @audited FROM u

-- name: forget_removed
DELETE FROM transitions t WHERE NOT EXISTS (SELECT FROM servers s WHERE s.id = t.server_id)

-- With it go the teams that it is the only member of. It stays if others of a team would be left without an owner.
-- name: account_remove
WITH me AS (SELECT u.id, u.public_id FROM users u WHERE @account_is(:account)),
 mine AS (SELECT m.team_id, m.role, EXISTS (SELECT FROM team_members o WHERE o.team_id = m.team_id AND o.user_id <> me.id) AS has_others,
   EXISTS (SELECT FROM team_members o WHERE o.team_id = m.team_id AND o.user_id <> me.id AND o.role = 'owner') AS has_owner
  FROM me JOIN team_members m ON m.user_id = me.id),
 t AS (SELECT team_id AS id FROM mine WHERE NOT has_others
  AND NOT EXISTS (SELECT FROM mine l WHERE l.role = 'owner' AND l.has_others AND NOT l.has_owner)),
 s AS (SELECT s.id, s.public_id, o.public_id AS team FROM t JOIN teams o ON o.id = t.id JOIN servers s ON s.user_id = t.id),
 history AS (DELETE FROM events e USING s WHERE e.server_id = s.id),
 told AS (DELETE FROM transitions t USING s WHERE t.server_id = s.id),
-- Locked first, as by the statement that records a delivery: the other order is a deadlock.
 messages AS (SELECT o.id FROM t JOIN notification_outbox o ON o.user_id = t.id FOR UPDATE OF o),
 teams_gone AS (DELETE FROM teams o USING t WHERE o.id = t.id AND o.user_id IS NULL AND (SELECT count(*) FROM messages) >= 0),
 gone AS (DELETE FROM users u USING me WHERE u.id = me.id AND EXISTS (SELECT FROM t) AND (SELECT count(*) FROM messages) >= 0 RETURNING u.public_id, u.email),
 audited AS (@audit(account.removed, NULL, NULL, gone u))
 SELECT me.public_id, s.public_id, s.team, EXISTS (SELECT FROM gone), @audited FROM me LEFT JOIN s ON true
