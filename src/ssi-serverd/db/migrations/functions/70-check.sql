-- SPDX-License-Identifier: LGPL-2.1-or-later
-- For "ssictl server check".

-- Compares the B-trees of the present database with what they index, the smallest first, up to that size together, with the extension amcheck, if it is installed
-- and the role may use it: a row for each that is damaged, with the reason. A damaged one is no error of this function.
CREATE OR REPLACE FUNCTION check_btrees(max_bytes bigint, OUT index text, OUT reason text) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
        place text := (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                       WHERE e.extname = 'amcheck');
        found record;
BEGIN
        IF place IS NULL OR NOT has_function_privilege(place || '.bt_index_check(regclass)', 'EXECUTE') THEN
                RETURN;
        END IF;
        FOR found IN SELECT x.indexrelid FROM (SELECT i.indexrelid, sum(c.relpages * 8192::bigint) OVER (ORDER BY c.relpages, c.oid) AS bytes
                      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
                      WHERE a.amname = 'btree' AND c.relkind = 'i' AND i.indisvalid AND c.relpersistence = 'p'
                      AND c.relnamespace = 'public'::regnamespace) x WHERE x.bytes <= max_bytes ORDER BY x.bytes LOOP
                BEGIN
                        EXECUTE format('SELECT %s.bt_index_check($1)', place) USING found.indexrelid::regclass;
                EXCEPTION
                        WHEN undefined_table OR lock_not_available THEN
                                CONTINUE;
                        WHEN OTHERS THEN
                                index := found.indexrelid::regclass;
                                reason := SQLERRM;
                                RETURN NEXT;
                END;
        END LOOP;
END
$$;
