# SPDX-License-Identifier: LGPL-2.1-or-later
"""The database's side of more agents than one machine can play: rows as they would be, written by the bare libpq loop."""
import json
import subprocess
import time

from .backend import Backend
from .database import Database


def part_scale(bench):
    report, n = bench.report, bench.options.servers
    with Database("max_wal_size=4GB") as db:
        with Backend(bench, db):
            pass  # the migrations
        begin = time.monotonic()
        db.sql(f"""
            INSERT INTO users (public_id, email, password_hash) SELECT 'usr-' || n, n || '@example.org', '' FROM generate_series(1, 1000) n;
            SET session_replication_role = replica; SET synchronous_commit = off;
            INSERT INTO servers (public_id, agent_id, user_id, name, api_key_hash, claimed_at, connected)
                SELECT 'srv-' || n, 'agt-' || n, 1 + n % 1000, 'host ' || n, decode(md5(n::text), 'hex'), now(), true
                FROM generate_series(1, {n}) n;
            INSERT INTO services (server_id, name, title, schedule, timeout_ms, enabled, next_run, status, message, status_at, changed_at,
                                  received_at, duration_ms, told_status, due_at)
                SELECT s.id, 'check-' || i, 'Check ' || i, '*:0/5', 60000, true, now() + interval '1 hour', 'OK',
                       '/ is 0% full, and some more words as scripts print them', now(), now(), now(), 12, 'OK', now() + interval '1 hour'
                FROM servers s, generate_series(0, 9) i;
            VACUUM ANALYZE services; VACUUM ANALYZE servers; CHECKPOINT""")
        size = int(db.sql("SELECT pg_total_relation_size('servers') + pg_total_relation_size('services')"))
        report.row("scale", "rows", servers=n, services=n * 10, made_in_s=round(time.monotonic() - begin, 1), size_mb=size >> 20)
        # Batches that lie all over the tables, as those of so many agents would.
        batches = max(1, min(250, n // 200))
        for changes in (5, 100):
            before = db.counters()
            out = subprocess.run([str(bench.build / "tests/bench/peer"), f"--seconds={bench.options.seconds}", f"--changes={changes}",
                                  f"--batches={batches}", db.conninfo()], stdout=subprocess.PIPE, text=True, check=True).stdout
            r = json.loads(out)
            wal = db.counters()["wal"] - before["wal"]
            size = int(db.sql("SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'events'::regclass"))
            report.row("scale", f"libpq loop, {changes} % change", per_second=round(r["per_second"]), p50_ms=r["p50_ms"], p99_ms=r["p99_ms"],
                       wal_bytes_each=round(wal / r["items"], 1), history_bytes_each=round(size / r["items"], 1))
            db.sql("TRUNCATE events; TRUNCATE transitions; CHECKPOINT")
        # What a restart of the instances asks of the database: a session for each agent.
        r = sessions(db, n, min(bench.options.seconds, 20))
        report.row("scale", "sessions begun, one connection", **r)


def sessions(db, n, seconds):
    """The rows that begin a session, by single transactions; the server's own statement has more to say of the agent."""
    path = db.dir + "/session.sql"
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"\\set n random(1, {n})\nUPDATE servers SET session_epoch = session_epoch + 1, connected = true, last_seen = now()"
                " WHERE agent_id = 'agt-' || :n RETURNING session_epoch, resume_cursor;\n")
    out = subprocess.run([db.programs + "/pgbench", "-n", "-f", path, "-T", str(seconds), "-h", db.dir, "-U", "ssi", "-M", "prepared", "postgres"],
                         capture_output=True, text=True, check=True).stdout
    tps = next(float(line.split()[2]) for line in out.splitlines() if line.startswith("tps"))
    return {"per_second": round(tps), "seconds_for_all": round(n / tps)}
