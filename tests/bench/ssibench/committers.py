# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many instances that commit, with the notification in the transaction and after it (docs/adr/0052). The ways take turns, so
that what else the machine does meets each of them; compare the ratios."""
import statistics
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from . import fleet
from .backend import Backend
from .database import Database
from .measure import cpu, family

ROUNDS = 6
AGENTS = 50  # of each ssi-serverd
COMPARED = ("per_second", "commits_per_second", "cpu_us_each", "cpu_us_commit")

# Name: writers' option, and whether another instance has viewers.
REAL = {"in the commit": ("commit", True), "after it": ("after", True), "after it, nobody looks": ("after", False)}
BARE = {"with NOTIFY": " SELECT pg_notify('ssi_changes', 'srv-' || :n);\n", "without": ""}


def real(bench, db, connections, seconds):
    """Ingestion's own statement: ten results of ten agents in each transaction."""
    def once(way):
        notify, viewed = REAL[way]
        db.sql(f"UPDATE instances SET viewed_until = '{'' if viewed else '-'}infinity'")
        r = fleet.write(bench, db, f"--agents={bench.options.agents}", f"--connections={connections}", "--batch=10",
                        f"--seconds={seconds}", f"--notify={notify}")
        assert (r["heard"] > 0) == viewed, r
        return {key: r[key] for key in ("commits_per_second", "cpu_us_commit", "commit_p99_ms")}
    return once


def bare(bench, db, connections, seconds):
    """Like pgbench's own transactions: one row updated, one inserted."""
    def once(way):
        path = db.dir + "/transaction.sql"
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"\\set n random(1, {bench.options.agents})\nBEGIN;\nUPDATE servers SET last_seen = now() WHERE id = :n;\n"
                    "INSERT INTO events (server_id, service, kind, at, status, message)"
                    f" VALUES (:n, 'disk', 'result', now(), 'OK', '/ is 42% full');\n{BARE[way]}COMMIT;\n")
        before, begin = cpu(family(db.pid)), time.monotonic()
        out = subprocess.run([db.programs + "/pgbench", "-n", "-f", path, "-T", str(seconds), "-c", str(connections), "-h", db.dir,
                              "-U", "ssi", "-M", "prepared", "postgres"], capture_output=True, text=True, check=True).stdout
        rate = next(float(line.split()[2]) for line in out.splitlines() if line.startswith("tps"))
        return {"commits_per_second": rate, "cpu_us_commit": (cpu(family(db.pid)) - before) / (rate * (time.monotonic() - begin)) * 1e6}
    return once


class Instances:
    """So many ssi-serverd on one database, each with its share of the agents."""

    def __init__(self, bench, db, stack, number, build):
        self.bench, self.db = bench, db
        self.all = [stack.enter_context(Backend(bench, db, name=f"-{k}", build=build)) for k in range(number)]
        self.all[0].seed(AGENTS * number)
        lines = Path(db.dir, "agents").read_text(encoding="ascii").splitlines(keepends=True)
        self.shares = [lines[k::number] for k in range(number)]
        for k, share in enumerate(self.shares):
            Path(db.dir, f"agents-{k}").write_text("".join(share), encoding="ascii")
        self.once(3)  # the first results make the services

    def once(self, seconds):
        """Few results are under way at a time, so that commits are small and many."""
        before = {"cpu": cpu(family(self.db.pid)), "commits": self.commits()}
        running = [b.load(f"--agents={len(share)}", f"--seconds={seconds}", "--concurrency=8", "--changes=5", background=True)
                   for b, share in zip(self.all, self.shares)]
        results = [Backend.finish(p) for p in running]
        commits = self.commits() - before["commits"]
        rate = sum(r["per_second"] for r in results)
        acked = sum(r["acked"] for r in results)
        return {"per_second": rate, "commits_per_second": commits / acked * rate, "cpu_us_each": (cpu(family(self.db.pid)) - before["cpu"]) / acked * 1e6,
                "p99_ms": statistics.median(r["p99_ms"] for r in results)}

    def commits(self):
        return sum(b.metrics()["ssi_ingest_batches_total"] for b in self.all)


def real_instances(bench, number, seconds):
    """ssi-serverd of another commit beside this one, a cluster each, by turns."""
    with ExitStack() as stack:
        ways = {}
        for name, build in (("before", bench.options.before.resolve()), ("after", None)):
            db = stack.enter_context(Database("max_wal_size=4GB", "max_connections=300"))
            ways[name] = Instances(bench, db, stack, number, build)
        compare(bench.report, f"{number} ssi-serverd", lambda way: ways[way].once(seconds), ways, "before")


def compare(report, name, once, ways, base):
    """Rounds in which each way has its turn, in a changing order. Ratios are those of one round."""
    found = {way: [] for way in ways}
    for n in range(ROUNDS):
        order = list(ways)[n % len(ways):] + list(ways)[:n % len(ways)]
        for way in order:
            found[way].append(once(way))
    for way, rounds in found.items():
        report.row("committers", f"{name}: {way}", **{f"{key}_median": statistics.median(r[key] for r in rounds) for key in
                                                      (*COMPARED, "commit_p99_ms", "p99_ms") if rounds[0].get(key)})
    for way, rounds in found.items():
        if way == base:
            continue
        ratios = {key: [r[key] / b[key] for r, b in zip(rounds, found[base])] for key in COMPARED
                  if key in rounds[0]}
        report.row("committers", f"{name}: {way} / {base}", rounds=ROUNDS,
                   **{f"{key}_{what}": round(f(values), 2) for key, values in ratios.items()
                      for what, f in (("median", statistics.median), ("least", min), ("most", max))})


def part_committers(bench):
    report, seconds = bench.report, max(1, bench.options.seconds // 12)
    with Database("max_wal_size=4GB") as db:
        with Backend(bench, db):
            pass  # the migrations
        fleet.make(db, bench.options.agents)
        for connections in (4, 16):
            report.row("committers", f"{connections} instances", load=fleet.load())
            compare(report, f"{connections}, ingestion", real(bench, db, connections, seconds), REAL, "in the commit")
            compare(report, f"{connections}, pgbench", bare(bench, db, connections, seconds), BARE, "with NOTIFY")
            db.sql("TRUNCATE events; TRUNCATE transitions; CHECKPOINT")
    for number in (4, 16) if bench.options.before else ():
        real_instances(bench, number, max(3, seconds))
