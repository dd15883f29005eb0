-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- Numbers first: AUDIT_NUMBERS.
-- name: admin_list_audit
SELECT l.id, @usec(l.at) AS at_usec, @usec(l.last_at) AS last_at_usec, l.count, l.event, l.outcome, l.account, l.email, l.actor, l.address,
 l.method, l.credential, l.object, l.name
 FROM @audit_entries(@audit_of_all)

-- What no account is concerned with.
-- name: audit_administration
WITH audited AS (INSERT INTO audit_log AS logged (event, outcome, actor, address, method)
  SELECT :event, :outcome, by.who, by.address, by.method FROM jsonb_to_record(:actor::jsonb) AS by(who text, address text, method text)
  RETURNING to_json(logged) AS entry)
SELECT @audited
