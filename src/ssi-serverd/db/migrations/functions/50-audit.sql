-- SPDX-License-Identifier: LGPL-2.1-or-later
-- The audit log.

-- Whether an account's act gets an entry of its own (null), or is counted in one for the hour: an account that makes
-- entries without end would fill the disk. What an administrator does is never counted together.
CREATE OR REPLACE FUNCTION audit_fold(of_account text, event text, address text) RETURNS text LANGUAGE sql STABLE AS $$
 SELECT 'act ' || of_account || ' ' || event || to_char(now() AT TIME ZONE 'UTC', ' YYYY-MM-DD HH24')
 WHERE address <> 'bus' AND EXISTS (SELECT FROM audit_log l WHERE l.account = of_account AND l.outcome = 'done'
  AND l.fold IS NULL AND l.at > now() - interval '1 day' OFFSET 999)
$$;
