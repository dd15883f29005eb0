# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a script's line to the event in an open stream, with everything real: unit, journal, agent, TLS, database, stream."""
import http.client
import json
import threading
import time

from .hostkit import agent_and_backend, prints, script, wait_until
from .measure import quantile

# The clock is the machine's, in the host as well; the line is printed at once after it was read.
BODY = prints("OK", "$EPOCHREALTIME")


class Stream:
    """Reads the event stream as a browser does, and notes how old each message is when it comes."""

    def __init__(self, b, token):
        self.connection = http.client.HTTPConnection("localhost", b.port)
        self.connection.sock = b.connect(timeout=120)
        self.connection.request("GET", "/api/v1/stream", headers={"Authorization": f"Bearer {token}"})
        self.response = self.connection.getresponse()
        assert self.response.status == 200
        self.took, self.ready = [], False
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        event = None
        try:
            for line in self.response:
                now = time.time()
                if line.startswith(b"event:"):
                    event = line[6:].strip().decode()
                    self.ready |= event == "ready"
                elif line.startswith(b"data:") and event == "service":
                    message = (json.loads(line[5:]).get("service") or json.loads(line[5:])).get("message")
                    if message:
                        self.took.append((message, (now - float(message)) * 1000))
        except (OSError, ValueError, AttributeError):
            pass

    def close(self):
        self.connection.sock.close() if self.connection.sock else self.response.close()


def runs(host, b, token, count):
    """Milliseconds of each run whose event came."""
    stream = Stream(b, token)
    try:
        wait_until(lambda: stream.ready, what="the stream is open")
        host.run(f"for ((i = 0; i < {count}; i++)); do systemctl start ssi-latency.service; sleep 0.$((RANDOM % 200 + 150)); done",
                 timeout=count + 60)
        time.sleep(1)
        return list({m: ms for m, ms in reversed(stream.took)}.values())
    finally:
        stream.close()


def part_latency(bench):
    report, o = bench.report, bench.options
    count = 20 if bench.short else 300
    agents = min(o.agents, 1000)
    with agent_and_backend(bench) as (host, b, token, _):
        b.seed(agents)
        host.run(["ssictl", "add", host.write("/tmp/latency.bash", script("Latency", BODY))])
        runs(host, b, token, 5)

        def show(name, took, **more):
            # On the way: the beginning of the transaction that commits it.
            rows = b.db.sql("SELECT extract(epoch FROM received_at) - message::float8 FROM events WHERE service = 'latency'"
                            f" ORDER BY id DESC LIMIT {count}")
            to_database = [float(row) * 1000 for row in rows.split()]
            more = {"to_database_p50_ms": quantile(to_database, 0.5), "to_database_p99_ms": quantile(to_database, 0.99), **more}
            report.row("latency", name, runs=count, events=len(took), p50_ms=quantile(took, 0.5), p99_ms=quantile(took, 0.99),
                       max_ms=max(took), **more)

        show("idle", runs(host, b, token, count))
        r = b.load(f"--agents={agents}", "--concurrency=512", "--changes=5", f"--seconds={2 if bench.short else 15}")
        most = r["per_second"]
        p = b.load(f"--agents={agents}", f"--rate={most / 2:.0f}", "--changes=5", f"--seconds={600 if not bench.short else 60}",
                   background=True)
        time.sleep(3)
        before = b.metrics()["ssi_ingest_items_total"], time.monotonic()
        took = runs(host, b, token, count)
        rate = (b.metrics()["ssi_ingest_items_total"] - before[0]) / (time.monotonic() - before[1])
        p.kill()
        p.wait()
        show("under half of the greatest load", took, greatest_per_second=round(most), load_per_second=round(rate))
