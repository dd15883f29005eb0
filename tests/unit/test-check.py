#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The statements of "ssictl server check", each with a fault that it must find. tests/system/test_server_check.py runs all of it.

Usage: test-check.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import datetime
import importlib.util
import unittest
from pathlib import Path

import pq
import serverd
from serverd import User, sql, wait_until

ROOT = Path(__file__).resolve().parents[2] / "src/ssi-serverd"
SPEC = importlib.util.spec_from_file_location("sql_embed", ROOT / "db/sql-embed.py")
sql_embed = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(sql_embed)
ARGUMENTS = {"newest": "(SELECT max(version) FROM schema_migrations)", "keep": "7", "max_bytes": "268435456"}


def check(name, **arguments):
    """What is not OK: statuses, messages, advices; without any, the first line must be OK."""
    sections = sql_embed.read(str(ROOT), "model/check.sql", [])
    section = sections["check_" + name]
    text, order = sql_embed.number(sql_embed.expand(section.text(), sections, {}, section.place), section)
    given = {**ARGUMENTS, **arguments}
    values = ", ".join(sql(f"SELECT quote_literal({given[k]}::text)") for k in order)
    rows = serverd.backend.sql.rows(f"PREPARE c AS {text}; EXECUTE c{f'({values})' if values else ''}; DEALLOCATE c")
    found = [tuple(row) for row in rows if row[0] != "OK"]
    assert found or (rows[0][0] == "OK" and rows[0][1] and not rows[0][2]), rows
    assert all(advice for *_, advice in found), found
    # The worst comes first.
    assert [row[0] for row in rows] == sorted((row[0] for row in rows), key=["FAILURE", "WARNING", "OK"].index), rows
    return found


def day(n):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=n)).strftime("%Y%m%d")


