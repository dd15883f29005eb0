-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql
-- include model/team.sql

-- For services v.
-- fragment: service_json
json_build_object('name', v.name, 'title', coalesce(v.title, v.name), 'metadata', v.metadata,
 'schedule', v.schedule, 'timeout_ms', v.timeout_ms,
 'watches', to_json(v.watches), 'depends_on', to_json(v.depends_on),
 'enabled', coalesce(v.enabled, true), 'next_run', @time(v.next_run),
 'status', v.status, 'message', v.message, 'status_at', @time(v.status_at),
 'changed_at', @time(v.changed_at), 'received_at', @time(v.received_at),
 'duration_ms', v.duration_ms, 'invocation_id', v.invocation_id,
 'error', CASE WHEN v.error_kind IS NOT NULL THEN json_build_object('kind', v.error_kind,
  'detail', v.error_detail, 'at', @time(v.error_at)) END,
 'stale', v.stale_since IS NOT NULL, 'stale_since', @time(v.stale_since),
-- The recovery ends it; its row is deleted a moment later.
 'acknowledgement', CASE WHEN v.status <> 'OK' OR v.error_kind IS NOT NULL OR v.stale_since IS NOT NULL
  THEN (SELECT json_build_object('reason', a.reason, 'created_at', @time(a.created_at), 'made_by', a.made_by)
  FROM acknowledgements a WHERE a.server_id = v.server_id AND a.service = v.name) END)

-- A connected agent is as alive as the instance that holds it.
-- fragment: last_seen
CASE WHEN s.connected THEN greatest(s.last_seen, (SELECT i.seen_at FROM instances i
 WHERE i.id = s.instance)) ELSE s.last_seen END

-- How bad the last result of services v, or of a row like it, is for its dependants. Without a result that is due: overdue
-- services explain nothing.
-- fragment: severity(v)
service_severity(@v.status, @v.error_kind, NULL)

-- Whether a dependency of services v is in trouble at least as badly as v.
-- fragment: has_cause
(v.depends_on <> '{}' AND service_severity(v.status, v.error_kind, v.stale_since) > 0 AND EXISTS (
 SELECT FROM services t WHERE t.server_id = v.server_id AND t.name = ANY (v.depends_on)
 AND @severity(t) >= service_severity(v.status, v.error_kind, v.stale_since)))

-- The number of services in trouble because of services v.
-- fragment: dependants
(SELECT count(*) FROM services d WHERE d.server_id = v.server_id AND v.name = ANY (d.depends_on)
 AND service_severity(d.status, d.error_kind, d.stale_since) BETWEEN 1 AND @severity(v))

-- For servers s: the service that needs attention most, possibly none. A root cause comes before its dependants.
-- fragment: worst_service
(SELECT json_build_object('name', v.name, 'title', coalesce(v.title, v.name), 'status', v.status,
 'message', left(v.message, 200), 'error', CASE WHEN v.error_kind IS NOT NULL THEN json_build_object(
  'kind', v.error_kind, 'detail', left(v.error_detail, 200), 'at', @time(v.error_at)) END,
 'stale', v.stale_since IS NOT NULL, 'dependants', @dependants)
 FROM services v WHERE v.server_id = s.id
 AND (v.status > 'OK' OR v.error_kind IS NOT NULL OR v.stale_since IS NOT NULL)
 ORDER BY @has_cause, CASE WHEN v.status = 'FAILURE' THEN 0 WHEN v.error_kind IS NOT NULL OR v.stale_since IS NOT NULL THEN 1
  WHEN v.status = 'WARNING' THEN 2 ELSE 3 END, lower(coalesce(v.title, v.name)), v.name LIMIT 1)

-- fragment: server_state
server_state(s.claimed_at, s.connected, s.rebooting_until)

-- For servers s and @server_counts.
-- fragment: server_json
json_build_object('id', s.public_id, 'team', @team_json(s.user_id), 'agent_id', s.agent_id, 'name', s.name,
 'labels', to_json(s.labels), 'public_page', '/public/' || s.public_token,
 'state', @server_state,
 'last_seen', @time(@last_seen), 'created_at', @time(s.created_at),
 'agent_version', s.agent_version, 'agent_outdated', @agent_is_outdated,
 'duplicate', CASE WHEN s.duplicate_since IS NOT NULL THEN json_build_object('since', @time(s.duplicate_since),
  'accepted', s.hostname, 'refused', s.duplicate_hostname) END,
 'worst_status', n.worst, 'worst_service', CASE WHEN n.worst > 'OK' OR n.errors > 0 OR n.stale > 0
  THEN @worst_service END, 'counts', json_build_object('OK', n.ok, 'UPDATE', n.update,
  'WARNING', n.warning, 'FAILURE', n.failure), 'errors', n.errors, 'stale', n.stale, 'services', n.services)

