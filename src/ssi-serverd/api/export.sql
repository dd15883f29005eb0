-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include api/fragments.sql
-- include model/fragments.sql

-- One at a time for an account: as long as one may last, there is no other. The account, as of api/account.sql, with what is kept about
-- its owner and belongs nowhere else.
-- name: export_begin
WITH u AS (UPDATE users u SET exported_at = now() WHERE u.public_id = :user
  AND (u.exported_at IS NULL OR u.exported_at < now() - make_interval(secs => @EXPORT_SECONDS)) RETURNING u.*),
 audited AS (@audit(account.exported, NULL, NULL, u))
 SELECT json_build_object('id', u.public_id, 'email', u.email, 'created_at', @time(u.created_at),
  'confirmed', u.confirmed, 'time_zone', u.time_zone, 'language', u.language, 'clock', u.clock,
  'email_change', (SELECT json_build_object('email', c.email, 'requested_at', @time(c.requested_at), 'expires_at', @time(c.expires_at))
   FROM email_changes c WHERE c.user_id = u.id),
  'verified_emails', (SELECT json_agg(json_build_object('email', e.email, 'verified_at', @time(e.verified_at)) ORDER BY e.email)
   FROM verified_emails e WHERE e.user_id = u.id),
  'networks', (SELECT json_agg(json_build_object('network', n.network, 'seen_at', @time(n.seen_at)) ORDER BY n.network)
   FROM account_networks n WHERE n.user_id = u.id),
  'notification_settings', (SELECT json_build_object('quiet_from', to_char(q.quiet_from, 'HH24:MI'), 'quiet_to', to_char(q.quiet_to, 'HH24:MI'),
   'timezone', q.timezone, 'damping', q.damping) FROM notification_settings q WHERE q.user_id = u.id)), @time(now()), @audited FROM u

-- A page of a section that follows the key :after: the items and their keys. Channels have their config and type, too.
-- fragment: page(table, item)
SELECT @item, x.id::text FROM @table x WHERE x.user_id = @user_id AND x.id > coalesce(:after::bigint, 0) ORDER BY x.id LIMIT @EXPORT_PAGE

-- name: export_sessions(user, after)
@page(login_sessions, json_build_object('id', x.public_id, 'created_at', @time(x.created_at), 'last_used_at', @time(x.last_used_at),
 'expires_at', @time(x.expires_at), 'ended_at', @time(x.revoked_at), 'user_agent', x.user_agent, 'address', x.address))

-- name: export_tokens(user, after)
@page(api_tokens, json_build_object('id', x.public_id, 'name', x.name, 'scopes', to_json(x.scopes), 'created_at', @time(x.created_at),
 'expires_at', @time(x.expires_at), 'last_used_at', @time(x.last_used_at)))

-- name: export_invitations(user, after)
SELECT json_build_object('id', x.public_id, 'email', x.email, 'created_at', @time(x.created_at), 'expires_at', @time(x.expires_at),
 'used_at', @time(x.used_at)), x.id::text FROM invitations x
 WHERE x.invited_by = @user_id AND x.id > coalesce(:after::bigint, 0) ORDER BY x.id LIMIT @EXPORT_PAGE

-- name: export_servers(user, after)
@page(servers, json_build_object('id', x.public_id, 'agent_id', x.agent_id, 'name', x.name, 'labels', to_json(x.labels),
 'created_at', @time(x.created_at), 'claimed_at', @time(x.claimed_at), 'last_seen', @time(x.last_seen), 'hostname', x.hostname,
 'agent_version', x.agent_version, 'public_page', '/public/' || x.public_token))

-- name: export_services(user, after)
SELECT json_build_object('server_id', s.public_id, 'service', @service_json), json_build_array(v.server_id, v.name)::text
 FROM servers s JOIN services v ON v.server_id = s.id WHERE s.user_id = @user_id
 AND (:after::json IS NULL OR (v.server_id, v.name) > ((:after::json ->> 0)::bigint, :after::json ->> 1))
 ORDER BY v.server_id, v.name LIMIT @EXPORT_PAGE

-- name: export_acknowledgements(user, after)
SELECT json_build_object('server_id', s.public_id, 'service', a.service, 'reason', a.reason, 'created_at', @time(a.created_at)),
 json_build_array(a.server_id, a.service)::text
 FROM servers s JOIN acknowledgements a ON a.server_id = s.id WHERE s.user_id = @user_id
 AND (:after::json IS NULL OR (a.server_id, a.service) > ((:after::json ->> 0)::bigint, :after::json ->> 1))
 ORDER BY a.server_id, a.service LIMIT @EXPORT_PAGE

-- name: export_silences(user, after)
@page(silences, json_build_object('id', x.public_id, 'server_id', (SELECT s.public_id FROM servers s WHERE s.id = x.server_id),
 'service', x.service, 'label', x.label, 'reason', x.reason, 'created_at', @time(x.created_at),
 'ends_at', CASE WHEN x.ends_at < 'infinity' THEN @time(x.ends_at) END))

-- name: export_channels(user, after)
SELECT json_build_object('id', x.public_id, 'type', x.type, 'name', x.name, 'enabled', x.enabled,
 'verified', x.verified, 'min_severity', x.min_severity, 'kinds', to_json(x.kinds), 'servers', to_json(x.servers), 'labels', to_json(x.labels),
 'damping', x.damping, 'created_at', @time(x.created_at)), x.id::text, x.config, x.type FROM notification_channels x
 WHERE x.user_id = @user_id AND x.id > coalesce(:after::bigint, 0) ORDER BY x.id LIMIT @EXPORT_PAGE

-- name: export_browsers(user, after)
@page(push_subscriptions, json_build_object('id', x.public_id, 'label', x.label, 'host', substring(x.endpoint FROM '^https?://([^/]+)'),
 'created_at', @time(x.created_at), 'last_success_at', @time(x.last_success_at)))

-- name: export_audit(user, after)
SELECT json_build_object('at', @time(l.at), 'last_at', @time(l.last_at), 'count', l.count, 'event', l.event, 'outcome', l.outcome,
 'email', l.email, 'actor', l.actor, 'address', l.address, 'method', l.method, 'credential', l.credential, 'object', l.object, 'name', l.name),
 l.id::text FROM audit_log l WHERE l.account = :user AND l.id > coalesce(:after::bigint, 0) ORDER BY l.id LIMIT @EXPORT_PAGE
