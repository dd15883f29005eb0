-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- Of each kind of refusal, one row per minute, account and network, also when several instances refuse.
-- name: audit_refused
WITH audited AS (INSERT INTO audit_log AS logged (event, outcome, account, email, actor, address, method, count, fold)
  SELECT r.event, r.outcome, r.account, u.email, r.actor, r.network, r.method, r.count, concat_ws(' ', 'refusal', r.minute, r.event,
   r.outcome, r.method, r.network, r.actor, r.account)
  FROM jsonb_to_recordset(:refusals::jsonb) AS r(event text, outcome text, account text, actor text, network text, method text,
   count bigint, minute bigint) LEFT JOIN users u ON u.public_id = r.account
  ON CONFLICT (fold) DO UPDATE SET count = logged.count + excluded.count, last_at = now() RETURNING to_json(logged) AS entry)
SELECT @audited
