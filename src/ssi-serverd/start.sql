-- SPDX-License-Identifier: LGPL-2.1-or-later

-- name: maintain_history
SELECT * FROM events_maintain(7, :days::int)

-- name: forget_transitions
DELETE FROM transitions WHERE recorded_at < now() - interval '1 day'

-- name: forget_sessions
DELETE FROM login_sessions WHERE expires_at < now()
 OR revoked_at < now() - interval '1 day'

-- name: forget_refresh_tokens
DELETE FROM refresh_tokens WHERE expires_at < now()

-- name: forget_networks
DELETE FROM account_networks WHERE seen_at < now() - interval '1 year'

-- name: forget_unconfirmed
WITH gone AS (DELETE FROM users u WHERE NOT u.confirmed AND u.created_at < now() - interval '7 days' RETURNING u.*)
 INSERT INTO audit_log (event, account, email, address) SELECT 'account.expired', public_id, email, 'local' FROM gone

-- name: forget_invitations
DELETE FROM invitations WHERE coalesce(used_at, expires_at) < now() - interval '7 days'

-- name: forget_join_tokens
DELETE FROM join_tokens WHERE coalesce(used_at, expires_at) < now() - interval '1 day'

-- name: forget_claim_tokens
DELETE FROM claim_tokens WHERE expires_at < now() - interval '1 day'

-- name: forget_quota_counts
DELETE FROM quota_counts WHERE since < now() - interval '2 days'

-- name: forget_quota_reached
DELETE FROM quota_reached WHERE last_at < now() - interval '30 days'

-- name: carry_audit
SELECT audit_carry() AS audit

-- name: forget_audit
DELETE FROM audit_log WHERE at < now() - make_interval(days => :days::int)
