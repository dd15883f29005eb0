-- SPDX-License-Identifier: LGPL-2.1-or-later

-- name: ring_read_now
SELECT id, public_key FROM access_token_keys WHERE expires_at > now()

-- An hour is longer than the time to the next refresh and the life of a token together.
-- name: key_ring_refresh
WITH gone AS (DELETE FROM access_token_keys WHERE expires_at < now() AND id <> :id)
 INSERT INTO access_token_keys (id, public_key, expires_at, host)
 VALUES (:id, :public_pem, now() + interval '1 hour', :host)
 ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, host = excluded.host
