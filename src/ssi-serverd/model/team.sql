-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- ---- What a caller may see and change: docs/adr/0057. Nothing else decides it. ----
--
-- Statements about what belongs to a team have the parameters :user, the caller's account, and :role, which the route needs at
-- least (docs/adr/0058). Without them, they find nothing.

-- The keys of the teams in which the caller has the role.
-- fragment: teams_of_caller
ARRAY(SELECT m.team_id FROM team_members m WHERE m.user_id = (SELECT a.id FROM users a WHERE a.public_id = :user)
 AND m.role >= :role::team_role)

-- Whether the caller has the role in the team with this key.
-- fragment: allows(team)
(@team = ANY (@teams_of_caller))

-- For lists, as one of a FROM list, so that each team's part is read by its index: the same teams, or the one of them that :team names.
-- fragment: listed_teams
(SELECT m.team_id AS id, m.role FROM team_members m WHERE m.user_id = (SELECT a.id FROM users a WHERE a.public_id = :user)
 AND m.role >= :role::team_role AND (:team::text IS NULL OR m.team_id = (SELECT b.id FROM teams b WHERE b.public_id = :team)))

-- Teams as the accounts u of @audit: a personal one is its account.
-- fragment: owners
(SELECT b.id, b.public_id, a.email, coalesce(a.email, b.name) AS name FROM teams b LEFT JOIN users a ON a.id = b.user_id)

-- fragment: team_json(key)
(SELECT json_build_object('id', o.public_id, 'name', o.name) FROM @owners o WHERE o.id = @key)

-- Why a statement found nothing: the caller's role in the team of what the route is about, if it is too small; otherwise no row.
-- Parameters that do not apply are null.
-- name: team_refused
SELECT o.name, m.role FROM (SELECT s.user_id FROM servers s WHERE s.public_id = :server
  UNION ALL SELECT c.user_id FROM notification_channels c WHERE c.public_id = :id
  UNION ALL SELECT i.user_id FROM silences i WHERE i.public_id = :id
  UNION ALL SELECT t.id FROM teams t WHERE t.public_id = :team) x(team)
 JOIN team_members m ON m.team_id = x.team AND m.user_id = (SELECT a.id FROM users a WHERE a.public_id = :user) AND m.role < :role::team_role
 JOIN @owners o ON o.id = x.team LIMIT 1

-- ---- Acts. :user null: an administrator of the backend, who may also name a team by its name, if that is unique ----

-- fragment: team_is
CASE WHEN :user::text IS NOT NULL THEN t.public_id = :team AND @allows(t.id) ELSE t.public_id = :team
 OR (t.name = :team AND NOT EXISTS (SELECT FROM teams o WHERE o.name = :team AND o.id <> t.id)) END

-- The caller's role, or that of an administrator.
-- fragment: callers_role
CASE WHEN :user::text IS NULL THEN 'owner' ELSE (SELECT m.role FROM team_members m JOIN users a ON a.id = m.user_id
 WHERE m.team_id = t.id AND a.public_id = :user) END

-- Teams t as the u of @audit.
-- fragment: concerned
CROSS JOIN LATERAL (SELECT t.public_id, NULL::text) u(public_id, email)

-- The TEAM_… columns of an act on teams t; done: whether it was done; personal teams stay as they are.
-- fragment: verdict(done)
t.public_id, CASE WHEN @done THEN 'done' WHEN t.user_id IS NOT NULL THEN 'personal' ELSE 'refused' END

-- name: team_add
WITH a AS (SELECT a.id, a.public_id FROM users a WHERE a.public_id = :owner),
 t AS (INSERT INTO teams (public_id, name) SELECT :id, :name FROM a
  WHERE (SELECT count(*) FROM team_members m WHERE m.user_id = a.id AND m.role = 'owner') <= @TEAMS_MAX RETURNING *),
 m AS (INSERT INTO team_members (user_id, team_id, role) SELECT a.id, t.id, 'owner' FROM a, t),
 audited AS (@audit(team.made, t.public_id, t.name, t @concerned))
 SELECT coalesce(t.public_id, ''), CASE WHEN t.id IS NOT NULL THEN 'done' ELSE 'refused' END, a.public_id, @audited
 FROM a LEFT JOIN t ON true

-- name: team_rename
WITH t AS (SELECT t.* FROM teams t WHERE @team_is),
 done AS (UPDATE teams x SET name = :name FROM t WHERE x.id = t.id AND x.user_id IS NULL RETURNING x.*),
 audited AS (@audit(team.renamed, t.public_id, t.name, done t @concerned))
 SELECT @verdict(EXISTS (SELECT FROM done)), NULL, @audited FROM t

-- A row per member. With its servers, so much would be lost at once that they have to go first.
-- name: team_remove
WITH t AS (SELECT t.* FROM teams t WHERE @team_is),
 messages AS (SELECT o.id FROM t JOIN notification_outbox o ON o.user_id = t.id WHERE t.user_id IS NULL FOR UPDATE OF o),
 who AS (SELECT a.public_id FROM t JOIN team_members m ON m.team_id = t.id JOIN users a ON a.id = m.user_id),
 done AS (DELETE FROM teams x USING t WHERE x.id = t.id AND x.user_id IS NULL
  AND NOT EXISTS (SELECT FROM servers s WHERE s.user_id = t.id) AND (SELECT count(*) FROM messages) >= 0 RETURNING x.*),
 audited AS (@audit(team.removed, t.public_id, t.name, done t @concerned))
 SELECT @verdict(EXISTS (SELECT FROM done)), who.public_id, @audited FROM t LEFT JOIN who ON true

