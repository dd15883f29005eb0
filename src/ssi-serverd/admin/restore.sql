-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Statements around a backup in the transaction that restores it.

-- What runs by itself or changes what a statement means. ssi-serverd has none of it; an administrator may.
-- fragment: foreign_objects
SELECT 'rule ' || r.rulename AS name FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
  WHERE c.relnamespace = 'public'::regnamespace AND r.rulename <> '_RETURN'
 UNION ALL SELECT 'policy ' || p.polname FROM pg_policy p
 UNION ALL SELECT 'relation ' || c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
  AND c.relkind NOT IN ('r', 'p', 'i', 'I', 'S', 't')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
 UNION ALL SELECT 'schema ' || n.nspname FROM pg_namespace n WHERE n.nspname !~ '^pg_(temp|toast)'
 UNION ALL SELECT 'extension ' || e.extname FROM pg_extension e
 UNION ALL SELECT 'language ' || l.lanname FROM pg_language l
 UNION ALL SELECT 'event trigger ' || t.evtname FROM pg_event_trigger t
 UNION ALL SELECT 'operator ' || o.oid::regoperator FROM pg_operator o WHERE o.oprnamespace = 'public'::regnamespace
 UNION ALL SELECT 'cast to ' || format_type(c.casttarget, NULL) FROM pg_cast c WHERE c.oid >= 16384
 UNION ALL SELECT 'setting ' || s FROM pg_db_role_setting d, unnest(d.setconfig) s

-- What runs when it is called or when a row changes, with all that CREATE OR REPLACE cannot change.
-- fragment: routines
SELECT p.oid, concat_ws(' ', p.prokind, p.oid::regprocedure, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)) AS name
 FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
-- fragment: triggers
SELECT t.tgname, t.tgrelid, concat_ws(' ', t.tgrelid::regclass, t.tgname, t.tgconstraint <> 0) AS name
 FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE c.relnamespace = 'public'::regnamespace AND NOT t.tgisinternal AND t.tgparentid = 0

-- A statement still under way, of this or another instance, could deadlock with the DROPs: its session is terminated.
-- Keeps the audit log, which a restore must not rewrite, also what the last restore has not added yet: audit_carry() adds it to that
-- of the backup.
-- Remembers the current epochs of the agents' sessions, to fence them. Then drops everything that this server has in
-- the database; objects of extensions stay. All names are collected before anything is dropped, while public is in the
-- search path: an object whose type is gone has no name any more.
-- name: restore_before
SET LOCAL client_min_messages = error;
 DO $$ BEGIN PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid(); END $$;
 CREATE TEMP TABLE ssi_audit AS SELECT to_jsonb(l) AS entry FROM public.audit_log l;
 DO $$ BEGIN IF to_regclass('public.audit_carried') IS NOT NULL THEN
  EXECUTE 'INSERT INTO pg_temp.ssi_audit SELECT entry FROM public.audit_carried'; END IF; END $$;
 CREATE TEMP TABLE ssi_epochs AS SELECT public_id, session_epoch FROM public.servers;
 CREATE TEMP TABLE ssi_foreign AS @foreign_objects;
 CREATE TEMP TABLE ssi_code AS SELECT x.name FROM (@routines) x UNION ALL SELECT x.name FROM (@triggers) x;
 DO $$ DECLARE command text; BEGIN
 FOREACH command IN ARRAY (SELECT coalesce(array_agg(format('DROP %s IF EXISTS %s CASCADE', kind, name)), '{}')
  FROM (SELECT 'TABLE' AS kind, c.oid::regclass::text AS name FROM pg_class c
   WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
  UNION ALL SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
    ELSE 'SEQUENCE' END, c.oid::regclass::text FROM pg_class c
   WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('v', 'm', 'S')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'e', 'i'))
  UNION ALL SELECT 'ROUTINE', p.oid::regprocedure::text FROM pg_proc p
   WHERE p.pronamespace = 'public'::regnamespace
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
  UNION ALL SELECT 'TYPE', t.oid::regtype::text FROM pg_type t
   WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('d', 'e', 'r')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
  ) o) LOOP EXECUTE command; END LOOP; END $$

