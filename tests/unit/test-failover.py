#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""PostgreSQL fails over while hosts report: a primary and a standby, two instances of the backend. Nothing that a host has printed may
be lost, doubled or out of order, whatever the standby lacked.

Usage: test-failover.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

import pq
import serverd
from pooler import pooler
from reporter import SERVICES, Reporter
from serverd import User, post, request, wait_until
from sinks import HttpSink

FAR, NEAR = "10.9.9.9", "10.9.9.1"
NOWHERE = "02:00:00:00:00:99"


class Node:
    """One PostgreSQL, whose folder of sockets is its address."""

    def __init__(self, backend, name):
        self.backend, self.dir, self.process = backend, os.path.join(backend.dir, name), None
        self.data = os.path.join(self.dir, "data")
        self.conninfo = f"host={self.dir} user=ssi dbname=postgres"
        self.sql = pq.Connection(self.conninfo)
        os.mkdir(self.dir)
        if backend.user:
            os.chown(self.dir, backend.user.pw_uid, backend.user.pw_gid)

    def run(self, program, *args):
        subprocess.run([f"{self.backend.programs}/{program}", *args], check=True, stdout=self.backend.log, stderr=self.backend.log,
                       **self.backend.as_user())

    def start(self, *settings, address="", inside=()):
        command = [f"{self.backend.programs}/postgres", "-D", self.data, "-k", self.dir, "-c", f"listen_addresses={address}"]
        for setting in settings:
            command += ["-c", setting]
        if inside:
            user = self.backend.user
            command = [*inside, "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *command]
        user = {} if inside else self.backend.as_user()
        # After a kill it does not start before the last of its processes has gone.
        for _ in range(100):
            self.process = subprocess.Popen(command, stdout=self.backend.log, stderr=self.backend.log, **user)
            wait_until(lambda: self.process.poll() is not None or self.answers(), 120)
            if self.process.poll() is None:
                return
            time.sleep(0.1)
        raise RuntimeError(f"PostgreSQL does not start in {self.dir}")

    def answers(self):
        try:
            return self.sql.rows("SELECT 1") == [["1"]]
        except RuntimeError:
            return False

    def kill(self):
        """As if its machine had lost power: all its processes at once, also those that are stopped."""
        self.sql.close()
        self.signal_all(signal.SIGKILL)
        self.process.wait()
        self.process = None
        # The next boot has other processes; here, one may have been given the number by now, and would be taken for a PostgreSQL.
        for lock in (f"{self.dir}/.s.PGSQL.5432.lock", f"{self.data}/postmaster.pid"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(lock)

    def stop(self):
        self.sql.close()
        if self.process:
            self.signal_all(signal.SIGCONT)
            self.process.send_signal(signal.SIGINT)
            self.process.wait()
            self.process = None

    def signal_all(self, number):
        children = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout.split()
        for pid in (self.process.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def promote(self):
        self.run("pg_ctl", "promote", "-D", self.data)

    def follow(self, primary):
        """Becomes a fresh standby, with nothing of what it had."""
        if self.process:
            self.stop()  # what another test has left
        self.sql.close()
        shutil.rmtree(self.data, ignore_errors=True)
        self.run("pg_basebackup", "-R", "-D", self.data, "-h", primary.dir, "-U", "ssi", "--checkpoint=fast", "--no-sync")
        self.start()
        wait_until(lambda: primary.sql.rows("SELECT state FROM pg_stat_replication") == [["streaming"]])


class Backend(serverd.Backend):
    """With two nodes in place of the one database; its connection string names both."""

    def __init__(self, program, migrations):
        super().__init__(program, migrations)
        self.nodes = [Node(self, "a"), Node(self, "b")]
        self.primary, self.standby = self.nodes
        os.rename(os.path.join(self.dir, "data"), self.primary.data)
        with open(os.path.join(self.primary.data, "pg_hba.conf"), "a", encoding="utf-8") as f:
            f.write(f"host all ssi {NEAR}/32 trust\n")
        self.url = self.several(*(n.dir for n in self.nodes))
        self.sql = pq.Connection(self.url)

    @staticmethod
    def several(*hosts):
        return f"host={','.join(hosts)} user=ssi dbname=postgres target_session_attrs=read-write"

    def start_database(self):
        self.primary.start()

    def stop_database(self):
        self.sql.close()
        for node in self.nodes:
            node.stop()

    def start_server(self, i, url=None, want=200):
        super().start_server(i, url or self.url, want)

    def restart_server(self, i, url=None):
        assert self.stop_server(i) == 0
        self.start_server(i, url)

    def all_logged(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            return f.read()

    # -- what tests do to the database ---------------------------------------------------------------------------

    def add_standby(self, synchronous):
        self.standby.follow(self.primary)
        self.primary.sql.rows(f"ALTER SYSTEM SET synchronous_standby_names = '{'*' if synchronous else ''}'")
        self.primary.sql.rows("SELECT pg_reload_conf()")
        wait_until(lambda: self.primary.sql.rows("SELECT sync_state FROM pg_stat_replication") == [["sync" if synchronous else "async"]])

    def promote(self):
        """After the primary's death."""
        self.sql.close()
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def fall_behind(self):
        """From now on nothing reaches the standby."""
        for pid, in self.primary.sql.rows("SELECT pid FROM pg_stat_replication"):
            os.kill(int(pid), signal.SIGSTOP)


class Case(unittest.TestCase):
    def setUp(self):
        self.backend = serverd.backend
        wait_until(lambda: all(request("GET", "/readyz", i=i)[0] == 200 for i in (0, 1)))
        self.user, self.sink = User(), HttpSink()
        self.addCleanup(self.sink.down)
        post("/notifications/channels", {"type": "webhook", "name": "all", "kinds": ["status"], "config": {"url": self.sink.url()}},
             self.user.token, want=201)
        self.reporters = []

    def report(self):
        for i in (0, 1):
            self.reporters.append(Reporter(self.user.server(f"host-{i}"), i))
            self.addCleanup(self.reporters[-1].end)
        self.go_on()

    def go_on(self, n=100):
        for r in self.reporters:
            r.wait_for_more(n)

    def check(self):
        """All is there, in its order, once; and what was notified of."""
        for r in self.reporters:
            r.settle()
        for r in self.reporters:
            self.assertEqual(r.faults(), [])
        wait_until(lambda: self.backend.sql.rows("SELECT (SELECT count(*) FROM transitions WHERE NOT taken),"
                                                 " (SELECT count(*) FROM notification_outbox o JOIN users u ON u.id = o.user_id"
                                                 f" WHERE u.email = '{self.user.email}' AND o.state = 'queued')") == [["0", "0"]], 120)

    def told(self):
        """What the receiver takes: (old, new, number, time) by service and reporter. What comes again under its key is taken once."""
        told, keys = {}, set()
        for delivered in list(self.sink.taken):
            key, m = delivered.headers["Idempotency-Key"], delivered.json
            if key not in keys:
                keys.add(key)
                told.setdefault((m["service"], m["url"].split("/")[4]), []).append((m["old"], m["new"], int(m["message"]), m["at"]))
        self.assertEqual(sorted(told), sorted((slug, r.agent.server) for slug in SERVICES for r in self.reporters))
        return told, keys

    def check_notifications(self):
        """Each change that was committed once, in order. What happens within one commit is one change, or none."""
        (told, keys), rows = self.told(), self.backend.sql.rows
        self.assertEqual(keys, {row[0] for row in rows(
            "SELECT o.public_id FROM notification_outbox o JOIN users u ON u.id = o.user_id"
            f" WHERE u.email = '{self.user.email}' AND o.channel_id IS NOT NULL AND o.state = 'sent'")})
        for (slug, server), changes in told.items():
            now, = rows("SELECT v.status FROM services v JOIN servers s ON s.id = v.server_id"
                        f" WHERE s.public_id = '{server}' AND v.name = '{slug}'")
            self.assertEqual([old for old, _, _, _ in changes[1:]] + now, [new for _, new, _, _ in changes], changes)
            self.assertEqual(changes, sorted(changes, key=lambda c: c[2]))
            self.assertGreater(len(changes), 2)

    def check_notifications_after_a_loss(self):
        """What the database has forgotten is notified again under the same key: no change comes twice for who heeds that."""
        told, keys = self.told()
        for changes in told.values():
            self.assertEqual(len({at for _, _, _, at in changes}), len(changes), changes)
        print(f"{len(self.sink.taken)} messages with {len(keys)} keys", file=sys.stderr)


class Teller(Reporter):
    """A host with one service, which prints what it is told to."""
    services = ("disk",)

    async def print(self):
        pass

    def say(self, *statuses):
        self.journal += [(status, len(self.journal) + k) for k, status in enumerate(statuses)]

    def say_and_wait(self, *statuses):
        self.say(*statuses)
        self.settle()

    def entry(self, k):
        status, n = self.journal[k]
        return {"service_name": "disk", "timestamp": f"2025-01-01T00:{n:02}:00Z", "status": status, "message": "", "cursor": str(k + 1)}


class Failover(Case):
    def test_synchronous(self):
        self.backend.add_standby(synchronous=True)
        self.report()
        self.backend.primary.kill()
        self.backend.promote()
        self.go_on()
        self.check()
        self.check_notifications()

    def test_standby_that_was_behind(self):
        """It lacks results that were acknowledged: the hosts send them again."""
        self.backend.add_standby(synchronous=False)
        self.report()
        self.backend.fall_behind()
        self.go_on()
        self.backend.primary.kill()
        self.backend.promote()
        self.go_on()
        self.assertTrue(all(r.again >= 100 for r in self.reporters), [r.again for r in self.reporters])
        self.check()
        self.check_notifications_after_a_loss()

    def test_what_was_told_and_lost(self):
        """Messages of what the next primary lacks are not sent again, and what they said ends with a message, however it comes again.
        The hosts print nothing more by themselves, so it must be noticed without them."""
        backend = self.backend
        backend.add_standby(synchronous=False)
        ended, remains, worse, over = hosts = [Teller(self.user.server(f"host-{k}"), k % 2) for k in range(4)]
        for host in hosts:
            self.addCleanup(host.end)
            host.say_and_wait("OK")
        now, = backend.primary.sql.rows("SELECT pg_current_wal_lsn()")
        wait_until(lambda: backend.standby.sql.rows(f"SELECT pg_last_wal_replay_lsn() >= '{now[0]}'") == [["t"]])
        backend.fall_behind()
        want = []

        def tell(host, old, new):
            host.say_and_wait(new)
            want.append((host.agent.server, old, new))
            wait_until(lambda: self.messages() == want)

        for host in hosts:
            tell(host, "OK", "WARNING")
        tell(worse, "WARNING", "FAILURE")
        tell(over, "WARNING", "OK")

        backend.primary.kill()
        ended.say("OK")
        backend.promote()
        wait_until(lambda: len(self.messages()) > len(want), 120)
        want.append((ended.agent.server, "WARNING", "OK"))
        # Nothing is held back any more.
        wait_until(lambda: backend.sql.rows("SELECT count(*) FROM notification_states n JOIN notification_channels c ON c.id = n.channel_id"
                                            f" JOIN users u ON u.id = c.user_id WHERE u.email = '{self.user.email}'"
                                            " AND n.held_until IS NOT NULL") == [["0"]], 120)
        self.assertEqual(self.messages(), want)
        for host, status in ((ended, "OK"), (remains, "WARNING"), (worse, "FAILURE"), (over, "OK")):
            self.assertEqual(backend.sql.rows("SELECT v.status, coalesce(n.told, '') FROM services v JOIN servers s ON s.id = v.server_id"
                                              " LEFT JOIN notification_states n ON n.server_id = s.id AND n.service = v.name"
                                              f" WHERE s.public_id = '{host.agent.server}'"), [[status, "" if status == "OK" else status]])

    def test_poolers_between(self):
        """A pooler goes on saying that its PostgreSQL writes, once that has become a standby."""
        backend = self.backend
        backend.add_standby(synchronous=True)
        old, new = backend.primary, backend.standby
        with pooler(backend, "session", old.dir) as first, pooler(backend, "session", new.dir) as second:
            url = (f"host=127.0.0.1,127.0.0.1 port={first},{second} user=ssi dbname=postgres connect_timeout=5"
                   " target_session_attrs=read-write")
            for i in (0, 1):
                backend.restart_server(i, url)
            self.report()
            old.kill()
            backend.promote()
            self.go_on()
            old.follow(new)
            backend.restart_server(1, url)
            self.go_on()
            self.check()
            for i in (0, 1):
                backend.restart_server(i)

    def messages(self):
        return [(m["url"].split("/")[4], m["old"], m["new"]) for m in (taken.json for taken in list(self.sink.taken))]

    def test_the_old_primary_returns(self):
        """First read-only with what it had, and then as a standby, which becomes the primary. It is the first in the connection string."""
        backend = self.backend
        if backend.primary is not backend.nodes[0]:
            backend.add_standby(synchronous=True)
            backend.primary.stop()
            backend.promote()
        old = backend.primary
        backend.add_standby(synchronous=True)
        self.report()
        old.kill()
        backend.promote()
        self.go_on()

        def look_around():
            """Each instance chooses anew, one as it starts and one whose connections are ended."""
            backend.restart_server(1)
            backend.sql.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'ssi-serverd%'")
            self.go_on()

        def said(what):
            """A host that answers is not said to be silent."""
            wait_until(lambda: f"The database host {old.dir} {what}" in backend.all_logged())

        old.start("default_transaction_read_only=on")
        before = old.sql.rows("SELECT count(*) FROM events")
        look_around()
        said("is read-only; trying the next.")
        self.assertEqual(old.sql.rows("SELECT count(*) FROM events"), before)
        old.stop()

        backend.add_standby(synchronous=True)
        look_around()
        said("is in recovery (a standby); trying the next.")
        backend.primary.kill()
        backend.promote()
        self.assertIs(backend.primary, old)
        self.go_on()
        self.check()
        self.check_notifications()


class Machine:
    """A network namespace of its own, which can be switched off: what is sent to it is not even refused."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self.inside = ["nsenter", f"--net=/proc/{self.process.pid}/ns/net", "--"]
        wait_until(lambda: os.readlink(f"/proc/{self.process.pid}/ns/net") != os.readlink("/proc/self/ns/net"))
        ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(self.process.pid))
        ip("address", "add", f"{NEAR}/24", "dev", "near")
        ip("link", "set", "near", "up")
        for command in (("address", "add", f"{FAR}/24", "dev", "far"), ("link", "set", "far", "up")):
            ip(*command, inside=self.inside)

    def switch_off(self):
        # Before its processes end, whose kernel would say so.
        ip("neighbour", "replace", NEAR, "lladdr", NOWHERE, "dev", "far", "nud", "permanent", inside=self.inside)
        ip("neighbour", "replace", FAR, "lladdr", NOWHERE, "dev", "near", "nud", "permanent")

    def end(self):
        self.process.kill()
        self.process.wait()


def ip(*args, inside=()):
    subprocess.run([*inside, "ip", *args], check=True)


@unittest.skipUnless(os.geteuid() == 0, "only root makes network namespaces")
class SwitchedOff(Case):
    def test_the_primary_s_machine(self):
        backend = self.backend
        backend.add_standby(synchronous=True)
        machine, old = Machine(), backend.primary
        self.addCleanup(machine.end)
        old.stop()
        old.start(address=FAR, inside=machine.inside)
        url = backend.several(FAR, backend.standby.dir)
        for i in (0, 1):
            backend.restart_server(i, url)
        self.report()
        self.assertIn([NEAR], old.sql.rows("SELECT host(client_addr) FROM pg_stat_activity"))

        machine.switch_off()
        old.kill()
        backend.promote()
        self.go_on()
        # The first of the list is a black hole for one that starts now, too, and is named.
        backend.restart_server(1, url)
        self.go_on()
        self.check()
        self.check_notifications()
        self.assertIn(f"The database host {FAR} does not answer", backend.all_logged())
        for i in (0, 1):
            backend.restart_server(i)


if __name__ == "__main__":
    os.environ.update(SSI_ALLOW_PRIVATE_TARGETS="yes", SSI_PUBLIC_URL="http://localhost")
    if os.geteuid() == 0:
        # A loopback of our own, and no trace of our links.
        if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) < 0:
            raise OSError(ctypes.get_errno(), "unshare")
        ip("link", "set", "lo", "up")
    serverd.main(make=Backend)
