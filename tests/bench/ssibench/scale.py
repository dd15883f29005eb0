# SPDX-License-Identifier: LGPL-2.1-or-later
"""A million agents against one primary. The agents and the instances are not there: their rows are, and writers.c sends what
ingestion would, with its own statements, when they would.

Each agent has ten services that report every five minutes, each at a time of its own: 33,333 results a second. So nearly every
result is alone in its agent's part of the batch, and moves that agent's cursor by itself; five seconds later the agent
announces the next run, which writes the service again. "together" is what a bench without agents would like to write: ten
results of an agent at once, and nothing announced.

Steps, of which --steps chooses:
  tenth    rows of a tenth of the agents; the cost of a result; the dashboard's routes
  full     all rows; the same
  minutes  ten minutes (--minutes) at the real rate, from an empty history; then the dashboard's routes
  day      the history of a day with SSI_HISTORY=changes, as rows that are inserted in the order of their arrival
           (--day-changes percent of the results); then a minute of ingestion at the real rate on top, and the routes

With --data, the cluster is made in that folder and stays: a later run goes on with its rows. Remove it when you are done."""
import math
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from . import dashboard, fleet
from .backend import Backend
from .database import Database

STEPS = ("tenth", "full", "minutes", "day")
PERIOD = 300
CONNECTIONS = 4  # two instances with two transactions under way each

# What a result costs, depending on what comes with it.
KINDS = {
    "together": ["--together"],
    "alone": [],
    "alone, next run announced": ["--inventories"],
    "alone, next run announced, history of changes": ["--inventories", "--changes-only"],
}


def memory_mb():
    with open("/proc/meminfo", encoding="ascii") as f:
        return int(next(line.split()[1] for line in f if line.startswith("MemTotal"))) >> 10


def cost(r, processors):
    """What is quoted: processor time does not depend on what else the machine does, the rate does."""
    return {"per_second": round(r["per_second"]), "cpu_us_each": round(r["cpu_us_each"], 1),
            "per_second_per_processor": round(1e6 / r["cpu_us_each"]), "processors_used": round(r["processors"], 2),
            "of": processors, "results_per_commit": round(r["results"] / r["commits"]), "wal_bytes_each": round(r["wal_each"]),
            "client_cpu_us_each": round(r["client_cpu_s"] / r["results"] * 1e6, 1), "load": fleet.load()}


