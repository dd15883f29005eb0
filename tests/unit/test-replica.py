#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A read replica: it answers what only reads the history, never with less than the reader has seen, and no request depends on it.

Usage: test-replica.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import json
import os
import signal
import subprocess
import unittest
from concurrent.futures import ThreadPoolExecutor

import pq
import serverd
from serverd import User, get, request, update, wait_until

PORT = 5433


class Standby:
    """A standby of the test's database, in its folder."""

    def __init__(self):
        b = serverd.backend
        self.data, self.process = os.path.join(b.dir, "standby"), None
        self.sql = pq.Connection(f"host={b.dir} port={PORT} user=ssi dbname=postgres")
        self.make()

    def make(self):
        b = serverd.backend
        subprocess.run([b.programs + "/pg_basebackup", "-D", self.data, "-R", "-c", "fast", "-h", b.dir, "-U", "ssi"], check=True,
                       stdout=b.log, stderr=b.log, **b.as_user())

    def start(self):
        b = serverd.backend
        self.process = subprocess.Popen([b.programs + "/postgres", "-D", self.data, "-k", b.dir, "-p", str(PORT),
                                         "-c", "listen_addresses="], stdout=b.log, stderr=b.log, **b.as_user())

    def all(self, number):
        """Sends a signal to all of its processes."""
        children = subprocess.run(["pgrep", "-P", str(self.process.pid)], check=False, capture_output=True, text=True).stdout.split()
        for pid in [self.process.pid, *map(int, children)]:
            os.kill(pid, number)

    def kill(self):
        self.sql.close()
        self.all(signal.SIGKILL)
        self.process.wait()

    def settings(self, **values):
        for name, value in values.items():
            self.sql.rows(f"ALTER SYSTEM SET {name} = '{value}'")
        self.sql.rows("SELECT pg_reload_conf()")


def metric(name, i=0):
    for line in request("GET", "/metrics", i=i, want=200)[1].decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split(" ")[1])
    return None


def fallbacks(reason, i=0):
    return metric(f'ssi_read_replica_fallbacks_total{{reason="{reason}"}}', i)


def is_used(i=None):
    return all(metric("ssi_read_replica_used", k) == 1 for k in ((0, 1) if i is None else (i,)))


def said(text):
    """How often the instances said so since the last note()."""
    with open(serverd.backend.log.name, encoding="utf-8", errors="replace") as f:
        f.seek(said.since)
        return f.read().count(text)


def note():
    said.since = os.path.getsize(serverd.backend.log.name)


