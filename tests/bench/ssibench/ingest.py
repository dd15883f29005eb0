# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ingestion beside a bare libpq loop and Zabbix's trapper; bursts; the cost of an update at 10 to 10,000 agents."""
import json
import statistics
import subprocess

from . import zabbix
from .backend import Backend, commit_quantile
from .database import Database
from .packages import Missing


def measured(b, options, agents, seconds):
    """One run of the load with what it has cost. The services must be there: what counts is the steady state."""
    before = b.counters()
    r = b.load(f"--agents={agents}", f"--seconds={seconds}", *options)
    after = b.counters()
    acked = max(1, r["acked"])
    each = {"wal_bytes_each": "wal", "server_cpu_us_each": "server_cpu", "database_cpu_us_each": "database_cpu"}
    failed = "ssi_ingest_failed_batches_total"
    return r, {
        "agents": r["agents"], "per_second": round(r["per_second"]), "p50_ms": r["p50_ms"], "p99_ms": r["p99_ms"],
        "commits_per_second": round((after["metrics"]["ssi_ingest_batches_total"] -
                                     before["metrics"]["ssi_ingest_batches_total"]) / r["seconds"]),
        "commit_p50_below_ms": commit_quantile(before["metrics"], after["metrics"], 0.5),
        "commit_p99_below_ms": commit_quantile(before["metrics"], after["metrics"], 0.99),
        **{name: round((after[k] - before[k]) / acked * (1 if k == "wal" else 1e6), 2) for name, k in each.items()},
        "all_in_history": after["events"] - before["events"] == r["acked"], "lost": r["lost"], "errors": r["errors"],
        "failed_commits": after["metrics"][failed] - before["metrics"][failed], "pss_kb": after["pss"]}


def make_services(b, agents, services=10):
    b.load(f"--agents={agents}", f"--services={services}", "--seconds=3", "--concurrency=512")
    # Not before each has its rows: a large fleet may need more than those seconds.
    while int(b.db.sql("SELECT count(*) FROM services")) < agents * services:
        b.load(f"--agents={agents}", f"--services={services}", "--seconds=3", "--concurrency=512")


