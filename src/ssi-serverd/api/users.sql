-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include api/fragments.sql
-- include model/fragments.sql

-- Whether users u have logged in from this network before.
-- fragment: is_known_in(network)
EXISTS (SELECT FROM account_networks n WHERE n.user_id = u.id AND n.network = nullif((@network)::text, '')::cidr)

-- name: login
SELECT u.public_id, u.password_hash, @is_known_in(:network), u.locked_at IS NOT NULL FROM users u WHERE @email_key(u.email) = @email_key(:email)
 AND u.confirmed

-- name: me
SELECT json_build_object('id', public_id, 'email', email,
 'created_at', @time(created_at), 'administrator', @is_administrator(u)) FROM users u WHERE public_id = :user

-- name: credentials
SELECT u.email, u.password_hash, @is_known_in(:network) FROM users u WHERE u.public_id = :user

-- The password may have changed since the hash was read, and the account may have been locked.
-- name: session_of_password(proof, session, token_hash, user_agent, address, network, tell, actor,
--   password_hash)
@session(now(), SELECT id AS user_id, NULL::bigint AS asker FROM users WHERE public_id = :proof AND password_hash = :password_hash
 AND locked_at IS NULL)

-- A password that has changed since its hash was read proves nothing.
-- name: reauthenticate
WITH l AS (UPDATE login_sessions l SET authenticated_at = now() FROM users u WHERE l.public_id = :session
 AND u.public_id = :user AND l.user_id = u.id AND u.password_hash = :hash RETURNING l.public_id, l.user_id),
 audited AS (@audit(session.reauthenticated, l.public_id, NULL, l JOIN users u ON u.id = l.user_id))
 SELECT 1, @audited FROM l
