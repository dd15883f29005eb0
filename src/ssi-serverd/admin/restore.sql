-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Statements around a backup in the transaction that restores it.

-- A statement still under way, of this or another instance, could deadlock with the DROPs: its session is terminated.
-- Remembers the current epochs of the agents' sessions, to fence them. Then drops everything that this server has in
-- the database; objects of extensions stay. All names are collected before anything is dropped, while public is in the
-- search path: an object whose type is gone has no name any more.
-- name: restore_before
SET LOCAL client_min_messages = error;
 DO $$ BEGIN PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid(); END $$;
 CREATE TEMP TABLE ssi_epochs AS SELECT public_id, session_epoch FROM public.servers;
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
  FROM pg_temp.ssi_epochs e WHERE e.public_id = s.public_id

-- After the transaction: other instances reconnect, since what they know of the database is outdated.
-- name: restore_terminate
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
 AND usename = current_user AND pid <> pg_backend_pid()
