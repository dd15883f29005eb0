-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include api/fragments.sql
-- include model/fragments.sql

-- name: login
SELECT public_id, password_hash FROM users WHERE lower(email) = lower(:email)

-- name: me
SELECT json_build_object('id', public_id, 'email', email,
 'created_at', @time(created_at)) FROM users WHERE public_id = :user

-- name: credentials
SELECT email, password_hash FROM users WHERE public_id = :user

-- The password may have changed since the hash was read.
-- name: session_of_password(proof, session, token_hash, user_agent, address, password_hash)
@session(SELECT id AS user_id FROM users WHERE public_id = :proof AND password_hash = :password_hash)
