# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many servers with many services for the dashboard's tests, through the protocols that everybody speaks.

fleet.py URL ACCESS_TOKEN (plain HTTP). Each line on stdin is a JSON object, answered by one on stdout when it is done:
  {"do": "servers", "names": [NAME…], "services": N, "labels": [[LABEL…]…], "mix": bool}   registers, claims, connects and reports
  {"do": "report", "server": NAME, "items": [{"service_name", "status", "message"}…]}  one batch, acknowledged
  {"do": "depend", "server": NAME, "on": {NAME: [NAME…]…}}   an inventory in which services depend on others
  {"do": "storm", "count": N, "per_second": R}   changes random services of random servers
  {"do": "send", "server": NAME, "type": TYPE, "payload": {…}}  any other message
  {"do": "share", "server": NAME}   another host takes turns with the agent, until it is refused
  {"do": "connect", "server": NAME}   its agent connects anew, as after its server was moved
  {"do": "version", "server": NAME, "version": TEXT}   its agent connects anew, and says that it has this version
  {"do": "hang_up", "server": NAME}
"""
import asyncio
import datetime
import itertools
import json
import random
import sys
import time
import urllib.error
import urllib.request

import websockets

URL, TOKEN = sys.argv[1:]
TITLES = ["System Updates", "Disk Space", "Memory", "Load", "Backups", "Certificates", "Time Sync", "Failed Units", "Reboot Needed",
          "Mail Queue", "Replication", "RAID"]
MESSAGES = {"OK": "All is well", "UPDATE": "12 available updates (3 security updates)", "WARNING": "87 % of / is used",
            "FAILURE": "The last backup is 3 days old"}
STATUSES = list(MESSAGES)
cursors = itertools.count(1)
agents = {}


def now(seconds=0):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def post(path, body, token=None):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), headers)
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as e:
            if e.code != 429:
                raise
            time.sleep(int(e.headers["Retry-After"] or 1))


class Agent:
    """One connection; report() returns once the server has committed."""

    def __init__(self, name, services):
        self.name = name
        self.services = services
        self.acks = {}

    async def connect(self, labels):
        claim = await asyncio.to_thread(post, "/api/v1/agents/register", {"server_name": self.name, "labels": labels}, TOKEN)
        keys = await asyncio.to_thread(post, "/api/v1/agents/claim", {"claim_token": claim["claim_token"]})
        self.server_id = claim["server_id"]
        self.keys = {"agent_id": keys["agent_id"], "api_key": keys["api_key"]}
        assert await self.begin(hostname=self.name) == "auth_ok"
        await self.inventory({})

    async def begin(self, **auth):
        """Another session; the type of the answer."""
        ws = await websockets.connect(URL.replace("http", "ws", 1) + "/api/v1/agent/connect", max_queue=64)
        await ws.send(json.dumps({"type": "auth", "payload": {**self.keys, **auth}}))
        answer = json.loads(await ws.recv())["type"]
        if answer == "auth_ok":
            self.ws = ws
            self.reader = asyncio.create_task(self.read())
        return answer

    async def share(self):
        for host, answer in (("original", "auth_ok"), ("copy", "auth_ok"), ("original", "auth_ok"), ("copy", "error")):
            assert await self.begin(boot_id=host, hostname=host) == answer, host

    async def inventory(self, on):
        await self.send("inventory", services=[{
            "service_name": slug, "title": title, "metadata": {"description": f"Looks after {title.lower()}", "version": "1.0", "owner": "web team"},
            "schedule": "*:0/05:00", "timeout_ms": 30000, "enabled": True, "next_run": now(300), "depends_on": on.get(slug, []),
            "watches": [f"{slug}.service"] if slug in on else []} for slug, title in self.services])

    async def send(self, kind, **payload):
        await self.ws.send(json.dumps({"type": kind, "payload": payload}))

    async def read(self):
        try:
            async for text in self.ws:
                frame = json.loads(text)
                if frame["type"] == "ack":
                    up_to = int(frame["payload"]["cursor"][2:])
                    for cursor in [c for c in self.acks if c <= up_to]:
                        self.acks.pop(cursor).set_result(None)
        except websockets.ConnectionClosed:
            pass  # the server was removed, or gets another agent

    async def report(self, items):
        for i in range(0, len(items), 500):
            batch = [{"timestamp": now(), "duration_ms": random.randint(5, 900), "cursor": f"s={next(cursors)}", **item}
                     for item in items[i:i + 500]]
            last = int(batch[-1]["cursor"][2:])
            done = self.acks[last] = asyncio.get_running_loop().create_future()
            await self.send("status_batch", items=batch)
            await done


def first_status(mix, index, n):
    if not mix:
        return "OK"
    if index % 17 == 3 and n == 1:
        return "FAILURE"
    if index % 7 == 2 and n % 5 == 2:
        return "WARNING"
    return "UPDATE" if n == 0 and index % 3 == 0 else "OK"


async def servers(command):
    gate = asyncio.Semaphore(16)

    async def one(index, name):
        n = command["services"]
        services = [(f"check-{i}", f"{TITLES[i % len(TITLES)]}{f' {i // len(TITLES) + 1}' if i >= len(TITLES) else ''}") for i in range(n)]
        labels = command.get("labels") or [[]]
        async with gate:
            agent = Agent(name, services)
            await agent.connect(labels[index % len(labels)])
            items = []
            for i, (slug, _) in enumerate(services):
                status = first_status(command.get("mix"), index, i)
                items.append({"service_name": slug, "status": status, "message": MESSAGES[status]})
            await agent.report(items)
            agents[name] = agent

    await asyncio.gather(*(one(i, name) for i, name in enumerate(command["names"])))
    return {"ids": {name: agents[name].server_id for name in command["names"]}}


async def storm(command):
    names = list(agents)
    begun = asyncio.get_running_loop().time()
    for i in range(command["count"]):
        agent = agents[random.choice(names)]
        slug, _ = random.choice(agent.services)
        status = random.choice(STATUSES)
        await agent.send("status_update", service_name=slug, status=status, message=f"Change {i}", timestamp=now(),
                         cursor=f"s={next(cursors)}")
        wait = begun + (i + 1) / command["per_second"] - asyncio.get_running_loop().time()
        if wait > 0:
            await asyncio.sleep(wait)
    return {}


async def main():
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        command = json.loads(line)
        if command["do"] == "servers":
            answer = await servers(command)
        elif command["do"] == "report":
            agent = agents[command["server"]]
            await agent.report(command["items"])
            answer = {}
        elif command["do"] == "depend":
            await agents[command["server"]].inventory(command["on"])
            answer = {}
        elif command["do"] == "connect":
            assert await agents[command["server"]].begin() == "auth_ok"
            answer = {}
        elif command["do"] == "version":
            assert await agents[command["server"]].begin(version=command["version"]) == "auth_ok"
            answer = {}
        elif command["do"] == "share":
            await agents[command["server"]].share()
            answer = {}
        elif command["do"] == "storm":
            answer = await storm(command)
        elif command["do"] == "send":
            await agents[command["server"]].send(command["type"], **command["payload"])
            answer = {}
        else:
            await agents[command["server"]].ws.close()
            answer = {}
        print(json.dumps(answer), flush=True)

asyncio.run(main())