class Check(unittest.TestCase):
    def only(self, name, **arguments):
        found = check(name, **arguments)
        self.assertEqual(len(found), 1, found)
        return found[0]

    def test_nothing_is_wrong(self):
        User().server()
        for name in ("version", "partitions", "indexes", "orphans", "vacuum", "replication", "deliveries"):
            with self.subTest(name):
                self.assertEqual(check(name), [])

    def test_version(self):
        self.assertEqual(self.only("version", newest="5")[0], "WARNING")
        self.assertEqual(self.only("version", newest="9999")[0], "FAILURE")

    def test_partitions(self):
        sql(f"ALTER TABLE events DETACH PARTITION events_{day(2)}")
        self.assertEqual([f[:2] for f in check("partitions")],
                         [("WARNING", "Days of the next three for which the history has no partition: 1."),
                          ("WARNING", f"The table events_{day(2)} is not part of the history.")])
        sql(f"ALTER TABLE events DETACH PARTITION events_{day(0)}")
        self.assertTrue(check("partitions")[0][1].startswith("The history has no partition for today, "))
        self.assertEqual(check("partitions")[0][0], "FAILURE")
        for n in (0, 2):
            sql(f"ALTER TABLE events ATTACH PARTITION events_{day(n)} FOR VALUES FROM ('{day(n)} 00:00+00') TO ('{day(n + 1)} 00:00+00')")
        sql(f"CREATE TABLE events_{day(-30)} PARTITION OF events FOR VALUES FROM ('{day(-30)} 00:00+00') TO ('{day(-29)} 00:00+00')")
        self.assertTrue(self.only("partitions")[1].startswith("Days of history that should be gone: 1, from "))
        sql(f"DROP TABLE events_{day(-30)}")
        sql("INSERT INTO events (received_at, server_id, service, kind, at) VALUES (now() - interval '99 days', 1000, 'x', 'result', now())")
        self.assertEqual(self.only("partitions")[1], "Results outside the partitions of their days: 1.")
        self.assertEqual(self.only("orphans")[1], "Servers that do not exist, but have results in the history: 1.")
        sql("DELETE FROM events WHERE service = 'x'")

    def test_indexes(self):
        sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'servers_user'::regclass")
        self.assertEqual(self.only("indexes"), ("WARNING", "The index servers_user is not valid: queries do not use it.",
                                                "REINDEX INDEX CONCURRENTLY servers_user."))
        sql("UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'servers_user'::regclass")
        sql("ALTER TABLE silences ADD CONSTRAINT positive CHECK (id > 0) NOT VALID")
        self.assertEqual(self.only("indexes")[1:], ("The constraint positive of silences is not validated.",
                                                    "ALTER TABLE silences VALIDATE CONSTRAINT positive."))
        sql("ALTER TABLE silences DROP CONSTRAINT positive")

    def test_a_damaged_index(self):
        """Its order is not that of its operators any more, as after another version of the locale."""
        body = "CREATE OR REPLACE FUNCTION odd(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT sign($%d - $%d)::int $$"
        sql("CREATE EXTENSION amcheck")
        sql(f"{body % (1, 2)}; CREATE OPERATOR CLASS odd FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,"
            " OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 odd(int, int); CREATE TABLE damaged (x int);"
            " INSERT INTO damaged SELECT generate_series(1, 10); CREATE INDEX damaged_x ON damaged (x odd)")
        try:
            self.assertEqual(check("indexes"), [])
            sql(body % (2, 1))
            status, message, advice = self.only("indexes")
            self.assertEqual(status, "FAILURE")
            self.assertIn("The index damaged_x is damaged: item order invariant violated", message)
            self.assertTrue(advice.startswith("REINDEX INDEX CONCURRENTLY damaged_x"))
            # Nothing fits in.
            self.assertEqual(check("indexes", max_bytes="0"), [])
        finally:
            sql("DROP TABLE damaged; DROP OPERATOR FAMILY odd USING btree; DROP FUNCTION odd(int, int); DROP EXTENSION amcheck")

    def test_orphans(self):
        server = User().server().server
        sql(f"UPDATE servers SET connected = true, instance = 'ins-gone', last_seen = now() - interval '1 hour' WHERE public_id = '{server}'")
        try:
            self.assertEqual(self.only("orphans")[1], "Servers that count as connected to instances that are gone: 1.")
        finally:
            sql(f"UPDATE servers SET connected = false WHERE public_id = '{server}'")

    def test_vacuum(self):
        sql("ALTER SYSTEM SET autovacuum = off")
        sql("SELECT pg_reload_conf()")
        wait_until(lambda: check("vacuum") and self.only("vacuum")[1] == "Autovacuum is off.")
        sql("ALTER SYSTEM RESET autovacuum")
        sql("SELECT pg_reload_conf()")
        wait_until(lambda: check("vacuum") == [])

    def test_replication(self):
        sql("SELECT pg_create_physical_replication_slot('gone', true)")
        status, message, advice = self.only("replication")
        self.assertEqual(status, "WARNING")
        self.assertTrue(message.startswith("The replication slot gone is not used and keeps "), message)
        self.assertIn("pg_drop_replication_slot('gone')", advice)
        sql("SELECT pg_drop_replication_slot('gone')")
        # Commits wait from now on; those of this connection do not.
        observer = pq.Connection(serverd.backend.sql.conninfo.decode())
        sql("SET synchronous_commit = local")
        sql("ALTER SYSTEM SET synchronous_standby_names = 'other'")
        sql("SELECT pg_reload_conf()")
        try:
            wait_until(lambda: observer.rows("SHOW synchronous_standby_names") == [["other"]])
            self.assertEqual(check("replication"), [])
            sql("SET synchronous_commit = on")
            wait_until(lambda: check("replication") and self.only("replication")[:2] ==
                       ("FAILURE", "No synchronous standby is connected (other): commits wait."))
        finally:
            sql("SET synchronous_commit = local")
            sql("ALTER SYSTEM RESET synchronous_standby_names")
            sql("SELECT pg_reload_conf()")
            observer.close()
            serverd.backend.sql.close()

    def test_deliveries(self):
        owner = User()
        sql("INSERT INTO notification_outbox (public_id, queue, user_id, payload, due_at) SELECT 'ntf-late', 'account x', id, '{}',"
            f" now() - interval '1 hour' FROM users WHERE email = '{owner.email}'")
        sql("UPDATE notification_outbox SET due_at = now() - interval '1 hour', state = 'queued' WHERE public_id = 'ntf-late'")
        rows = check("deliveries")
        sql("DELETE FROM notification_outbox WHERE public_id = 'ntf-late'")
        self.assertTrue(rows and rows[0][1].startswith("Notifications that are late: 1, the oldest by 01:00:0"), rows)


if __name__ == "__main__":
    serverd.main()
