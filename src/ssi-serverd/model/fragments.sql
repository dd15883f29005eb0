-- SPDX-License-Identifier: LGPL-2.1-or-later

-- A time as text: RFC 3339 in UTC.
-- fragment: time(x)
to_char(@x AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')

-- A time as microseconds since the epoch.
-- fragment: usec(x)
(extract(epoch FROM @x) * 1000000)::bigint

-- What e-mail addresses are compared by. As email_fold() does, it folds ASCII letters and no others, whatever the locale
-- of the database.
-- fragment: email_key(x)
lower((@x)::text COLLATE "C")

-- Whether the account u is an administrator of the backend: what a session of it may do (docs/adr/0060). No other statement asks for
-- the column.
-- fragment: is_administrator(u)
(@u.administrator AND @u.locked_at IS NULL)

-- Remembers that the user_id of a FROM list has logged in from :network.
-- fragment: remember_network(from)
INSERT INTO account_networks (user_id, network) SELECT user_id, nullif(:network::text, '')::cidr FROM @from WHERE :network::text <> ''
 ON CONFLICT (user_id, network) DO UPDATE SET seen_at = now()

-- Before it: room for that network, of which an account has at most 64. The one not seen for longest goes.
-- fragment: forget_network(from)
DELETE FROM account_networks WHERE (user_id, network) IN (SELECT user_id, network FROM account_networks
 WHERE (user_id, network) IN (SELECT n.user_id, n.network FROM account_networks n WHERE n.user_id = (SELECT user_id FROM @from)
  AND n.network <> nullif(:network::text, '')::cidr ORDER BY n.seen_at DESC OFFSET 63) FOR UPDATE SKIP LOCKED)

-- Whether the user of this id had fewer than five mails of this kind in the last hour.
-- fragment: may_mail(user_id, kind)
(SELECT count(*) FROM notification_outbox o WHERE o.user_id = @user_id
 AND o.payload ->> 'kind' = '@kind' AND o.created_at > now() - interval '1 hour') < 5

-- Requests a mail of this kind ("verify", "reset", …) for each u of a FROM list: rows with the id and email of accounts.
-- Only writes into the outbox: call notifier_kick() after the commit.
-- fragment: account_mail(kind, from)
INSERT INTO notification_outbox (public_id, queue, user_id, payload)
 SELECT notification_id(), 'account ' || u.id, u.id, jsonb_build_object('kind', '@kind', 'email', u.email)
 FROM @from

-- Whether the agent of servers s is older than this backend. Of its version only the numbers count (1.2 or 1.2.3); without them, it is not.
-- fragment: agent_is_outdated
coalesce((SELECT (v[1]::bigint * 1000 + v[2]::bigint) * 1000 + coalesce(v[3]::bigint, 0)
 FROM regexp_match(s.agent_version, '^(\d{1,6})\.(\d{1,3})(?:\.(\d{1,3}))?(?!\d)') v) < @SSI_VERSION_NUMBER, false)

-- Whether the token t of a mail allows a new password of its user u: it was mailed to the account's address, or to a former one from
-- which a change of it can still be undone.
-- fragment: resets(t, u)
(@t.expires_at > now() AND (@t.purpose = 'undo' OR (@t.purpose = 'reset' AND @email_key(@u.email) = @email_key(@t.email))))

-- The account that somebody registered with an address and never confirmed gives way to that of t.user_id, whose owner has proved to
-- read the address' mail. Count the rows before you set the address: the unique index must see that it is gone.
-- fragment: make_way(email, proved)
DELETE FROM users x USING t WHERE @proved AND @email_key(x.email) = @email_key(@email) AND x.id <> t.user_id AND NOT x.confirmed RETURNING 1

-- closed, invite, open, or null.
-- fragment: kept_sign_up
(SELECT convert_from(value, 'UTF8') FROM settings WHERE key = 'sign_up')

-- Whether sign-up is kept in one of these modes ('': in none), or no modes are given. Asked again in the statement that makes
-- the account, because hashing the password takes time.
-- fragment: sign_up_is_in(modes)
(@modes::text[] IS NULL OR coalesce(@kept_sign_up, '') = ANY (@modes::text[]))

-- Whether the invitation can still be used.
-- fragment: is_pending(i)
(@i.used_at IS NULL AND @i.expires_at > now())

-- Whether the invitation admits this address.
-- fragment: admits(i, email)
(@is_pending(@i) AND (@i.email IS NULL OR @email_key(@i.email) = @email_key(@email)))

-- Records an act in the audit log, in the statement that does it, as "audited AS (@audit(…))": for the one u of a FROM
-- list with the account's public_id and email. :actor is of audit_actor_text(); without it, the statement fails. The
-- result then has @audited as its last column, from which audit_journal() writes the journal.
-- fragment: audit(event, object, name, from)
INSERT INTO audit_log AS logged (event, account, email, actor, address, method, credential, object, name, fold)
 SELECT '@event', e.account, e.email, e.actor, e.address, e.method, e.credential,
  CASE WHEN e.fold IS NULL THEN e.object END, CASE WHEN e.fold IS NULL THEN e.name END, e.fold
 FROM (SELECT u.public_id AS account, u.email, nullif(coalesce(by.who, u.public_id), '') AS actor, by.address, by.method, by.credential,
   (@object)::text AS object, (@name)::text AS name, audit_fold(u.public_id, '@event', by.address, coalesce(by.who, u.public_id)) AS fold
  FROM jsonb_to_record(coalesce(:actor::jsonb, '{}')) AS by(who text, address text, method text, credential text), @from) e
 ON CONFLICT (fold) DO UPDATE SET count = logged.count + 1, last_at = now(),
  address = CASE WHEN logged.address = excluded.address THEN logged.address ELSE 'several' END
 RETURNING to_json(logged) AS entry

-- fragment: audited
(SELECT json_agg(entry) FROM audited) AS audit

-- Which entries l of all accounts are found: those about or by an account, with this outcome.
-- fragment: audit_of_all
((:account::text IS NULL OR :account IN (l.account, l.actor) OR @email_key(l.email) = @email_key(:account))
 AND (:outcome::text IS NULL OR l.outcome = :outcome))

-- The newest entries l of the audit log that fit, before the one with the id :before.
-- fragment: audit_entries(condition)
(SELECT * FROM audit_log l WHERE (@condition) AND l.id < coalesce(:before::bigint, 9223372036854775807)
 AND (:since::timestamptz IS NULL OR l.last_at >= :since::timestamptz) AND (:until::timestamptz IS NULL OR l.at < :until::timestamptz)
 AND (:event::text IS NULL OR l.event = :event OR starts_with(l.event, :event || '.')) ORDER BY l.id DESC LIMIT :limit::int) l

-- Whether the invitation is to a team, and whoever made it may still invite to it.
-- fragment: is_backed(i)
(@i.team_id IS NOT NULL AND (@i.invited_by IS NULL OR EXISTS (SELECT FROM team_members b WHERE b.team_id = @i.team_id
 AND b.user_id = @i.invited_by AND b.role >= greatest('admin', @i.role))))