-- fragment: member
SELECT m.team_id, m.user_id, m.role, a.public_id, a.email FROM t JOIN team_members m ON m.team_id = t.id JOIN users a ON a.id = m.user_id
  WHERE a.public_id = :member OR (:user::text IS NULL AND @email_key(a.email) = @email_key(:member))

-- Only owners make owners, or change them. The last one stays: team_keeps_owner().
-- name: team_set_role
WITH t AS (SELECT t.*, @callers_role AS mine FROM teams t WHERE @team_is),
 m AS (@member),
 done AS (UPDATE team_members x SET role = :to::team_role FROM t, m WHERE x.team_id = m.team_id AND x.user_id = m.user_id AND t.user_id IS NULL
  AND (t.mine = 'owner' OR (x.role <> 'owner' AND :to::team_role <> 'owner')) RETURNING x.*),
 audited AS (@audit(team.role-changed, m.public_id, m.email || ': ' || :to, (done CROSS JOIN m CROSS JOIN t) @concerned))
 SELECT t.public_id, CASE WHEN EXISTS (SELECT FROM done) THEN 'done' WHEN t.user_id IS NOT NULL THEN 'personal'
  WHEN t.mine <> 'owner' AND (m.role = 'owner' OR :to::team_role = 'owner') THEN 'owner-needed' ELSE 'refused' END, m.public_id, @audited FROM t, m

-- Also for leaving, where the member is the caller.
-- name: team_remove_member
WITH t AS (SELECT t.*, @callers_role AS mine FROM teams t WHERE @team_is),
 m AS (@member),
 done AS (DELETE FROM team_members x USING t, m WHERE x.team_id = m.team_id AND x.user_id = m.user_id AND t.user_id IS NULL
  AND (t.mine = 'owner' OR x.role <> 'owner') RETURNING x.*),
 audited AS (@audit(team.member-removed, m.public_id, m.email, (done CROSS JOIN m CROSS JOIN t) @concerned))
 SELECT t.public_id, CASE WHEN EXISTS (SELECT FROM done) THEN 'done' WHEN t.user_id IS NOT NULL THEN 'personal'
  WHEN t.mine <> 'owner' AND m.role = 'owner' THEN 'owner-needed' ELSE 'refused' END, m.public_id, @audited FROM t, m

-- With an invitation, whoever made which must still be allowed to. Who waits for its row, because another one uses it, then finds
-- that it is used.
-- name: team_join
WITH a AS (SELECT a.id, a.public_id, a.email FROM users a WHERE a.public_id = :user),
 i AS (UPDATE invitations i SET used_at = now() FROM invitation_tokens k, a WHERE k.token_hash = :invitation::bytea AND i.id = k.invitation_id
  AND @admits(i, a.email) AND @is_backed(i) AND NOT EXISTS (SELECT FROM team_members m WHERE m.team_id = i.team_id AND m.user_id = a.id)
  RETURNING i.team_id, i.role),
 t AS (SELECT t.id, t.public_id, t.name FROM i JOIN teams t ON t.id = i.team_id),
 m AS (INSERT INTO team_members (user_id, team_id, role) SELECT a.id, i.team_id, i.role FROM a, i RETURNING *),
 audited AS (@audit(team.joined, a.public_id, a.email || ': ' || m.role, (m CROSS JOIN a CROSS JOIN t) @concerned))
 SELECT t.public_id, 'done', a.public_id, t.name, @audited FROM a, t

-- To another team, in which the caller must have the role as well. Its agent connects again: until then it would report to the old one.
-- What silences and channels of the old team say of it ends.
-- name: team_move_server
WITH t AS (SELECT t.* FROM teams t WHERE @team_is),
 s AS (SELECT s.* FROM servers s WHERE s.public_id = :server AND (:user::text IS NULL OR @allows(s.user_id)) FOR UPDATE),
 room AS (SELECT quota_take_room(t.id, 'servers') AS is_there FROM t, s WHERE s.user_id <> t.id),
 done AS (UPDATE servers x SET user_id = t.id, session_epoch = x.session_epoch + 1 FROM t, s, room
  WHERE x.id = s.id AND room.is_there RETURNING x.*),
 silenced AS (DELETE FROM silences m USING done WHERE m.server_id = done.id),
 told AS (DELETE FROM notification_states n USING done WHERE n.server_id = done.id),
 audited AS (@audit(server.moved, done.public_id, done.name, done JOIN @owners u ON u.id IN (done.user_id, (SELECT s.user_id FROM s))))
 SELECT t.public_id, CASE WHEN EXISTS (SELECT FROM done) THEN 'done' WHEN s.user_id = t.id THEN 'same' ELSE 'refused' END,
  (SELECT o.public_id FROM teams o WHERE o.id = s.user_id), s.public_id, s.session_epoch + 1, @audited FROM t, s
