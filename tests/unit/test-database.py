#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Between the backend and PostgreSQL: a pooler in each of its modes, a database that hangs, what instances tell each other by it,
and what the last release can do with its schema.

Usage: test-database.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import time
import unittest

import serverd
from pooler import pooler
from serverd import User, get, request, update, wait_until

URL = "host=127.0.0.1 port={} user=ssi dbname=postgres"

@contextlib.contextmanager
def server(url, want):
    """The second instance with this connection string, until its /readyz says so."""
    backend = serverd.backend
    assert backend.stop_server(1) == 0
    backend.start_server(1, url, want)
    try:
        yield
    finally:
        assert backend.stop_server(1) == 0
        backend.start_server(1)


class Poolers(unittest.TestCase):
    def test_session_mode(self):
        user = User()
        with pooler(serverd.backend, "session") as port, server(URL.format(port), 200):
            self.assertEqual(get("/users/me", user.token, i=1)["email"], user.email)

    def test_transaction_mode(self):
        with pooler(serverd.backend, "transaction") as port, server(URL.format(port), 503):
            def refused():
                return request("GET", "/readyz", i=1)[1]["detail"].startswith("The database's notifications do not arrive.")

            wait_until(refused)
            # By name, to whoever asks.
            _, answer, _ = request("POST", "/api/v1/users/login", {"email": "x@example.org", "password": "x"}, i=1, want=503)
            self.assertIn("session mode", answer["detail"])


