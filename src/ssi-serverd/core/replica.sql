-- SPDX-License-Identifier: LGPL-2.1-or-later

-- Of the primary, as text: its timeline, and up to where its write-ahead log contains all that is visible by now. A commit
-- is visible once it is flushed; without synchronous_commit, before that.
-- fragment: position
(('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::int || ' ' ||
 CASE current_setting('synchronous_commit') WHEN 'off' THEN pg_current_wal_insert_lsn() ELSE pg_current_wal_flush_lsn() END)

-- Of a standby: the timeline that it follows. The control file learns of a new one with the next restartpoint, up to some minutes
-- later; what it receives is known at once, but only to who may read all statistics. It would not receive a timeline that begins
-- before what it has replayed.
-- fragment: followed
greatest(c.timeline_id, r.min_recovery_end_timeline, (SELECT received_tli FROM pg_stat_wal_receiver))

-- fragment: control
pg_control_system() s, pg_control_checkpoint() c, pg_control_recovery() r

-- name: primary_position
SELECT @position, system_identifier FROM pg_control_system()

-- name: replica_look
SELECT pg_is_in_recovery(), s.system_identifier, @followed, pg_last_wal_replay_lsn() FROM @control

-- On the connection of the statement that follows: there may be several standbys behind one name.
-- name: replica_guard
SELECT pg_is_in_recovery() AND s.system_identifier = :system::bigint AND @followed = split_part(:position, ' ', 1)::int
 AND pg_last_wal_replay_lsn() >= split_part(:position, ' ', 2)::pg_lsn FROM @control