def libpq(bench, db, seconds, changes, report, name):
    before = db.counters()
    out = subprocess.run([str(bench.build / "tests/bench/peer"), f"--seconds={seconds}", f"--changes={changes}",
                          # As many as cover all agents once: what changes then does so at each turn.
                          f"--batches={max(1, bench.options.agents // 200)}", db.conninfo()],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    r = json.loads(out)
    report.row("ingest", name, per_second=round(r["per_second"]), commits_per_second=round(r["commits"] / r["seconds"]),
               wal_bytes_each=round((db.counters()["wal"] - before["wal"]) / max(1, r["items"]), 2), p50_ms=r["p50_ms"],
               p99_ms=r["p99_ms"])
    return r["per_second"]


def part_ingest(bench):
    """First 5 % of the results change something besides their times, then all of them do."""
    report, o = bench.report, bench.options
    with Database() as db:
        ours = {}
        with Backend(bench, db) as b:
            b.seed(o.agents)
            make_services(b, o.agents)
            for changes in (5, 100):
                b.forget_history()
                _, figures = measured(b, ["--concurrency=512", f"--changes={changes}"], o.agents, o.seconds)
                report.row("ingest", f"ssi-serverd, {changes} % change", **figures)
                ours[changes] = figures["per_second"]
                # At once after it: a machine's speed changes with the hour.
                b.forget_history()
                bare = libpq(bench, db, o.seconds, changes, report, f"bare libpq loop, {changes} % change")
                report.row("ingest", f"ssi-serverd / libpq, {changes} %", ratio=round(ours[changes] / bare, 3))
            b.forget_history()
            _, figures = measured(b, [f"--rate={ours[5] // 2}", "--changes=5"], o.agents, max(3, o.seconds // 3))
            report.row("ingest", "ssi-serverd, half of that", **figures)
            b.forget_history()
        try:
            theirs = zabbix.measure(bench, db)
            report.row("ingest", "ssi-serverd / Zabbix", **{f"ratio_{changes}": round(ours[changes] / theirs, 3) for changes in ours})
        except Missing as e:
            report.row("ingest", "Zabbix", missing=str(e))


def part_bursts(bench):
    """Agents report at their average rate, a status a minute of each service; half-way comes what the field sees."""
    report, o = bench.report, bench.options
    with Database() as db, Backend(bench, db) as b:
        b.seed(o.agents)
        make_services(b, o.agents)
        average = max(1, o.agents * 10 // 60)
        for name, size in (("minute: 8 x the average at once", 8 * average), ("hour: 20 x the average at once", 20 * average),
                           ("every agent at once", o.agents * 10)):
            before = b.metrics()
            r = b.load(f"--rate={average}", f"--burst={size}", "--changes=5", f"--seconds={10 if not bench.short else 4}")
            after = b.metrics()
            failed = "ssi_ingest_failed_batches_total"
            report.row("bursts", name, average_per_second=average, burst=size, last_committed_ms=r["burst_last_ms"],
                       p50_ms=r["burst_p50_ms"], others_p99_ms=r["p99_ms"], refused=r["lost"] + r["errors"],
                       unacknowledged=r["sent"] - r["acked"], failed_commits=after[failed] - before[failed])


def part_growth(bench):
    report, o = bench.report, bench.options
    sizes = [n for n in (10, 100, 1000, 10000) if n <= o.agents]
    for agents in sizes:
        # A database each, so that no size pays for the rows of another.
        with Database() as db, Backend(bench, db) as b:
            b.seed(agents)
            make_services(b, agents)
            b.forget_history()
            _, figures = measured(b, ["--concurrency=512", "--changes=5"], agents, max(3, o.seconds // 4))
            report.row("growth", f"{agents} agents, at most", **figures)
            b.forget_history()
            _, figures = measured(b, ["--rate=10000", "--changes=5"], agents, max(3, o.seconds // 4))
            report.row("growth", f"{agents} agents, 10,000 a second", **figures)


def part_trigger(bench):
    """What the limit of services per server (migration 6) costs a batch: PostgreSQL's own clock around its trigger."""
    report = bench.report
    with Database() as db:
        with Backend(bench, db) as b:
            b.seed(min(bench.options.agents, 1000))
            make_services(b, min(bench.options.agents, 1000))
        known = ("INSERT INTO services (server_id, name, message) SELECT server_id, name, 'x' FROM services ORDER BY server_id, name"
                 " LIMIT 1000 ON CONFLICT (server_id, name) DO UPDATE SET message = excluded.message")
        batches = {"a batch of 1,000 known services": known}
        for per_server in (10, 1000):
            batches[f"a batch of 1,000 new ones, {per_server} a server"] = (
                f"INSERT INTO services (server_id, name) SELECT s.id, 'new-' || n FROM (SELECT id FROM servers ORDER BY id"
                f" LIMIT {1000 // per_server}) s, generate_series(1, {per_server}) n")
        for name, statement in batches.items():
            times = trigger_times(db, statement, 20)
            trigger, whole = (statistics.median(t[i] for t in times) for i in (0, 1))
            report.row("trigger", name, trigger_us=round(trigger * 1000), statement_us=round(whole * 1000),
                       share=round(trigger / whole, 4))


def trigger_times(db, statement, n):
    """Milliseconds in services_limit, and of the whole statement, which is taken back. In one session, whose first ones
    compile and plan and do not count."""
    once = f"BEGIN;\nEXPLAIN (ANALYZE, FORMAT json) {statement};\nROLLBACK;\n"
    out = db.sql(once * (n + 6)).replace("]\n[", "],\n[")
    plans = [p[0] for p in json.loads(f"[{out}]")][6:]
    return [(next(t["Time"] for t in p["Triggers"] if t["Trigger Name"] == "services_limit"), p["Execution Time"]) for p in plans]
