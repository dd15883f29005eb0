#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Between the backend and PostgreSQL: a pooler in each of its modes, a database that hangs, what instances tell each other by it.

Usage: test-database.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
import unittest

import serverd
from ports import free_port
from serverd import User, get, request, update, wait_until

PGBOUNCER = "/usr/sbin/pgbouncer"


@contextlib.contextmanager
def pooler(mode):
    """PgBouncer in front of the test's database; gives the connection string."""
    backend, port = serverd.backend, free_port()
    path = os.path.join(backend.dir, f"pgbouncer-{mode}.ini")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"[databases]\npostgres = host={backend.dir} user=ssi\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
                f"unix_socket_dir =\nauth_type = any\npool_mode = {mode}\nignore_startup_parameters = extra_float_digits\n")
    process = subprocess.Popen([PGBOUNCER, "-q", path], stdout=backend.log, stderr=backend.log, **backend.as_user())
    try:
        yield f"host=127.0.0.1 port={port} user=ssi dbname=postgres"
    finally:
        process.terminate()
        process.wait(20)


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
        with pooler("session") as url, server(url, 200):
            self.assertEqual(get("/users/me", user.token, i=1)["email"], user.email)

    def test_transaction_mode(self):
        with pooler("transaction") as url, server(url, 503):
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


if __name__ == "__main__":
    serverd.main()
