-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- fragment: token_pairs
'id', k.public_id, 'name', k.name, 'scopes', to_json(k.scopes), 'created_at', @time(k.created_at),
 'expires_at', @time(k.expires_at), 'last_used_at', @time(k.last_used_at)

-- name: list_tokens
SELECT coalesce(json_agg(json_build_object(@token_pairs) ORDER BY k.id DESC), '[]'),
 count(*), json_build_array(min(k.id)::text)
 FROM (SELECT * FROM api_tokens WHERE user_id = (SELECT id FROM users WHERE public_id = :user)
  AND id < coalesce(:after::bigint, 9223372036854775807) ORDER BY id DESC LIMIT :limit::int) k

-- name: make_token
WITH k AS (INSERT INTO api_tokens (user_id, public_id, token_hash, name, scopes, expires_at)
  SELECT u.id, :id, :hash::bytea, :name, ARRAY(SELECT DISTINCT unnest(:scopes_text::text[])),
  now() + make_interval(secs => nullif(:lifetime, '')::float8) FROM users u WHERE u.public_id = :user
  AND quota_take_room(u.id, 'tokens') RETURNING *),
 told AS (@account_mail(token, k JOIN users u ON u.id = k.user_id WHERE :tell::bool AND @may_mail(u.id, token))),
 audited AS (@audit(api-token.made, k.public_id, k.name, k JOIN users u ON u.id = k.user_id))
 SELECT json_build_object(@token_pairs, 'token', :token::text), @audited FROM k

-- name: delete_token
WITH k AS (DELETE FROM api_tokens k USING users u WHERE k.public_id = :token_id AND u.public_id = :user
  AND k.user_id = u.id RETURNING k.*),
 audited AS (@audit(api-token.removed, k.public_id, k.name, k JOIN users u ON u.id = k.user_id))
 SELECT 1, @audited FROM k
