# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several instances on one database and one set of sockets: upgrades, deaths, reloads, roles."""
import http.client
import json
import threading
import time

import pytest

from conftest import register
from hosts import wait_until

# What PostgreSQL says when an instance goes while an answer is on its way to it.
pytestmark = pytest.mark.expect_error("FATAL:  connection to client lost")

UNITS = ("ssi-serverd.service", "ssi-serverd@2.service")
# An agent in a few lines: numbered results for some seconds, each a cursor, resent from what the backend has; it ends when
# all are acknowledged.
AGENT = """
import asyncio, datetime, json, sys, time, websockets

def item(name, n):
    return json.dumps({"type": "status_update", "payload": {
        "service_name": name, "status": "OK", "message": str(n), "cursor": str(n),
        "timestamp": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")}})

async def read(ws, acked):
    try:
        async for text in ws:
            acked[0] = int(json.loads(text)["payload"]["cursor"])
    except websockets.WebSocketException:
        pass  # the writer meets it as well

async def session(url, agent_id, key, name, end, state):
    async with websockets.connect(url, open_timeout=30) as ws:
        await ws.send(json.dumps({"type": "auth", "payload": {"agent_id": agent_id, "api_key": key}}))
        m = json.loads(await ws.recv())
        assert m["type"] == "auth_ok", m
        n = int(m["payload"]["resume_after"] or 0)
        acked = [n]
        print("connected", time.time(), flush=True)
        # All the while: a close frame waits behind what is not read.
        reader = asyncio.create_task(read(ws, acked))
        while n < state["last"] or time.monotonic() < end:
            n += 1
            state["last"] = max(state["last"], n)
            await ws.send(item(name, n))
            await asyncio.sleep(0.05)
        while n > acked[0]:
            await ws.ensure_open()
            await asyncio.sleep(0.01)
        print("acked", n, flush=True)

async def main(url, agent_id, key, name, seconds):
    end, state = time.monotonic() + float(seconds), {"last": 0}
    while True:
        try:
            return await session(url, agent_id, key, name, end, state)
        except (OSError, websockets.WebSocketException, asyncio.TimeoutError) as e:
            print("closed", getattr(e, "code", None), time.time(), flush=True)
            await asyncio.sleep(0.1)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def pair(boot_for_module):
    """A backend of two instances, with an agent."""
    host = register(boot_for_module("--agent", "--server"))
    host.run("systemctl start ssi-serverd@2.service")
    host.write("/tmp/agent.py", AGENT)
    return host


def new_agent(host, name):
    server = host.account.new_server(name)
    status, claim = host.request("POST", "/api/v1/agents/claim", {"claim_token": server["claim_token"]})
    assert status == 200
    return server["server_id"], claim


def start_agent(host, claim, name, seconds, port=8080):
    return host.start(["/usr/bin/python3", "/tmp/agent.py", f"ws://127.0.0.1:{port}/api/v1/agent/connect", claim["agent_id"],
                       claim["api_key"], name, str(seconds)], stdout=-1)


def of_instance(host, unit):
    """Whose connections: the local ports' sockets that the unit's main process holds, established."""
    pid = host.pid(unit)
    out = host.run(["ss", "-Htnp", "state", "established", "( sport = :8080 or sport = :8443 )"]).stdout
    return [line for line in out.splitlines() if f"pid={pid}," in line]


class Load:
    """Requests, one connection each or many on one, until it is told to stop; each must be answered 200."""

    def __init__(self, host, path="/healthz", keep_alive=False, threads=4, port=8080):
        self.host, self.path, self.keep_alive, self.port = host, path, keep_alive, port
        self.answers, self.bad, self.reopened, self.slowest = 0, [], 0, 0.0
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.work) for _ in range(threads)]

    def connection(self):
        c = http.client.HTTPConnection("localhost", self.port)
        c.sock = self.host.connect(self.port, timeout=60)
        return c

    def work(self):
        c = None
        while not self.ended.is_set():
            begin, fresh = time.monotonic(), c is None
            try:
                if fresh:
                    c = self.connection()
                c.request("GET", self.path, headers={} if self.keep_alive else {"Connection": "close"})
                r = c.getresponse()
                r.read()
                with self.lock:
                    self.answers += 1
                    self.slowest = max(self.slowest, time.monotonic() - begin)
                    if r.status != 200:
                        self.bad.append(r.status)
                if not self.keep_alive or r.will_close:
                    c.close()
                    c = None
            except http.client.RemoteDisconnected:
                # The end of an idle connection, in good order; a request that crosses it is sent again, as RFC 9112 says.
                with self.lock:
                    if fresh:
                        self.bad.append("closed without an answer")
                    self.reopened += 1
                c = None
            except (OSError, http.client.HTTPException) as e:
                with self.lock:
                    self.bad.append(repr(e))
                c = None

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.ended.set()
        for t in self.threads:
            t.join()


def test_a_restart_refuses_nobody(pair):
    """An upgrade, as a package does it, under load; of both instances, and then of the only one."""
    _, claim = new_agent(pair, "upgraded")
    agent = start_agent(pair, claim, "upgraded", 12)
    with Load(pair) as short, Load(pair, keep_alive=True) as kept, Load(pair, path="/readyz", threads=2) as ready:
        time.sleep(1)
        for unit in UNITS:
            pair.run(["systemctl", "restart", unit])
        pair.run("systemctl stop ssi-serverd@2.service")
        for _ in range(2):
            pair.run("systemctl restart ssi-serverd.service")
        pair.run("systemctl start ssi-serverd@2.service")
        time.sleep(0.5)
    out = agent.communicate(timeout=60)[0]
    for load in (short, kept, ready):
        print(f"{load.path} keep-alive={load.keep_alive}: {load.answers} answers, {load.reopened} idle connections closed, "
              f"slowest {load.slowest:.2f} s, bad: {load.bad[:5]}")
        assert load.answers > 100 and not load.bad
    # Agents come back; nothing is lost or repeated.
    # It is told to come back at once, each time.
    closes = [line.split()[1] for line in out.splitlines() if line.startswith("closed")]
    assert closes and set(closes) == {"1001"}
    last = int(out.split("acked ")[1].split()[0])
    assert [int(m) for m in pair.events("upgraded")] == list(range(1, last + 1))


def test_our_agent_comes_back_at_once(pair):
    def reconnects():
        return json.loads(pair.run(["ssictl", "--json", "uplink"], check=False).stdout)["reconnects"]

    for unit in UNITS:
        pair.run(["systemctl", "restart", unit])
    wait_until(lambda: json.loads(pair.run(["ssictl", "--json", "uplink"], check=False).stdout)["connected"])
    before = reconnects()
    # The one that holds the agent goes, the other stays.
    victim = next(u for u in UNITS if any("8443" in line for line in of_instance(pair, u)))
    begin = time.monotonic()
    pair.run(["systemctl", "stop", "--no-block", victim])
    wait_until(lambda: reconnects() == before + 1)
    print(f"back {time.monotonic() - begin:.2f} s after the stop began")
    wait_until(lambda: pair.pid(victim) == 0, timeout=20)
    pair.run(["systemctl", "start", victim])


def test_a_death_moves_the_agents(pair):
    """kill -9: its agents go to the other (within 10 s on a machine that does nothing else), with nothing lost or repeated."""
    ids, agents = [], []
    for i in range(8):
        server, claim = new_agent(pair, f"moved-{i}")
        ids.append(server)
        agents.append(start_agent(pair, claim, f"moved-{i}", 8))
    wait_until(lambda: all(pair.account.get(f"/api/v1/servers/{i}")["state"] == "online" for i in ids))
    counts = {u: len([line for line in of_instance(pair, u) if ":8080 " in line]) for u in UNITS}
    victim = max(counts, key=counts.get)
    killed = time.time()
    pair.run(["kill", "-KILL", str(pair.pid(victim))])
    outs = [a.communicate(timeout=60)[0] for a in agents]
    moved = []
    for i, out in enumerate(outs):
        last = int(out.split("acked ")[1].split()[0])
        assert [int(m) for m in pair.events(f"moved-{i}")] == list(range(1, last + 1))
        back = [float(line.split()[1]) for line in out.splitlines() if line.startswith("connected")]
        moved += [t - killed for t in back if t > killed]
    print(f"of 8 agents {len(moved)} were on {victim}; they were back after {[round(t, 2) for t in moved]} s")
    assert moved
    wait_until(lambda: pair.pid(victim) > 0)


def test_a_stop_in_mid_start_is_quiet(pair):
    """No error is logged: the fixtures look."""
    for k in range(6):
        pair.run(f"systemctl stop ssi-serverd@2.service; systemctl start --no-block ssi-serverd@2.service; sleep 0.{k + 1}")
    pair.run("systemctl stop ssi-serverd@2.service; systemctl start ssi-serverd@2.service")


class Stream:
    """Reads an event stream on a connection of its own, and notes when what came."""

    def __init__(self, sock, token):
        self.sock, self.events = sock, []
        sock.settimeout(30)
        sock.sendall(f"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            with self.sock.makefile("rb") as f:
                for line in f:
                    if line.startswith(b"data: "):
                        self.events.append((time.time(), json.loads(line[6:])))
        except OSError:
            pass

    def when(self, message):
        return next((t for t, e in self.events if (e.get("service") or {}).get("message") == message), None)


def test_an_event_crosses_in_200_ms(pair):
    """The agent is on one instance, the stream on the other."""
    for unit in UNITS:
        wait_until(lambda: pair.pid(unit) > 0)
    pair.account.login()
    _, claim = new_agent(pair, "crossing")
    agent = start_agent(pair, claim, "crossing", 6)
    holder = []

    def find():
        out = pair.run(["ss", "-Htnp", "state", "established", "( dport = :8080 )"]).stdout
        client = next((line.split()[2] for line in out.splitlines() if f"pid={agent_pid()}," in line), None)
        for unit in UNITS:
            if client and any(line.split()[3] == client for line in of_instance(pair, unit)):
                holder[:] = [unit]
                return True
        return False

    def agent_pid():
        return pair.run("pgrep -f '/tmp/agent.py.*crossing' | head -n 1").stdout.strip()

    wait_until(find)
    # Streams until one is on the other instance.
    streams = []

    def on_the_other():
        s = Stream(pair.connect(8080), pair.account.token)
        streams.append(s)
        port = s.sock.getsockname()[1]
        wait_until(lambda: s.events)
        other = next(u for u in UNITS if u != holder[0])
        return s if any(line.split()[3].endswith(f":{port}") for line in of_instance(pair, other)) else None

    stream = wait_until(on_the_other, timeout=20)
    out = agent.communicate(timeout=60)[0]
    last = int(out.split("acked ")[1].split()[0])
    wait_until(lambda: stream.when(str(last)))
    received = dict((m, float(t)) for m, t in pair.sql(
        "SELECT message, extract(epoch FROM received_at) FROM events WHERE service = 'crossing'"))
    delays = sorted(t - received[e["service"]["message"]] for t, e in stream.events
                    if (e.get("service") or {}).get("name") == "crossing")
    for s in streams:
        s.sock.close()
    print(f"{len(delays)} events crossed: median {delays[len(delays) // 2] * 1000:.1f} ms, "
          f"longest {delays[-1] * 1000:.1f} ms after the transaction began")
    # Notified, not found when it was next looked: some at least are fast on a busy machine, too.
    assert len(delays) > 5 and delays[0] < 0.2