class Replica(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.user = User()
        cls.agent = cls.user.server()
        cls.n = 0
        # It is not there yet.
        cls.report()
        assert cls.history() == cls.written()
        wait_until(lambda: cls.history() == cls.written() and fallbacks("unreachable") > 0)
        assert metric("ssi_read_replica_used") == 0
        cls.standby = Standby()
        cls.standby.start()

    @classmethod
    def tearDownClass(cls):
        if cls.standby.process.poll() is None:
            cls.standby.kill()

    def setUp(self):
        wait_until(is_used)
        note()

    @classmethod
    def report(cls, n=1, i=1):
        """Sends results, by default to the other instance, until they are acknowledged."""
        async def send():
            async with cls.agent.connect(i) as ws:
                await cls.agent.start(ws)
                for _ in range(n):
                    cls.n += 1
                    await ws.send(update("disk", "OK", f"n{cls.n}", cursor=f"c{cls.n}"))
                while json.loads(await ws.recv()).get("payload", {}).get("cursor") != f"c{cls.n}":
                    pass

        asyncio.run(send())

    @classmethod
    def written(cls):
        return [f"n{n}" for n in range(cls.n, max(cls.n - 20, 0), -1)]

    @classmethod
    def history(cls, i=0):
        return [e["message"] for e in get(f"/servers/{cls.agent.server}/services/disk/events?limit=20", cls.user.token, i=i)]

    def answered_by_replica(self):
        reads = metric("ssi_read_replica_reads_total")
        self.assertEqual(self.history(), self.written())
        return metric("ssi_read_replica_reads_total") > reads

    def test_each_history_route(self):
        self.report()
        self.assertTrue(any(self.answered_by_replica() for _ in range(50)))
        server = f"/servers/{self.agent.server}"
        for path in (f"{server}/events", f"{server}/services/disk/events", f"{server}/services/disk/timeline", "/audit", "/notifications"):
            with self.subTest(path):
                def by_replica():
                    reads = metric("ssi_read_replica_reads_total")
                    get(path, self.user.token)
                    return metric("ssi_read_replica_reads_total") > reads

                wait_until(by_replica)
        reads = metric("ssi_read_replica_reads_total")
        get(server, self.user.token)
        get("/users/me", self.user.token)
        self.assertEqual(metric("ssi_read_replica_reads_total"), reads)
        # What is not there is not there on the replica either; a malformed request is the client's mistake, whoever answers.
        get("/servers/srv-none/services/disk/events", self.user.token, want=404)
        self.assertEqual(self.history(1), self.written())

    def test_an_api_token(self):
        token = serverd.post("/api-tokens", {"name": "reader", "scopes": ["read"]}, self.user.token, want=201)[1]["token"]
        reads = metric("ssi_read_replica_reads_total")

        def by_replica():
            get("/audit", token)
            return metric("ssi_read_replica_reads_total") > reads

        wait_until(by_replica)

    def test_a_reader_sees_what_was_acknowledged(self):
        """The replica is behind all the time, by more or less than what a request waits for it."""
        try:
            for delay, reason in (("40ms", None), ("20s", "lags")):
                self.standby.settings(recovery_min_apply_delay=delay)
                wait_until(lambda: self.standby.sql.rows("SHOW recovery_min_apply_delay") == [[delay]])
                reads, before = metric("ssi_read_replica_reads_total"), fallbacks("lags")
                for k in range(25):
                    self.report()
                    self.assertEqual(self.history(k % 2), self.written())
                if reason:
                    self.assertGreater(fallbacks(reason), before)
                    # More than it may: nobody waits for it any more.
                    wait_until(lambda: self.report() or not is_used(0))
                    self.assertGreater(metric("ssi_read_replica_lag_seconds"), 2)
                    self.assertGreater(metric("ssi_read_replica_lag_bytes"), 0)
                else:
                    wait_until(self.answered_by_replica)
                    self.assertGreater(metric("ssi_read_replica_reads_total"), reads)
        finally:
            self.standby.settings(recovery_min_apply_delay="0")

    def test_replay_is_paused(self):
        self.standby.sql.rows("SELECT pg_wal_replay_pause()")
        try:
            self.report()
            wait_until(lambda: self.history() == self.written() and self.history(1) == self.written()
                       and not is_used(0) and not is_used(1))
            for _ in range(10):
                self.report()
                self.assertEqual(self.history(), self.written())
            # Each instance says it once.
            self.assertEqual(said("The history is read from the primary: the read replica lags."), 2)
        finally:
            self.standby.sql.rows("SELECT pg_wal_replay_resume()")
        wait_until(is_used)
        self.assertEqual(said("The history is read from the read replica."), 2)

    def test_it_is_killed(self):
        with ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(self.history, k % 2) for k in range(200)]
            self.standby.kill()
            for answer in answers:
                self.assertEqual(answer.result(), self.written())
        self.report()
        self.assertEqual(self.history(), self.written())
        wait_until(lambda: said("The history is read from the primary: the read replica cannot be reached (") == 2)
        self.assertFalse(is_used(0))
        self.standby.start()

    def test_it_hangs(self):
        """It takes what is sent and answers nothing: the primary answers, and nobody waits for it again."""
        self.report()
        self.standby.all(signal.SIGSTOP)
        try:
            with ThreadPoolExecutor(8) as pool:
                for answer in [pool.submit(self.history, k % 2) for k in range(40)]:
                    self.assertEqual(answer.result(), self.written())
            wait_until(lambda: not is_used(0) and not is_used(1))
            self.assertEqual(said("The history is read from the primary: the read replica does not answer."), 2)
            before = fallbacks("silent")
            self.assertEqual(self.history(), self.written())
            self.assertEqual(fallbacks("silent"), before + 1)
        finally:
            self.standby.all(signal.SIGCONT)

    def test_its_reading_connections_hang(self):
        self.assertTrue(any(self.answered_by_replica() for _ in range(50)))
        stopped = [int(pid) for pid, in self.standby.sql.rows(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'ssi-serverd' AND query NOT LIKE 'SELECT pg_is_in_recovery(),%'")]
        self.assertGreater(len(stopped), 0)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            with ThreadPoolExecutor(8) as pool:
                for answer in [pool.submit(self.history, k % 2) for k in range(40)]:
                    self.assertEqual(answer.result(), self.written())
            self.assertGreater(fallbacks("silent") + fallbacks("silent", 1), 0)
            # Others take their place.
            wait_until(self.answered_by_replica)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

    def test_its_connections_end(self):
        """As when a pooler or a conflict ends them, in the middle of statements: the request does not fail."""
        before = fallbacks("unreachable")
        with ThreadPoolExecutor(4) as pool:
            while fallbacks("unreachable") == before:
                wait_until(is_used)
                answers = [pool.submit(self.history) for _ in range(40)]
                self.standby.sql.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ssi-serverd'")
                for answer in answers:
                    self.assertEqual(answer.result(), self.written())

    def test_z_it_becomes_a_primary(self):
        """It has another future than the present primary."""
        self.standby.sql.rows("SELECT pg_promote()")
        for _ in range(20):
            self.report()
            self.assertEqual(self.history(), self.written())
        wait_until(lambda: said("The history is read from the primary: the server of SSI_DATABASE_READ_URL is not a standby.") == 2)
        self.assertFalse(is_used(0))


if __name__ == "__main__":
    serverd.main(lambda backend: {"SSI_DATABASE_READ_URL": f"host={backend.dir} port={PORT} user=ssi dbname=postgres"})
