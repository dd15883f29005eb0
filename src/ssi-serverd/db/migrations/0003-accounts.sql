-- SPDX-License-Identifier: LGPL-2.1-or-later
-- The public halves of the keys that access tokens are signed with, one per instance. There is no secret here any more:
-- the key that the settings held signs nothing.
CREATE TABLE access_token_keys (
        id text PRIMARY KEY,
        public_key text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL
);
DELETE FROM settings WHERE key = 'access-token-key';

-- A session is alive until it is revoked or expires. Its refresh token that was replaced last is known, with its
-- successor encrypted by a key that only this token gives: see docs/adr/0011.
ALTER TABLE login_sessions
        ADD public_id text,
        ADD user_agent text,
        ADD address text,
        ADD last_used_at timestamptz NOT NULL DEFAULT now(),
        ADD expires_at timestamptz NOT NULL DEFAULT now(),
        ADD replaced_hash bytea,
        ADD replaced_at timestamptz,
        ADD successor bytea;
UPDATE login_sessions l SET
        public_id = 'ses-' || left(replace(gen_random_uuid()::text, '-', ''), 16),
        last_used_at = l.created_at,
        expires_at = coalesce((SELECT max(t.expires_at) FROM refresh_tokens t WHERE t.session_id = l.id), now());
ALTER TABLE login_sessions
        ALTER public_id SET NOT NULL,
        ALTER expires_at DROP DEFAULT,
        ADD UNIQUE (public_id);
DROP INDEX login_sessions_user;
CREATE INDEX login_sessions_user ON login_sessions (user_id, id);
CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at);

-- Tokens for programs. 256 random bits, kept as BLAKE2b.
CREATE TABLE api_tokens (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        public_id text NOT NULL UNIQUE,
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        token_hash bytea NOT NULL UNIQUE,
        name text NOT NULL,
        scopes text[] NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz,
        last_used_at timestamptz
);
CREATE INDEX api_tokens_user ON api_tokens (user_id, id);

-- The address of a server's public page: nobody can guess it, but everybody may be told.
ALTER TABLE servers ADD public_token text UNIQUE;
DROP INDEX servers_user;
CREATE INDEX servers_user ON servers (user_id, lower(name), public_id);
