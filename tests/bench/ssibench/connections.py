# SPDX-License-Identifier: LGPL-2.1-or-later
"""Idle TLS agents on one server process, and their return after its restart."""
import time

from .backend import Backend
from .database import Database
from .measure import cpu, cpu_fine, family, smaps, switches


def part_connections(bench):
    report, o = bench.report, bench.options
    rest = 5 if bench.short else min(60, o.seconds)
    with Database() as db, Backend(bench, db, tls=True) as b:
        b.seed(o.agents)
        base = smaps(b.pid)
        # Those that are lost come again by themselves, as agents do: --return.
        p = b.load("--idle", "--return", f"--agents={o.agents}", f"--seconds={rest + 300}", background=True)
        begin = time.monotonic()
        while b.connected() < o.agents and time.monotonic() - begin < 240 and p.poll() is None:
            time.sleep(0.2)
        came = time.monotonic() - begin
        online = b.connected()
        time.sleep(3)
        memory = smaps(b.pid)
        server, database, woken, t = cpu_fine([b.pid]), cpu(family(db.pid)), switches([b.pid]), time.monotonic()
        time.sleep(rest)
        t = time.monotonic() - t
        report.row("connections", "idle over TLS", agents=o.agents, connected=online, connected_in_s=round(came, 2),
                   pss_kb=memory, kb_each=round((memory - base) / max(1, online), 2),
                   cpu_percent=round((cpu_fine([b.pid]) - server) / t * 100, 3),
                   database_cpu_percent=round((cpu(family(db.pid)) - database) / t * 100, 2),
                   wake_ups_per_second=round((switches([b.pid]) - woken) / t, 1), still_connected=b.connected())

        b.stop()
        db.sql("UPDATE servers SET connected = false")
        epochs = int(db.sql("SELECT sum(session_epoch) FROM servers"))
        begin = time.monotonic()
        b.start()
        ready = time.monotonic() - begin
        # An agent is back when a new session of it was committed.
        back, quarter = 0, {}
        while time.monotonic() - begin < 120 and back < o.agents:
            back = b.connected()
            for share in (0.5, 0.9, 0.99):
                if back >= share * o.agents:
                    quarter.setdefault(f"{round(share * 100)}_percent_s", round(time.monotonic() - begin, 2))
            time.sleep(0.05)
        took = time.monotonic() - begin
        metrics = b.metrics()
        report.row("connections", "all come back after a restart", agents=o.agents, back=back, server_ready_s=round(ready, 2), **quarter,
                   all_within_s=round(took, 2) if back == o.agents else None,
                   sessions=int(db.sql("SELECT sum(session_epoch) FROM servers")) - epochs,
                   failed_commits=metrics["ssi_ingest_failed_batches_total"], pss_kb=smaps(b.pid))
        # Each says something, so that nothing of it is connections alone.
        p.kill()
        p.wait()
        r = b.load(f"--rate={o.agents}", "--services=1", "--seconds=5")
        report.row("connections", "then a status a second of each", acked=r["acked"], sent=r["sent"], p99_ms=r["p99_ms"], lost=r["lost"],
                   failed_commits=b.metrics()["ssi_ingest_failed_batches_total"])
