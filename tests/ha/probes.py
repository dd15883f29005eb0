# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is looked at all the while: whether the database takes writes, whether people and agents are served, and who was notified."""
import asyncio
import datetime
import http.server
import json
import ssl
import threading
import time

import websockets

from cluster import AGENTS_PORT, NAME, PEOPLE_PORT
from network import ADDRESS

SINK_PORT = 8099


class Series:
    """When something worked."""

    def __init__(self):
        self.times, self.lock = [time.monotonic()], threading.Lock()

    def hit(self):
        with self.lock:
            self.times.append(time.monotonic())

    def gap(self, begin, end):
        """The longest time without, of those that overlap with [begin, end]."""
        with self.lock:
            times = sorted(self.times) + [end]
        return max((b - a for a, b in zip(times, times[1:]) if b > begin and a < end), default=end - begin)

    def forget(self, before):
        with self.lock:
            self.times = [t for t in sorted(self.times) if t >= before] or self.times[-1:]


class Probes:
    """Threads in the switch's network. `writable`: the database commits, on whichever host, asked directly. `people`: /readyz through
    the balancer. `results`: a meter's result was acknowledged."""

    def __init__(self, cluster, meters=2):
        self.cluster = cluster
        self.series = {"writable": Series(), "people": Series(), "results": Series()}
        self.meters = [Meter(self, k) for k in range(meters)]
        self.sink = Sink(cluster.switch)
        self.ended = threading.Event()
        self.threads = []

    def up(self):
        self.cluster.sql("CREATE SCHEMA probe; CREATE TABLE probe.beat (n bigint); INSERT INTO probe.beat VALUES (0);"
                         " GRANT ALL ON SCHEMA probe TO ssi; GRANT ALL ON probe.beat TO ssi")
        for meter in self.meters:
            meter.register()
        self.sink.up(self.cluster.account)
        for work in [self.people, self.meet, *(lambda a=a: self.write(a) for a in (d.address for d in self.cluster.databases))]:
            thread = threading.Thread(target=self.cluster.switch.in_network_for_good, args=(work,), daemon=True)
            thread.start()
            self.threads.append(thread)

    def down(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(timeout=20)
        self.sink.down()

    def write(self, address):
        import psycopg2  # of --ha; tests of the checks do without
        target = (f"host={address} dbname=ssi user=ssi password={self.cluster.variables['ssi_database_password']}"
                  # Also while an answer is awaited: the host may be gone for good.
                  " connect_timeout=2 tcp_user_timeout=1500 keepalives_idle=1 keepalives_interval=1 keepalives_count=1")
        while not self.ended.wait(0.2):
            try:
                connection = psycopg2.connect(target)
            except psycopg2.Error:
                continue
            try:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    while not self.ended.wait(0.1):
                        cursor.execute("UPDATE probe.beat SET n = n + 1")
                        self.series["writable"].hit()
            except psycopg2.Error:
                pass
            finally:
                connection.close()

    def people(self):
        while not self.ended.wait(0.2):
            try:
                if self.cluster.switch.get(ADDRESS.format(100), PEOPLE_PORT, "/readyz", tls=True, here=True)[0] == 200:
                    self.series["people"].hit()
            except OSError:
                pass

    def meet(self):
        asyncio.run(self.all_meters())

    async def all_meters(self):
        await asyncio.gather(*(m.work() for m in self.meters))


class Meter:
    """An agent in a few lines: numbered results, twenty a second, sent again from what the backend has. Unlike the suite's agents, it
    knows which results were acknowledged, and it notices a dead peer after ten seconds."""

    def __init__(self, probes, k):
        self.probes, self.name = probes, f"meter{k}"
        self.acked = self.last = self.sessions = self.repeated = 0
        self.quiet = False
        self.tls = ssl.create_default_context(cadata=probes.cluster.certificates["ca.pem"])

    def register(self):
        account = self.probes.cluster.account
        created = account.new_server(self.name)
        self.server_id = created["server_id"]
        status, self.claim = account.host.request("POST", "/api/v1/agents/claim", {"claim_token": created["claim_token"]})
        assert status == 200, self.claim

    async def work(self):
        while not self.probes.ended.is_set():
            try:
                await self.session()
            except (OSError, asyncio.TimeoutError, websockets.WebSocketException):
                await asyncio.sleep(0.2)

    async def session(self):
        async with websockets.connect(f"wss://{NAME}:{AGENTS_PORT}/api/v1/agent/connect", host=ADDRESS.format(100), ssl=self.tls,
                                      server_hostname=NAME, open_timeout=5, ping_interval=5, ping_timeout=5, close_timeout=1) as ws:
            await ws.send(json.dumps({"type": "auth", "payload": {k: self.claim[k] for k in ("agent_id", "api_key")}}))
            answer = json.loads(await asyncio.wait_for(ws.recv(), 10))
            if answer["type"] != "auth_ok":
                await asyncio.sleep(0.5)
                return
            n = int(answer["payload"]["resume_after"] or 0)
            self.sessions += 1
            # An asynchronous failover that lost some, all of which are sent again.
            self.repeated += max(0, self.acked - n)
            reader = asyncio.create_task(self.read(ws))
            try:
                while not reader.done() and not self.probes.ended.is_set():
                    if not self.quiet or n < self.last:
                        n += 1
                        self.last = max(self.last, n)
                        await asyncio.wait_for(ws.send(json.dumps({"type": "status_update", "payload": {
                            "service_name": "meter", "status": "OK", "message": str(n), "cursor": str(n), "timestamp":
                            datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")}})), 10)
                    await asyncio.sleep(0.05)
            finally:
                reader.cancel()

    async def read(self, ws):
        try:
            async for text in ws:
                message = json.loads(text)
                if message["type"] == "ack":
                    self.acked = max(self.acked, int(message["payload"]["cursor"]))
                    self.probes.series["results"].hit()
                elif message["type"] == "error":
                    return
        except websockets.WebSocketException:
            pass

    def settled(self):
        return self.acked == self.last

    def check(self):
        """What is wrong, as text: each number must be there, once and in order, up to the last acknowledged one."""
        found = [int(row[0]) for row in self.probes.cluster.sql(
            "SELECT e.message FROM events e JOIN servers s ON s.id = e.server_id"
            f" WHERE s.public_id = '{self.server_id}' AND e.kind = 'result' ORDER BY e.id")]
        lost = set(range(1, self.acked + 1)) - set(found)
        wrong = [f"{self.name}: {n} was acknowledged and is lost" for n in sorted(lost)]
        wrong += [f"{self.name}: {b} comes after {a}: {'twice' if a == b else 'out of order or twice'}"
                  for a, b in zip(found, found[1:]) if b <= a]
        return wrong, {"acknowledged": self.acked, "stored": len(found)}


class Sink:
    """Takes webhooks, and checks that each says what the one before it left out."""

    def __init__(self, switch):
        self.switch, self.taken, self.lock = switch, [], threading.Lock()

    def up(self, account):
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with sink.lock:
                    sink.taken.append((self.headers["Idempotency-Key"], body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = self.switch.in_network(lambda: http.server.ThreadingHTTPServer((ADDRESS.format(1), SINK_PORT), Handler))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        status, answer = account.request("POST", "/api/v1/notifications/channels", {
            "type": "webhook", "name": "sink", "config": {"url": f"http://{ADDRESS.format(1)}:{SINK_PORT}/"}, "damping": 1})
        assert status == 201, answer

    def down(self):
        self.server.shutdown()
        self.server.server_close()

    def check(self, cluster):
        """What is wrong, as text, of statuses: no message twice; the old status of each is the new one of its predecessor, so none is
        left out and none repeated; the last one is how it is."""
        with self.lock:
            taken = list(self.taken)
        keys, told, wrong = set(), {}, []
        for key, body in taken:
            if key in keys:
                wrong.append(f"the notification {key} came twice")
            keys.add(key)
            if body.get("kind") != "status":
                continue
            service = (body["server_id"], body["service"])
            if service in told and body["old"] != told[service]:
                wrong.append(f"{service}: from {body['old']} to {body['new']} after {told[service]}")
            told[service] = body["new"]
        for server, service, status in cluster.sql(
                "SELECT s.public_id, v.name, v.status FROM services v JOIN servers s ON s.id = v.server_id WHERE v.status IS NOT NULL"):
            if (server, service) in told and told[(server, service)] != status:
                wrong.append(f"{server} {service}: is {status}, told {told[(server, service)]}")
        return wrong, {"notifications": len(taken), "of_statuses": sum(b.get("kind") == "status" for _, b in taken)}
