-- SPDX-License-Identifier: LGPL-2.1-or-later
-- The audit log.

-- Whether an account's act gets an entry of its own (null), or is counted in one for the hour: an account that makes
-- entries without end would fill the disk. Each actor counts by itself, so that one agent's key hides nothing that a session does.
-- What an administrator does is never counted together.
DROP FUNCTION IF EXISTS audit_fold(text, text, text);
CREATE OR REPLACE FUNCTION audit_fold(of_account text, event text, address text, by_actor text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
        IF address <> 'bus' AND EXISTS (SELECT FROM audit_log l WHERE l.account = of_account AND l.actor = by_actor AND l.outcome = 'done'
          AND l.fold IS NULL AND l.at > now() - interval '1 day' OFFSET 999) THEN
                RETURN 'act ' || of_account || ' ' || by_actor || ' ' || event || to_char(now() AT TIME ZONE 'UTC', ' YYYY-MM-DD HH24');
        END IF;
        RETURN NULL;
END
$$;

-- After a restore: adds what the audit log held before to that of the backup, which may be of an older version. Of an entry that both
-- have, the backup's is replaced: the file may have been altered. The entry of the restore, which is returned as by @audited, says how
-- many others came with the file.
CREATE OR REPLACE FUNCTION audit_carry() RETURNS json LANGUAGE plpgsql AS $$
DECLARE
        result json;
BEGIN
        PERFORM pg_advisory_xact_lock(5461835);
        IF to_regclass('audit_carried') IS NULL THEN
                RETURN NULL;
        END IF;
        CREATE TEMP TABLE audit_before ON COMMIT DROP AS
         SELECT e.* FROM audit_carried c CROSS JOIN jsonb_populate_record(NULL::audit_log, c.entry) e;
        DELETE FROM audit_log l USING audit_before e WHERE l.fold IS NULL AND e.fold IS NULL AND l.at = e.at AND l.event = e.event
         AND l.account IS NOT DISTINCT FROM e.account AND l.object IS NOT DISTINCT FROM e.object;
        UPDATE audit_before e SET name = 'from the backup alone: ' || foreigners.n || ' entries'
         FROM (SELECT count(*) AS n FROM audit_log l WHERE NOT EXISTS (SELECT FROM audit_before b WHERE b.fold = l.fold)) foreigners
         WHERE e.event = 'restore.done' AND e.id IS NULL AND foreigners.n > 0;
        WITH carried AS (INSERT INTO audit_log (at, last_at, count, event, outcome, account, email, actor, address, method, credential, object,
          name, fold) SELECT e.at, e.last_at, e.count, e.event, e.outcome, e.account, e.email, e.actor, e.address, e.method, e.credential,
          e.object, e.name, e.fold FROM audit_before e
          ORDER BY e.id NULLS LAST ON CONFLICT (fold) DO UPDATE SET at = excluded.at, event = excluded.event, outcome = excluded.outcome,
          account = excluded.account, email = excluded.email, actor = excluded.actor, address = excluded.address, method = excluded.method,
          credential = excluded.credential, object = excluded.object, name = excluded.name,
          count = greatest(audit_log.count, excluded.count), last_at = greatest(audit_log.last_at, excluded.last_at) RETURNING *)
         SELECT json_agg(n) INTO result FROM (SELECT * FROM carried WHERE event = 'restore.done' ORDER BY at DESC LIMIT 1) n;
        DROP TABLE audit_carried;
        DROP TABLE audit_before;
        RETURN result;
END
$$;
