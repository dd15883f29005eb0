-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql
-- include model/team.sql

-- The mails with invitations that were asked for in the last day.
-- fragment: mails(of)
(SELECT count(*) FROM notification_outbox o WHERE o.payload ->> 'kind' = 'invitation'
 AND o.created_at > now() - interval '1 day' AND @of)

-- The INVITATION_… columns. They do not tell whether the address has an account. The mail belongs to no account: it counts
-- towards the limits even if the account that asked for it is deleted.
-- name: invitation_add
WITH u AS (SELECT id FROM users WHERE public_id = :account),
 team AS (SELECT t.id FROM teams t WHERE t.public_id = :team AND t.user_id IS NULL AND @allows(t.id)),
 i AS (INSERT INTO invitations (public_id, email, invited_by, expires_at, team_id, role)
  SELECT :id, :email, (SELECT id FROM u), now() + make_interval(secs => :lifetime::float8), (SELECT id FROM team), :to::team_role
  WHERE (:team::text IS NULL OR EXISTS (SELECT FROM team)) AND (:account::text IS NULL
  OR (SELECT invitation_take_room(u.id, @INVITATIONS_MAX) FROM u))
  RETURNING *),
 t AS (INSERT INTO invitation_tokens (token_hash, invitation_id, mailed) SELECT :hash::bytea, i.id, false FROM i),
 mailed AS (INSERT INTO notification_outbox (public_id, queue, payload)
  SELECT notification_id(), 'invitation ' || i.id,
  jsonb_build_object('kind', 'invitation', 'email', i.email, 'invitation', i.public_id, 'account', :account::text)
  FROM i WHERE :mail::bool AND i.email IS NOT NULL
  AND (i.invited_by IS NULL OR @mails(o.payload ->> 'account' = :account::text) < @INVITATION_MAILS_MAX)
  AND @mails(@email_key(o.payload ->> 'email') = @email_key(i.email)) < @INVITATION_MAILS_TO_MAX
  RETURNING 1),
 audited AS (@audit(invitation.made, i.public_id, i.email,
  i CROSS JOIN LATERAL (SELECT o.public_id, o.email FROM (SELECT coalesce(i.team_id, i.invited_by)) k(id) LEFT JOIN @owners o ON o.id = k.id) u))
 SELECT i.public_id, @time(i.expires_at), @usec(i.expires_at), EXISTS (SELECT FROM mailed), @audited FROM i

-- name: invitation_remove
WITH i AS (DELETE FROM invitations i WHERE i.public_id = :id AND i.used_at IS NULL
  AND CASE WHEN :team::text IS NOT NULL THEN i.team_id = (SELECT t.id FROM teams t WHERE t.public_id = :team) AND @allows(i.team_id)
   ELSE :account::text IS NULL OR i.invited_by = (SELECT u.id FROM users u WHERE u.public_id = :account) END RETURNING i.*),
 audited AS (@audit(invitation.withdrawn, i.public_id, i.email,
  i CROSS JOIN LATERAL (SELECT o.public_id, o.email FROM (SELECT coalesce(i.team_id, i.invited_by)) k(id) LEFT JOIN @owners o ON o.id = k.id) u))
 SELECT 1, @audited FROM i
