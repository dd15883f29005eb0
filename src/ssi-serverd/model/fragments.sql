-- SPDX-License-Identifier: LGPL-2.1-or-later

-- A time as RFC 3339 in UTC, as a text.
-- fragment: time(x)
to_char(@x AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')

-- And as microseconds since the epoch.
-- fragment: usec(x)
(extract(epoch FROM @x) * 1000000)::bigint

-- Asks for a mail of this kind ("verify", "reset") to each u of what comes FROM: rows with the id and email of
-- accounts. Only writes into the outbox: notifier_kick() after the commit has it looked at.
-- fragment: account_mail(kind, from)
INSERT INTO notification_outbox (public_id, queue, user_id, payload)
 SELECT notification_id(), 'account ' || u.id, u.id, jsonb_build_object('kind', '@kind', 'email', u.email)
 FROM @from
