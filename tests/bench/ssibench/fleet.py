# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows of a fleet without agents, and what writes for them: tests/bench/programs/writers.c."""
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

from .measure import cpu, family

SERVICES = 10
PER_ACCOUNT = 100  # servers
CHUNK = 20000      # servers in one transaction


def chunk(first, last):
    """Accounts of a hundred servers with one channel each, so that triggers find what they look for. Every service has run and
    waits for its next result, as in the long run."""
    return f"""
        BEGIN; SET LOCAL session_replication_role = replica; SET LOCAL synchronous_commit = off;
        INSERT INTO users (id, public_id, email, password_hash) OVERRIDING SYSTEM VALUE
            SELECT n, 'usr-' || n, n || '@example.org', ''
            FROM generate_series({(first - 1) // PER_ACCOUNT + 1}, {(last - 1) // PER_ACCOUNT + 1}) n ON CONFLICT DO NOTHING;
        INSERT INTO notification_channels (public_id, user_id, type, name, config)
            SELECT 'chn-' || n, n, 'webhook', 'hook', '{{"url": "https://127.0.0.1:1/"}}'
            FROM generate_series({(first - 1) // PER_ACCOUNT + 1}, {(last - 1) // PER_ACCOUNT + 1}) n ON CONFLICT DO NOTHING;
        INSERT INTO servers (id, public_id, agent_id, user_id, name, api_key_hash, claimed_at, connected, instance, last_seen)
            OVERRIDING SYSTEM VALUE
            SELECT n, 'srv-' || n, 'agt-' || n, (n - 1) / {PER_ACCOUNT} + 1, 'host ' || n, decode(md5(n::text), 'hex'), now(), true,
                   'bench', now()
            FROM generate_series({first}, {last}) n;
        INSERT INTO services (server_id, name, title, schedule, timeout_ms, enabled, next_run, status, message, status_at, changed_at,
                              received_at, duration_ms, told_status, due_at)
            SELECT s, 'check-' || i, 'Check ' || i, '*:0/5', 60000, true, now(), 'OK',
                   '/ is 42% full, and some more words as scripts print them', now(), now(), now(), 12, 'OK',
                   now() + interval '1 day' + random() * interval '5 minutes'
            FROM generate_series({first}, {last}) s, generate_series(0, {SERVICES - 1}) i;
        COMMIT;"""


def make(db, servers):
    """So many servers with their services; those that an earlier run has made stay. Returns how many were made."""
    db.sql("INSERT INTO instances (id, seen_at, viewed_until) VALUES ('bench', 'infinity', '-infinity') ON CONFLICT DO NOTHING")
    there = dict(tuple(map(int, line.split("|"))) for line in
                 db.sql(f"SELECT (id - 1) / {CHUNK}, max(id) FROM servers GROUP BY 1").splitlines())
    wanted = [(max(first, there.get((first - 1) // CHUNK, 0) + 1), min(first + CHUNK - 1, servers))
              for first in range(1, servers + 1, CHUNK)]
    wanted = [(first, last) for first, last in wanted if first <= last]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda part: db.sql(chunk(*part)), wanted))
    if wanted:
        for table in ("users", "servers"):
            db.sql(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), greatest(100000000, (SELECT max(id) FROM {table})))")
        for table in ("services", "servers", "users", "notification_channels"):
            db.sql(f"VACUUM ANALYZE {table}")
        db.sql("CHECKPOINT")
    return sum(last - first + 1 for first, last in wanted)


def write(bench, db, *options, look=None):
    """Runs writers. The figures of its last line, with the processor time and the WAL of the whole cluster between its first
    line and that. look: called with the figures between two lines, while it writes."""
    wal = db.counters()["wal"]
    p = subprocess.Popen([str(bench.build / "tests/bench/writers"), f"--state={db.dir}/state", *options, db.conninfo()],
                         stdout=subprocess.PIPE, text=True)
    lines = []
    try:
        for line in p.stdout:
            lines.append({**json.loads(line), "cpu": cpu(family(db.pid))})
            if look and len(lines) > 1:
                look(between(lines[-2], lines[-1]))
    finally:
        if p.poll() is None and not lines:
            p.kill()
        p.wait()
    if p.returncode or len(lines) < 2:
        raise RuntimeError(f"writers {' '.join(options)} ended with {p.returncode}")
    out = between(lines[0], lines[-1])
    out["wal_each"] = (db.counters()["wal"] - wal) / max(1, out["results"])
    out["worst_lag_s"] = max(line["lag_s"] for line in lines)
    return out


def between(a, b):
    """What happened between two lines."""
    seconds = b["seconds"] - a["seconds"]
    d = {k: b[k] - a[k] for k in ("results", "announced", "rows", "commits", "publications", "heard", "cpu", "client_cpu_s")}
    return {**d, "seconds": seconds, "per_second": d["results"] / seconds, "commits_per_second": d["commits"] / seconds,
            "processors": d["cpu"] / seconds, "cpu_us_each": d["cpu"] / max(1, d["results"]) * 1e6,
            "cpu_us_commit": d["cpu"] / max(1, d["commits"]) * 1e6,
            **{k: b[k] for k in ("lag_s", "p50_ms", "p99_ms", "commit_p50_ms", "commit_p99_ms")}}


def load():
    """What the machine does besides, for figures that are quoted."""
    return round(os.getloadavg()[0], 1)