class Notifications(unittest.TestCase):
    def heard(self, action):
        """What is notified during it and for a second after."""
        backend = serverd.backend
        listener = subprocess.Popen([backend.programs + "/psql", "-h", backend.dir, "-U", "ssi", "-X", "postgres"], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        listener.stdin.write("LISTEN ssi_changes;\n")
        listener.stdin.flush()
        self.assertEqual(listener.stdout.readline(), "LISTEN\n")
        action()
        time.sleep(1)
        return listener.communicate("SELECT 1;\n", timeout=20)[0]

    def test_only_for_viewers(self):
        user = User()
        agent, owner = user.server(), get("/users/me", user.token)["id"]

        async def report(text):
            async with agent.connect() as ws:
                await agent.start(ws)
                for n in range(200):
                    await ws.send(update("disk", "OK", f"{text}{n}", cursor=f"c{n}"))
                while json.loads(await ws.recv()).get("payload", {}).get("cursor") != "c199":
                    pass

        # Other instances must know of the session, but nobody looks at the results.
        text = self.heard(lambda: asyncio.run(report("unseen")))
        self.assertIn(f"e {owner} {agent.server}", text)
        self.assertNotIn(f"v {owner} {agent.server}", text)

        stream = user.stream(1)
        text = self.heard(lambda: asyncio.run(report("seen")))
        self.assertIn(f"v {owner} {agent.server} disk", text)
        stream.wait("service", lambda d: d["service"]["message"] == "seen199")
        # Many commits make few notifications.
        self.assertLess(text.count("Asynchronous"), 100)


class Silence(unittest.TestCase):
    def test_a_database_that_hangs(self):
        """It takes what is sent and never answers: /readyz does not wait for it."""
        backend = serverd.backend
        children = subprocess.run(["pgrep", "-P", str(backend.database.pid)], check=True, capture_output=True, text=True).stdout.split()
        wait_until(lambda: request("GET", "/readyz")[0] == 200)
        for pid in children:
            os.kill(int(pid), signal.SIGSTOP)
        try:
            wait_until(lambda: request("GET", "/readyz")[0] == 503)
        finally:
            for pid in children:
                os.kill(int(pid), signal.SIGCONT)
        wait_until(lambda: request("GET", "/readyz")[0] == 200)


# What a program can use, and what it must give. Functions that only triggers call are no program's business.
OFFERS = """
SELECT 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
 FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL SELECT 'value ' || t.typname || ' ' || e.enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
UNION ALL SELECT 'function ' || p.oid::regprocedure || ' ' || pg_get_function_result(p.oid) FROM pg_proc p
 WHERE p.pronamespace = 'public'::regnamespace AND p.prorettype <> 'trigger'::regtype"""
DEMANDS = """
SELECT 'required ' || c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
UNION ALL SELECT 'constraint ' || conrelid::regclass || ': ' || pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace AND conparentid = 0 AND conrelid <> 0
UNION ALL SELECT 'unique ' || i.indrelid::regclass || ': ' || regexp_replace(pg_get_indexdef(i.indexrelid), '.* USING ', '') FROM pg_index i
 JOIN pg_class c ON c.oid = i.indrelid WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace AND NOT c.relispartition"""
RELEASED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures/schema/released")


def table_of(line):
    return line.split()[1].split(".")[0].rstrip(":")


class Schema(unittest.TestCase):
    """The last release goes on working with this schema (docs/adr/0056)."""

    def compare(self, released):
        """What is wrong."""
        offers, demands = ({row[0] for row in serverd.backend.sql.rows(query)} for query in (OFFERS, DEMANDS))
        known = {table_of(line) for line in released if line.startswith("column ")}
        columns = {line.split()[1] for line in released if line.startswith("column ")}
        # What a column refers to that the release does not know, it need not give.
        demands = {line for line in demands if not (m := re.match(r"constraint (\w+): FOREIGN KEY \((\w+)\)", line)) or
                   f"{m[1]}.{m[2]}" in columns or m[1] not in known}
        return ([f"gone: {line}" for line in sorted(released) if line.startswith(("column ", "value ", "function ")) and line not in offers] +
                [f"new: {line}" for line in sorted(demands - released) if table_of(line) in known])

    def test_what_the_last_release_can_use(self):
        if os.environ.get("SSI_WRITE_RELEASED"):
            with open(RELEASED, "w", encoding="utf-8") as f:
                f.write("# SPDX-License-Identifier: LGPL-2.1-or-later\n" + "".join(sorted(row[0] + "\n" for query in (OFFERS, DEMANDS) for row in serverd.backend.sql.rows(query))))
        with open(RELEASED, encoding="utf-8") as f:
            released = {line for line in f.read().splitlines() if not line.startswith("#")}
        self.assertGreater(len(released), 300)
        self.assertEqual(self.compare(released), [])
        # And so the comparison finds what migration 9 did, and its kin.
        for statement, found in (("ALTER TABLE services DROP COLUMN title", "gone: column services.title text"),
                                 ("ALTER TABLE services ALTER title TYPE varchar(9)", "gone: column services.title text"),
                                 ("ALTER TABLE services RENAME title TO name_shown", "gone: column services.title text"),
                                 ("DROP TABLE push_keys", "gone: column push_keys.public_key text"),
                                 ("ALTER TYPE service_status RENAME VALUE 'OK' TO 'FINE'", "gone: value service_status OK"),
                                 ("DROP FUNCTION notification_id", "gone: function notification_id() text"),
                                 ("ALTER TABLE services ADD owner text NOT NULL DEFAULT ''; ALTER TABLE services ALTER owner DROP DEFAULT",
                                  "new: required services.owner"),
                                 ("DELETE FROM services; ALTER TABLE services ALTER title SET NOT NULL", "new: required services.title"),
                                 ("ALTER TABLE services ADD CHECK (title <> '-')", "new: constraint services: CHECK ((title <> '-'::text))"),
                                 ("CREATE UNIQUE INDEX ON servers (user_id, name, id)", "new: unique servers: btree (user_id, name, id)")):
            with self.subTest(statement):
                # In a transaction that is not committed: the connection runs one at a time.
                rows = serverd.backend.sql.rows
                rows("BEGIN")
                try:
                    rows(statement)
                    self.assertIn(found, self.compare(released))
                finally:
                    rows("ROLLBACK")
        # What is added harms nobody.
        rows("BEGIN; CREATE TABLE later (id bigint PRIMARY KEY, name text NOT NULL UNIQUE CHECK (name <> ''));"
             " ALTER TABLE services ADD owner text, ADD n int NOT NULL DEFAULT 0; CREATE INDEX ON services (title);"
             " ALTER TYPE service_status ADD VALUE 'UNKNOWN'")
        self.assertEqual(self.compare(released), [])
        rows("ROLLBACK")


if __name__ == "__main__":
    serverd.main()
