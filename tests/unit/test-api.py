#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Agents from outside: the WebSocket, what it changes and who hears of it.

Usage: test-api.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import json
import time
import unittest

import websockets

import serverd
from serverd import TIME, User, closed_with, get, message, request, update, wait_until


class Agents(unittest.TestCase):
    def setUp(self):
        self.user = User()
        self.agent = self.user.server()

    def test_simplest_client(self):
        async def report(n):
            # It reads nothing, and is gone before anything is committed.
            async with self.agent.connect() as ws:
                await ws.send(self.agent.auth())
                await ws.send(update("disk", "OK", str(n)))

        for n in range(30):
            asyncio.run(report(n))
        wait_until(lambda: self.agent.state() == "offline")
        wait_until(lambda: len(self.agent.events("disk")) >= 30)
        self.assertEqual([e["message"] for e in self.agent.events("disk")], [str(n) for n in range(30)])

    def test_whole_protocol(self):
        async def run():
            async with self.agent.connect() as ws:
                self.assertIsNone(await self.agent.start(ws))
                self.assertEqual(self.agent.state(), "online")
                items = [{"service_name": "disk", "timestamp": TIME, "status": "WARNING", "message": "a, b", "cursor": "1"},
                         {"service_name": "disk", "timestamp": TIME, "error": {"kind": "timeout", "detail": "slow"},
                          "cursor": "2"},
                         {"service_name": "cpu", "timestamp": TIME, "status": "OK", "message": "", "cursor": "3",
                          "duration_ms": 7, "invocation_id": "0" * 32}]
                await ws.send(message("status_batch", items=items))
                self.assertEqual(json.loads(await ws.recv()), {"type": "ack", "payload": {"cursor": "3"}})
                await ws.send(message("gap", cursor="4", **{"from": TIME, "to": TIME}))
                self.assertEqual(json.loads(await ws.recv())["payload"], {"cursor": "4"})
                await ws.send(message("inventory", services=[{"service_name": "disk", "title": "Disk", "version": "1",
                                                              "timeout_ms": 20000, "next_run": TIME}]))
                await ws.send(message("going_down"))
                await ws.send(update("disk", "WARNING", "c", cursor="5"))
                await ws.recv()
            async with self.agent.connect(1) as ws:
                self.assertEqual(await self.agent.start(ws), "5")

        asyncio.run(run())
        services = get(f"/servers/{self.agent.server}/services", self.user.token)
        self.assertEqual([s["name"] for s in services], ["disk"])
        disk = services[0]
        self.assertEqual((disk["status"], disk["message"], disk["title"], disk["timeout_ms"], disk["error"]),
                         ("WARNING", "c", "Disk", 20000, None))
        self.assertEqual([e["kind"] for e in self.agent.events("disk")], ["result", "error", "gap", "result"])
        server = get(f"/servers/{self.agent.server}", self.user.token)
        self.assertEqual((server["worst_status"], server["counts"]["WARNING"], server["services"], server["errors"]),
                         ("WARNING", 1, 1, 0))
        for query in ("limit=0", "limit=1001", "limit=x", "after=x"):
            get(f"/servers/{self.agent.server}/services/disk/events?{query}", self.user.token, want=400)

    def test_refused(self):
        auth = self.agent.auth()
        cases = [(["hello"], 4400), ([update("x")], 4400), ([auth, auth], 4400), ([auth, update("Bad Name")], 4400),
                 ([auth, update("x", "ERROR")], 4400), ([auth, update("x", text="y" * 4097)], 4413),
                 ([message("auth", agent_id=self.agent.id, api_key="wrong")], 4401),
                 ([message("auth", agent_id="agt-nobody", api_key=self.agent.key)], 4401), ([], 4408)]

        async def run(messages):
            async with self.agent.connect() as ws:
                for m in messages:
                    await ws.send(m)
                return await closed_with(ws)

        async def all_of_them():
            return await asyncio.gather(*[run(messages) for messages, code in cases[-3:]])

        for messages, code in cases[:-3]:
            said, got = asyncio.run(run(messages))
            self.assertEqual((said["type"], got), ("error", code), messages)
        self.assertEqual([code for _, code in asyncio.run(all_of_them())], [4401, 4401, 4408])

    def test_superseded(self):
        async def run():
            async with self.agent.connect() as old, self.agent.connect() as new:
                await self.agent.start(old)
                await old.send(update("disk", cursor="1"))
                await old.recv()
                self.assertEqual(await self.agent.start(new), "1")
                said, code = await closed_with(old)
                self.assertEqual((said["payload"]["code"], code), ("superseded", 4409))
                await new.send(update("disk", cursor="2"))
                self.assertEqual(json.loads(await new.recv())["payload"]["cursor"], "2")
                self.assertEqual(self.agent.state(), "online")

        asyncio.run(run())
        agent, self.agent = self.agent, self.user.server("other")

        async def across():
            async with self.agent.connect(0) as old, self.agent.connect(1) as new:
                await self.agent.start(old)
                await self.agent.start(new)
                self.assertEqual((await closed_with(old))[1], 4409)
                self.assertEqual(self.agent.state(0), "online")

        asyncio.run(across())
        wait_until(lambda: agent.state() == "offline")

    def test_stream(self):
        here, there = self.user.stream(0), self.user.stream(1)

        async def run():
            latencies = [[], []]
            async with self.agent.connect(0) as ws:
                await self.agent.start(ws)
                for s in (here, there):
                    await asyncio.to_thread(s.wait, "server", lambda d: d["state"] == "online")
                for n in range(30):
                    sent = time.monotonic()
                    await ws.send(update("disk", "FAILURE" if n % 2 else "OK", str(n), cursor=str(n)))
                    for k, s in enumerate((here, there)):
                        data, at = await asyncio.to_thread(s.wait, "service",
                                                           lambda d: d["service"]["message"] == str(n))
                        self.assertEqual(data["server_id"], self.agent.server)
                        latencies[k].append(at - sent)
                    await asyncio.to_thread(here.wait, "server", lambda d: d["worst_status"] == data["service"]["status"])
                await ws.send(message("inventory", services=[]))
                for s in (here, there):
                    removed = (await asyncio.to_thread(s.wait, "service-removed"))[0]
                    self.assertEqual(removed, {"server_id": self.agent.server, "name": "disk"})
            for s in (here, there):
                await asyncio.to_thread(s.wait, "server", lambda d: d["state"] == "offline")
            return latencies

        for latency in asyncio.run(run()):
            # Some at least are fast on a busy machine, too: the other instance is notified.
            self.assertLess(min(latency), 0.2)

    def test_nothing_lost_or_repeated(self):
        total, faults = 2000, 3

        async def session(i):
            async with self.agent.connect(i) as ws:
                done = asyncio.Event()
                n = int(await self.agent.start(ws) or -1) + 1

                async def read():
                    async for text in ws:
                        if json.loads(text)["payload"].get("cursor") == str(total - 1):
                            done.set()

                reader = asyncio.create_task(read())
                try:
                    while n < total and not reader.done():
                        items = [{"service_name": "n", "timestamp": TIME, "status": "OK", "message": str(k),
                                  "cursor": str(k)} for k in range(n, min(n + 7, total))]
                        await ws.send(message("status_batch", items=items))
                        n += len(items)
                        await asyncio.sleep(0.005)
                    if not reader.done():
                        await asyncio.wait([reader, asyncio.create_task(done.wait())], timeout=20,
                                           return_when=asyncio.FIRST_COMPLETED)
                finally:
                    reader.cancel()
                    await asyncio.gather(reader, return_exceptions=True)
                return n >= total and done.is_set()

        async def send():
            attempt, finished = 0, False
            while not finished:
                attempt += 1
                try:
                    finished = await session(attempt % 2)
                except (OSError, websockets.WebSocketException, AssertionError, asyncio.TimeoutError):
                    await asyncio.sleep(0.1)
                if not finished and self.agent_cursor() == total - 1:
                    finished = True

        async def break_things():
            for n in range(faults):
                await asyncio.sleep(0.3)
                await asyncio.to_thread(serverd.backend.kill_database)
                await asyncio.sleep(0.3)
                serverd.backend.servers[n % 2].kill()
                serverd.backend.servers[n % 2].wait()
                await asyncio.to_thread(serverd.backend.start_server, n % 2)

        async def run():
            await asyncio.gather(send(), break_things())

        asyncio.run(run())
        self.assertEqual([e["message"] for e in self.agent.events("n")], [str(n) for n in range(total)])

    def agent_cursor(self):
        status, page, _ = request("GET", f"/api/v1/servers/{self.agent.server}/services/n/events?limit=1",
                                  token=self.user.token)
        return int(page[0]["message"]) if status == 200 and page else -1


if __name__ == "__main__":
    serverd.main()
