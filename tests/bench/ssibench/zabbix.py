# SPDX-License-Identifier: LGPL-2.1-or-later
"""Zabbix's trapper, from the distribution's package, on the same PostgreSQL."""
import gzip
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from .backend import free_port
from .measure import cpu, family, pss
from .packages import Missing, fetch, library_path, unpack

NUMBER, TEXT = 3, 1  # items.value_type, and its table of history
TABLES = {NUMBER: "history_uint", TEXT: "history_str"}

# Only what a trapper needs, with caches as large as the load asks for.
CONFIG = """LogFile={dir}/zabbix.log
LogFileSize=0
PidFile={dir}/zabbix.pid
SocketDir={dir}
ListenIP=127.0.0.1
ListenPort={port}
DBHost={db}
DBName=zabbix
DBUser=ssi
FpingLocation=/bin/true
StartTrappers=8
StartDBSyncers=4
StartPollers=0
StartPollersUnreachable=0
StartPingers=0
StartDiscoverers=0
StartHTTPPollers=0
StartPreprocessors=1
StartEscalators=1
StartAlerters=1
StartLLDProcessors=1
HousekeepingFrequency=0
CacheUpdateFrequency=3600
CacheSize=256M
HistoryCacheSize=256M
HistoryIndexCacheSize=64M
TrendCacheSize=128M
ValueCacheSize=64M
AllowRoot=0
"""


class Zabbix:
    """`with Zabbix(bench, db) as z`: the server on a database of its own, with hosts and items made by SQL."""

    def __init__(self, bench, db):
        self.bench, self.db, self.process = bench, db, None

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="ssi-bench-zabbix-", dir="/var/tmp")
        try:
            self.root = unpack(self.dir + "/root", fetch(self.dir + "/debs", "zabbix-server-pgsql"))
            self.program = self.root + "/usr/sbin/zabbix_server"
            if not os.path.exists(self.program):
                # It is installed here, so that apt had nothing to fetch.
                self.program = shutil.which("zabbix_server", path="/usr/sbin")
                if not self.program:
                    raise Missing("zabbix-server-pgsql has no zabbix_server")
                self.root = "/"
            if self.db.user:
                os.chmod(self.dir, 0o755)
                for d, _, _ in os.walk(self.dir):
                    os.chown(d, self.db.user.pw_uid, self.db.user.pw_gid)
            self.fill()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                # Its children are in a session of their own.
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def fill(self):
        self.db.sql("CREATE DATABASE zabbix")
        for name in ("schema", "images", "data"):
            path = os.path.join(self.root, f"usr/share/zabbix-server-pgsql/{name}.sql.gz")
            if os.path.exists(path):
                self.db.sql("SET client_min_messages = error;\n" + gzip.open(path, "rt").read(), "zabbix")

    def start(self, kind):
        n = self.bench.options.agents
        self.db.sql(f"""
            UPDATE hosts SET status = 1 WHERE hostid < 1000000 AND status = 0;
            DELETE FROM item_rtdata WHERE itemid >= 100000000; DELETE FROM items WHERE itemid >= 100000000;
            DELETE FROM hosts WHERE hostid >= 1000000;
            TRUNCATE history_uint; TRUNCATE history_str; TRUNCATE trends_uint;
            INSERT INTO hosts (hostid, host, name, status)
                SELECT 1000000 + n, 'bench-' || n, 'bench-' || n, 0 FROM generate_series(0, {n - 1}) n;
            INSERT INTO items (itemid, type, hostid, name, key_, value_type, trends)
                SELECT 100000000 + n * 10 + i, 2, 1000000 + n, 'check-' || i, 'check-' || i, {kind}, '{'365d' if kind == NUMBER else '0'}'
                FROM generate_series(0, {n - 1}) n, generate_series(0, 9) i;
            INSERT INTO item_rtdata (itemid) SELECT itemid FROM items WHERE itemid >= 100000000;
            ANALYZE; CHECKPOINT""", "zabbix")
        self.port = free_port(32000)  # it takes none above 32767
        config = self.dir + "/zabbix.conf"
        with open(config, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(dir=self.dir, port=self.port, db=self.db.dir))
        env = dict(os.environ, LD_LIBRARY_PATH=library_path(self.root)) if self.root != "/" else None
        self.process = subprocess.Popen([self.program, "-f", "-c", config], env=env, stdout=self.db.log, stderr=self.db.log,
                                        start_new_session=True, **self.db.as_user())
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            if self.send(kind, "--reports=1", "--seconds=5")["processed"] == 10:
                return
            time.sleep(0.5)
        said = ""
        for path in (self.dir + "/zabbix.log", self.db.dir + "/log"):
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    said += f.read()[-1500:]
        raise RuntimeError("Zabbix does not get ready:\n" + said)

    def send(self, kind, *options):
        r = subprocess.run([str(self.bench.build / "tests/bench/trapper"), f"--port={self.port}", f"--agents={self.bench.options.agents}",
                            *(["--text"] if kind == TEXT else []), *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           text=True, check=True)
        return json.loads(r.stdout)

    def rows(self, kind):
        return int(self.db.sql(f"SELECT count(*) FROM {TABLES[kind]}", "zabbix"))

    def measure(self, kind, seconds):
        """Its rate counts what is in the database, over the time until it is there: it acknowledges before."""
        self.start(kind)
        try:
            while (first := self.rows(kind)) < 10:
                time.sleep(0.2)
            before, server, database = self.db.counters("zabbix"), cpu(family(self.process.pid)), cpu(family(self.db.pid))
            begin = time.monotonic()
            r = self.send(kind, f"--seconds={seconds}")
            memory = pss(family(self.process.pid))
            # Counting rows would slow down what is waited for, and the statistics are behind by a second: they say that all
            # is there, and the log of changes says since when.
            last, since, stuck = self.db.counters("zabbix"), time.monotonic(), time.monotonic() + 120
            while last["rows"] - before["rows"] < r["processed"] and time.monotonic() < stuck:
                time.sleep(0.1)
                now = self.db.counters("zabbix")
                if now["wal"] - last["wal"] > 16384:
                    since = time.monotonic()
                last = now
            took = max(since - begin, r["seconds"])
            after, rows = self.db.counters("zabbix"), self.rows(kind) - first
            return {"agents": self.bench.options.agents, "per_second": round(rows / took), "acknowledged_per_second": round(r["per_second"]),
                    "p50_ms": r["p50_ms"], "p99_ms": r["p99_ms"],
                    "commits_per_second": round((after["commits"] - before["commits"]) / took),
                    "wal_bytes_each": round((after["wal"] - before["wal"]) / max(1, rows), 2),
                    "server_cpu_us_each": round((cpu(family(self.process.pid)) - server) / max(1, rows) * 1e6, 2),
                    "database_cpu_us_each": round((cpu(family(self.db.pid)) - database) / max(1, rows) * 1e6, 2),
                    "all_in_history": rows == r["processed"], "errors": r["errors"], "pss_kb": memory}
        finally:
            self.stop()


def measure(bench, db):
    """The higher of its rates: of numbers, which it is made for, and of the text that ours carries."""
    rates = []
    with Zabbix(bench, db) as z:
        for kind, name in ((NUMBER, "numbers"), (TEXT, "the same text")):
            figures = z.measure(kind, bench.options.seconds)
            bench.report.row("ingest", f"Zabbix trapper, {name}", **figures)
            rates.append(figures["per_second"])
    return max(rates)
