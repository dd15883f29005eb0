-- SPDX-License-Identifier: LGPL-2.1-or-later

-- A time as text: RFC 3339 in UTC.
-- fragment: time(x)
to_char(@x AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')

-- A time as microseconds since the epoch.
-- fragment: usec(x)
(extract(epoch FROM @x) * 1000000)::bigint

-- Requests a mail of this kind ("verify", "reset") for each u of a FROM list: rows with the id and email of accounts.
-- Only writes into the outbox: call notifier_kick() after the commit.
-- fragment: account_mail(kind, from)
INSERT INTO notification_outbox (public_id, queue, user_id, payload)
 SELECT notification_id(), 'account ' || u.id, u.id, jsonb_build_object('kind', '@kind', 'email', u.email)
 FROM @from
