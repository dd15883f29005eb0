-- SPDX-License-Identifier: LGPL-2.1-or-later

-- A row per table, and the database's own figures in each.
-- name: database_figures
SELECT d.bytes, d.age, d.age_limit, d.kept_wal, d.oldest_transaction, d.data_directory, t.name, t.table_bytes, t.index_bytes, t.live, t.dead,
 t.waiting, extract(epoch FROM t.vacuumed_at)::bigint
 FROM database_figures() d LEFT JOIN database_tables() t ON true ORDER BY t.table_bytes + t.index_bytes DESC NULLS LAST