-- Runs after the backup has been read completely.
-- name: restore_complete
SET ssi.complete = 'yes';

-- What the backup may have for audit_carry() is not ours.
-- The backup left the search path empty, but our triggers need it. An agent whose session is newer than the backup must
-- not continue in the restored past as if nothing had happened: it reconnects and learns the cursor after which results
-- are missing.
-- name: restore_after
SET LOCAL search_path = public;
 DO $$ DECLARE version int; BEGIN
 IF current_setting('ssi.complete', true) IS DISTINCT FROM 'yes' THEN
  RAISE EXCEPTION 'The backup is not complete.'; END IF;
 IF to_regclass('public.schema_migrations') IS NULL OR to_regclass('public.servers') IS NULL THEN
  RAISE EXCEPTION 'This is not a backup of ssi-serverd.'; END IF;
 SELECT max(m.version) INTO version FROM public.schema_migrations m;
 IF version > current_setting('ssi.newest')::int THEN
  RAISE EXCEPTION 'The backup was made by a newer ssi-serverd (schema version %, supported is %): upgrade first.',
   version, current_setting('ssi.newest'); END IF;
 IF NOT EXISTS (SELECT FROM public.schema_migrations m WHERE m.version = current_setting('ssi.oldest')::int) THEN
  RAISE EXCEPTION 'The backup was made by a development version of ssi-serverd (schema %) and cannot be upgraded.',
   version;
  END IF; END $$;
 UPDATE public.servers s SET connected = false,
  session_epoch = greatest(s.session_epoch, e.session_epoch) + 1
  FROM pg_temp.ssi_epochs e WHERE e.public_id = s.public_id;
 DROP TABLE IF EXISTS public.audit_carried;
 CREATE TABLE public.audit_carried (entry jsonb NOT NULL);
 INSERT INTO public.audit_carried SELECT entry FROM pg_temp.ssi_audit UNION ALL SELECT to_jsonb(r) FROM (SELECT now() AS at,
  now() AS last_at, 1 AS count, 'restore.done' AS event, 'done' AS outcome, by.who AS actor, by.address, by.method
  FROM jsonb_to_record(current_setting('ssi.actor')::jsonb) AS by(who text, address text, method text)) r

-- A backup is data. Routines and triggers that were not here before go. The others stay, because other instances use them before
-- the migrations after the restore replace them all with those of our own files: that they have been applied is forgotten.
-- name: restore_clean
DO $$ DECLARE command text; BEGIN
 SELECT string_agg(o.name, ', ') INTO command FROM (@foreign_objects EXCEPT ALL SELECT f.name FROM pg_temp.ssi_foreign f) o;
 IF command IS NOT NULL THEN
  RAISE EXCEPTION 'The backup contains what no backup of ssi-serverd does: %.', command; END IF;
 FOREACH command IN ARRAY (SELECT coalesce(array_agg(format('DROP TRIGGER %I ON %s', x.tgname, x.tgrelid::regclass)), '{}')
  FROM (@triggers) x WHERE x.name NOT IN (SELECT c.name FROM pg_temp.ssi_code c)) LOOP EXECUTE command; END LOOP;
 SELECT 'DROP ROUTINE ' || string_agg(x.oid::regprocedure::text, ', ') || ' CASCADE' INTO command FROM (@routines) x
  WHERE x.name NOT IN (SELECT c.name FROM pg_temp.ssi_code c);
 IF command IS NOT NULL THEN EXECUTE command; END IF;
 IF to_regclass('public.schema_functions') IS NOT NULL THEN EXECUTE 'DELETE FROM public.schema_functions'; END IF; END $$

-- After the transaction: other instances reconnect, since what they know of the database is outdated.
-- name: restore_terminate
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
 AND usename = current_user AND pid <> pg_backend_pid()