class Scale:
    def __init__(self, bench, db):
        self.bench, self.db, self.options = bench, db, bench.options
        self.servers, self.short = bench.options.servers, bench.short
        self.rate = max(1, self.servers * fleet.SERVICES // PERIOD)
        self.places = 0
        self.routes = {}

    def row(self, name, **values):
        self.bench.report.row("scale", name, **values)

    def write(self, servers, seconds, *options, **more):
        """Each run begins with other services than the one before."""
        self.places += servers * fleet.SERVICES // CONNECTIONS // 7
        return fleet.write(self.bench, self.db, f"--agents={servers}", f"--connections={CONNECTIONS}", f"--seconds={seconds}",
                           f"--from={self.places}", *options, **more)

    def forget_history(self):
        self.db.sql("TRUNCATE events; TRUNCATE transitions; TRUNCATE history_usage; TRUNCATE history_measured; CHECKPOINT")

    def make(self, servers):
        begin = time.monotonic()
        made = fleet.make(self.db, servers)
        size = int(self.db.sql("SELECT pg_total_relation_size('servers') + pg_total_relation_size('services')"))
        self.row(f"rows, {servers} servers", services=servers * fleet.SERVICES, servers_made=made,
                 seconds=round(time.monotonic() - begin), size_mb=size >> 20)

    def costs(self, servers):
        """As many as the database takes. In so short a time, whole pages in the WAL weigh more than in the long run, the more the
        more rows there are, and most in the first: there is no checkpoint between them."""
        for name, options in KINDS.items():
            r = self.write(servers, max(4, self.options.seconds // 3), "--changes=5", *options)
            self.row(f"{name}, {servers} servers", **cost(r, self.bench.processors))
            self.db.sql("TRUNCATE events; TRUNCATE transitions")

    def look(self, step):
        """The account's own servers are among the first tenth, so that it has the same ones in each step."""
        self.db.sql("TRUNCATE transitions")
        for route, figures in dashboard.measure(self.bench, self.db, self.servers // 10).items():
            self.routes.setdefault(route, {}).update({f"{step}_{k}": v for k, v in figures.items() if k != "indexes"},
                                                     indexes=figures["indexes"])
            self.row(route, **self.routes[route])

    def tenth(self):
        if int(self.db.sql("SELECT count(*) FROM servers")) > self.servers // 10:
            print("There is more than a tenth already: the step \"tenth\" is left out.", flush=True)
            return
        self.make(self.servers // 10)
        self.costs(self.servers // 10)
        self.look("tenth")

    def full(self):
        self.make(self.servers)
        self.costs(self.servers)
        self.look("full")
        # What a restart of the instances asks of the database: a session for each agent.
        self.row("sessions begun, one connection", **sessions(self.db, self.servers, min(self.options.seconds, 20)))

    def minutes(self):
        self.make(self.servers)
        self.forget_history()
        seconds = round(self.options.minutes * 60)

        def tell(r):
            print(f"  {r['per_second']:.0f}/s, {r['cpu_us_each']:.1f} us, behind by {r['lag_s']:.1f} s, p50 {r['p50_ms']:.0f} ms,"
                  f" p99 {r['p99_ms']:.0f} ms, load {fleet.load()}", flush=True)

        r = self.write(self.servers, seconds, f"--rate={self.rate}", "--changes=5", "--inventories", f"--report={max(1, seconds // 20)}",
                       look=tell)
        rows = int(self.db.sql("SELECT count(*) FROM events"))
        size = int(self.db.sql("SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'events'::regclass"))
        self.row(f"{self.options.minutes:g} minutes at {self.rate} a second", **cost(r, self.bench.processors),
                 # What came in the last second may still be under way.
                 kept_up=r["lag_s"] < 5, behind_s=r["lag_s"], worst_behind_s=r["worst_lag_s"], p50_ms=r["p50_ms"], p99_ms=r["p99_ms"],
                 all_in_history=rows == r["rows"], history_rows=rows, history_bytes_each=round(size / max(1, rows)),
                 processors_needed=round(self.rate * r["cpu_us_each"] / 1e6, 2))
        self.look("minutes")

    def day(self):
        self.make(self.servers)
        self.forget_history()
        # In the partition of today, from its first second to its last.
        total = round(self.rate * 86400 * self.options.day_changes / 100)
        begin = time.monotonic()
        steps = [(first, min(first + 499999, total)) for first in range(1, total + 1, 500000)]
        slots = self.servers * fleet.SERVICES
        stride = next(p for p in (7368787, 6700417, 5800079) if math.gcd(p, slots) == 1)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda part: self.db.sql(f"""
                SET synchronous_commit = off;
                INSERT INTO events (received_at, server_id, service, kind, at, status, message, duration_ms, invocation_id)
                SELECT t, slot / {fleet.SERVICES} + 1, 'check-' || slot % {fleet.SERVICES}, 'result', t,
                       CASE WHEN i % 2 = 0 THEN 'OK' ELSE 'WARNING' END::service_status,
                       '/ is ' || i % 100 || '% full, and some more words as scripts print them', 12, md5(i::text)
                FROM (SELECT i, (i * {stride}) % {slots} AS slot, date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
                             + make_interval(secs => i::float8 * 86399 / {total}) AS t FROM generate_series({part[0]}::bigint, {part[1]}) i) x"""),
                          steps))
        self.db.sql("VACUUM ANALYZE events; CHECKPOINT")
        size = int(self.db.sql("SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'events'::regclass"))
        self.row(f"a day's history, {self.options.day_changes:g} % changed", rows=total, made_in_s=round(time.monotonic() - begin),
                 size_mb=size >> 20, bytes_each=round(size / total))
        r = self.write(self.servers, self.options.seconds, f"--rate={self.rate}", f"--changes={self.options.day_changes}",
                       "--inventories", "--changes-only")
        self.row("at the real rate, history of changes, after that day", **cost(r, self.bench.processors), kept_up=r["lag_s"] < 5,
                 behind_s=r["lag_s"], p50_ms=r["p50_ms"], p99_ms=r["p99_ms"], history_rows=r["rows"],
                 processors_needed=round(self.rate * r["cpu_us_each"] / 1e6, 2))
        self.look("day")


def check_disk(bench, folder):
    """An estimate: what the steps took, and as much again."""
    need = bench.options.servers * (20000 + round(7000 * bench.options.day_changes)) + (9 << 30)
    free = shutil.disk_usage(folder).free
    if free < need:
        raise RuntimeError(f"{folder}: {free >> 30} GB are free, {need >> 30} GB may be needed")


def part_scale(bench):
    o = bench.options
    wanted = o.steps.split(",") if o.steps else STEPS
    if set(wanted) - set(STEPS):
        raise ValueError(f"--steps: there are {', '.join(STEPS)}")
    if o.data:
        o.data.mkdir(parents=True, exist_ok=True)
    check_disk(bench, o.data or "/var/tmp")
    begin = time.monotonic()
    # As anybody sets a machine that is PostgreSQL's own.
    with Database("max_wal_size=8GB", f"shared_buffers={memory_mb() // 4}MB",
                  "session_preload_libraries=auto_explain", folder=o.data) as db:
        with Backend(bench, db):
            pass  # the migrations
        run = Scale(bench, db)
        for step in STEPS:
            if step in wanted:
                run.bench.report.row("scale", f"step {step}", load=fleet.load(), at_s=round(time.monotonic() - begin))
                getattr(run, step)()
    if o.data:
        print(f"{o.data} stays, for another run with --data={o.data}; remove it when you are done.", flush=True)


def sessions(db, n, seconds):
    """The rows that begin a session, by single transactions; the server's own statement has more to say of the agent. The epoch
    stays, because those who write go on with it."""
    path = db.dir + "/session.sql"
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"\\set n random(1, {n})\nUPDATE servers SET session_epoch = session_epoch + 0, connected = true, last_seen = now()"
                " WHERE agent_id = 'agt-' || :n RETURNING session_epoch, resume_cursor;\n")
    out = subprocess.run([db.programs + "/pgbench", "-n", "-f", path, "-T", str(seconds), "-h", db.dir, "-U", "ssi", "-M", "prepared", "postgres"],
                         capture_output=True, text=True, check=True).stdout
    tps = next(float(line.split()[2]) for line in out.splitlines() if line.startswith("tps"))
    return {"per_second": round(tps), "seconds_for_all": round(n / tps)}