-- Joined to servers s.
-- fragment: server_counts
 CROSS JOIN LATERAL (SELECT max(v.status) AS worst,
 count(*) FILTER (WHERE v.status = 'OK') AS ok, count(*) FILTER (WHERE v.status = 'UPDATE') AS update,
 count(*) FILTER (WHERE v.status = 'WARNING') AS warning,
 count(*) FILTER (WHERE v.status = 'FAILURE') AS failure,
 count(v.error_kind) AS errors, count(v.stale_since) AS stale, count(*) AS services FROM services v WHERE v.server_id = s.id) n

-- The caller's account.
-- fragment: user_id
(SELECT id FROM users WHERE public_id = :user)

-- fragment: session_lifetime
interval '30 days'

-- For api_session_start(): a login session, with any proof. authenticated_at: now() if the user has just proved who they are,
-- otherwise NULL (docs/adr/0049). who is a statement that returns the user_id of the new session and the id of the session that has
-- asked for it, which may be null; or no row. :actor is of api_actor_by() with the kind of proof. Without a limit, an account could
-- fill the disk: of more than 100 sessions, those go that have ended, then those never renewed, as a script leaves
-- them, then those not used for longest. (Their tokens are locked first, as by a refresh: the other order is a deadlock.)
-- fragment: session(authenticated_at, who)
WITH who AS (@who),
 l AS (INSERT INTO login_sessions (user_id, public_id, user_agent, address, expires_at, authenticated_at)
  SELECT user_id, :session, nullif(:user_agent, ''), :address, now() + @session_lifetime, @authenticated_at FROM who
  RETURNING *),
 t AS (INSERT INTO refresh_tokens (token_hash, session_id, expires_at)
  SELECT :token_hash::bytea, l.id, l.expires_at FROM l),
 spare AS (SELECT o.id, o.revoked_at IS NULL AND o.expires_at > now() AS live FROM who JOIN login_sessions o ON o.user_id = who.user_id
  WHERE o.id IS DISTINCT FROM who.asker ORDER BY 2 DESC, o.last_used_at > o.created_at DESC, o.last_used_at DESC, o.id DESC
  OFFSET (SELECT 99 - count(w.asker) FROM who w)),
 locked AS (SELECT FROM spare JOIN refresh_tokens r ON r.session_id = spare.id ORDER BY r.token_hash FOR UPDATE OF r),
 gone AS (DELETE FROM login_sessions o USING spare WHERE o.id = spare.id AND (SELECT count(*) FROM locked) >= 0
  RETURNING o.user_id, o.public_id, spare.live),
 ended AS (SELECT user_id, min(public_id) AS public_id, count(*) AS n FROM gone WHERE live GROUP BY user_id),
 n AS (@remember_network(who)),
 forgotten AS (@forget_network(who)),
 told AS (@account_mail(device, who w JOIN users u ON u.id = w.user_id WHERE :tell::bool AND @may_mail(u.id, device)
  AND EXISTS (SELECT FROM account_networks n WHERE n.user_id = u.id)
  AND NOT EXISTS (SELECT FROM account_networks n WHERE n.user_id = u.id AND n.network = nullif(:network::text, '')::cidr))),
 displaced AS (@audit(session.ended, e.public_id, CASE e.n WHEN 1 THEN 'the one of 100 that was not used for longest'
  ELSE e.n || ' sessions that were not used for longest' END, ended e JOIN users u ON u.id = e.user_id)),
 logged_in AS (@audit(login, l.public_id, l.user_agent, l JOIN users u ON u.id = l.user_id)),
 audited AS (SELECT entry FROM logged_in UNION ALL SELECT entry FROM displaced)
 SELECT u.public_id, EXISTS (SELECT FROM ended), @audited FROM l JOIN users u ON u.id = l.user_id
