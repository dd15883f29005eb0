-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- name: sign_up_set
WITH k AS (INSERT INTO settings (key, value) VALUES ('sign_up', convert_to(:value, 'UTF8'))
  ON CONFLICT (key) DO UPDATE SET value = excluded.value RETURNING convert_from(value, 'UTF8') AS value),
 audited AS (@audit(sign-up.changed, NULL, k.value, k, (SELECT NULL::text AS public_id, NULL::text AS email) u))
 SELECT 1, @audited FROM k

-- What is kept, whether there are accounts, whether there is such an invitation, and whether an account made it.
-- name: sign_up_ask
SELECT @kept_sign_up, EXISTS (SELECT FROM users), i.id IS NOT NULL, i.invited_by IS NOT NULL FROM (VALUES (1)) one
 LEFT JOIN (SELECT i.id, i.invited_by FROM invitation_tokens t JOIN invitations i ON i.id = t.invitation_id
  WHERE t.token_hash = :invitation::bytea AND @admits(i, :email)) i ON true
