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

-- Remembers that the user_id of a FROM list has logged in from :network.
-- fragment: remember_network(from)
INSERT INTO account_networks (user_id, network) SELECT user_id, nullif(:network::text, '')::cidr FROM @from WHERE :network::text <> ''
 ON CONFLICT (user_id, network) DO UPDATE SET seen_at = now()

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

-- closed, invite, open, or null.
-- fragment: kept_sign_up
(SELECT convert_from(value, 'UTF8') FROM settings WHERE key = 'sign_up')

-- Whether the invitation can still be used.
-- fragment: is_pending(i)
(@i.used_at IS NULL AND @i.expires_at > now())

-- Whether the invitation admits this address.
-- fragment: admits(i, email)
(@is_pending(@i) AND (@i.email IS NULL OR @email_key(@i.email) = @email_key(@email)))
