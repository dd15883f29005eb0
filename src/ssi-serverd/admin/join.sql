-- SPDX-License-Identifier: LGPL-2.1-or-later

-- Enters this host, for which a token was just used. In another database, there is no such token: no row.
-- name: join_enter(host, hostname)
INSERT INTO backend_hosts (host, hostname) SELECT t.used_by, :hostname FROM join_tokens t
 WHERE t.used_by = :host AND t.used_at > now() - interval '10 min' ORDER BY t.used_at DESC LIMIT 1
 ON CONFLICT (host) DO UPDATE SET hostname = excluded.hostname, joined_at = now() RETURNING 1
