#!/usr/bin/python3
"""The backend from outside: two real ssi-serverd on one real PostgreSQL, by REST, WebSocket and event stream.

Usage: test-api.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import base64
import concurrent.futures
import json
import time
import unittest
import urllib.request

import websockets

import serverd
from serverd import PASSWORD, TIME, User, closed_with, get, message, post, request, update, wait_until


class Accounts(unittest.TestCase):
    def test_register(self):
        user = User()
        self.assertEqual(get("/users/me", user.token)["email"], user.email)
        for email in (user.email, user.email.upper()):
            self.assertEqual(post("/users/register", {"email": email, "password": PASSWORD}, want=409)[1]["type"],
                             "urn:ssi:problem:email-taken")
        for body in ({}, {"email": "a@b"}, {"email": "nobody", "password": PASSWORD}, {"email": 5, "password": PASSWORD},
                     {"email": "a@b", "password": "short"}, {"email": "a@b", "password": "x" * 1025},
                     {"email": "a@" + "b" * 300, "password": PASSWORD}, {"email": "a@b\n", "password": PASSWORD}):
            post("/users/register", body, want=400)

    def test_login(self):
        user = User()
        for email in (user.email, "nobody-" + user.email):
            wrong = post("/users/login", {"email": email, "password": "wrong"}, want=401)[1]
            self.assertEqual(wrong["type"], "urn:ssi:problem:bad-credentials")
        codes = [post("/users/login", {"email": user.email, "password": "wrong"})[0] for _ in range(11)]
        self.assertEqual(codes[-1], 429)

    def test_access_token(self):
        user = User()
        header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
        forged = header + "." + user.token.split(".")[1] + "."
        for token in (None, "", "x", user.token + "x", forged):
            request("GET", "/api/v1/users/me", token=token, want=401)
        # The key is the database's: every instance takes it.
        get("/users/me", user.token, i=1)

    def test_refresh_reuse_ends_the_session(self):
        user = User()
        first = user.tokens["refresh_token"]
        second = post("/users/refresh", {"refresh_token": first}, want=200)[1]["refresh_token"]
        third = post("/users/refresh", {"refresh_token": second}, want=200)[1]["refresh_token"]
        other = user.login()["refresh_token"]
        self.assertEqual(post("/users/refresh", {"refresh_token": second}, want=401)[1]["type"],
                         "urn:ssi:problem:bad-refresh-token")
        post("/users/refresh", {"refresh_token": third}, want=401)
        post("/users/refresh", {"refresh_token": other}, want=200)

    def test_refresh_at_once(self):
        body = {"refresh_token": User().tokens["refresh_token"]}
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda n: post("/users/refresh", body, i=n % 2), range(20)))
        good = [a[1] for a in answers if a[0] == 200]
        self.assertEqual(len(good), 1)
        post("/users/refresh", {"refresh_token": good[0]["refresh_token"]}, want=401)

    def test_logout(self):
        user = User()
        body = {"refresh_token": user.tokens["refresh_token"]}
        post("/users/logout", body, want=204)
        post("/users/refresh", body, want=401)
        post("/users/logout", {"refresh_token": "unknown"}, want=204)


class Servers(unittest.TestCase):
    def test_register_and_claim(self):
        user = User()
        made = post("/agents/register", {"server_name": "web", "labels": ['a "b"', "c"]}, user.token, want=201)[1]
        self.assertEqual(get(f"/servers/{made['server_id']}", user.token)["state"], "pending")
        body = {"claim_token": made["claim_token"]}
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            codes = list(pool.map(lambda n: post("/agents/claim", body, i=n % 2)[0], range(50)))
        self.assertEqual(sorted(codes), [200] + [401] * 49)
        server = get("/servers", user.token)[0]
        self.assertEqual((server["state"], server["labels"], server["worst_status"]), ("offline", ['a "b"', "c"], None))

    def test_register_refused(self):
        user = User()
        for body in ({}, {"server_name": ""}, {"server_name": "x" * 129}, {"server_name": "a\nb"}, {"server_name": 1},
                     {"server_name": "x", "labels": "y"}, {"server_name": "x", "labels": [1]},
                     {"server_name": "x", "labels": [""]}, {"server_name": "x", "labels": ["y"] * 33}):
            post("/agents/register", body, user.token, want=400)
        post("/agents/register", {"server_name": "x"}, want=401)
        post("/agents/claim", {"claim_token": "unknown"}, want=401)

    def test_timeline(self):
        user = User()
        agent = user.server()
        begun = time.time() - 3600

        def item(minute, **rest):
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun + 60 * minute))
            return {"service_name": "disk", "timestamp": at, "cursor": str(minute), **rest}

        async def report():
            async with agent.connect() as ws:
                await agent.start(ws)
                # Each minute: well, 10 minutes of failure, a failed run in them, well, 15 minutes of silence, well
                minutes = [m for m in range(60) if not 30 <= m < 45]
                items = [item(m, status="FAILURE" if 10 <= m < 20 else "OK", message="") for m in minutes]
                items.insert(13, item(12.5, error={"kind": "timeout", "detail": ""}))
                await ws.send(message("status_batch", items=items))
                await ws.recv()

        asyncio.run(report())
        path = f"/servers/{agent.server}/services/disk/timeline"
        timeline = get(path, user.token)
        seen = [(s["status"], s["results"], s["from"][14:19]) for s in timeline["stretches"]]
        minute = lambda m: time.strftime("%M:%S", time.gmtime(begun + 60 * m))
        self.assertEqual(seen, [("OK", 10, minute(0)), ("FAILURE", 10, minute(10)), ("OK", 10, minute(20)),
                                ("OK", 15, minute(45))])
        ends = [s["to"][14:19] for s in timeline["stretches"]]
        self.assertEqual(ends[:3], [minute(10), minute(20), minute(33)])
        self.assertEqual([e["kind"] for e in timeline["errors"]], ["timeout"])
        self.assertEqual(len(get(path + "?days=31", user.token)["stretches"]), 4)
        for days in ("0", "32", "x", "", "-1"):
            get(f"{path}?days={days}", user.token, want=400)
        get(path, User().token, want=404)

    def test_qr(self):
        token = User().token
        made = urllib.request.Request(f"http://127.0.0.1:{serverd.backend.ports[0]}/api/v1/qr", b'{"text":"a <b>"}',
                                      {"Authorization": "Bearer " + token, "Content-Type": "application/json"})
        with urllib.request.urlopen(made, timeout=30) as answer:
            self.assertEqual(answer.headers["Content-Type"], "image/svg+xml")
            self.assertTrue(answer.read().startswith(b"<svg "))
        for body in ({}, {"text": ""}, {"text": "x" * 1025}, {"text": 1}):
            post("/qr", body, token, want=400)
        post("/qr", {"text": "a"}, want=401)

    def test_nobody_elses(self):
        owner, other = User(), User()
        agent = owner.server()

        async def report():
            async with agent.connect() as ws:
                await agent.start(ws)
                await ws.send(update("disk", cursor="c"))
                await ws.recv()

        stream = other.stream()
        asyncio.run(report())
        for path in ("", "/services", "/services/disk", "/services/disk/events"):
            get(f"/servers/{agent.server}{path}", owner.token)
            get(f"/servers/{agent.server}{path}", other.token, want=404)
            get(f"/servers/{agent.server}{path}", None, want=401)
        request("DELETE", f"/api/v1/servers/{agent.server}", token=other.token, want=404)
        self.assertEqual(get("/servers", other.token), [])
        self.assertTrue(stream.events.empty())

    def test_delete(self):
        user = User()
        agent = user.server()
        stream = user.stream(1)

        async def run():
            async with agent.connect() as ws:
                await agent.start(ws)
                # By the other instance: the session hears of it all the same.
                await asyncio.to_thread(request, "DELETE", f"/api/v1/servers/{agent.server}", None, user.token, 1, 204)
                return await closed_with(ws)

        said, code = asyncio.run(run())
        self.assertEqual((said["payload"]["code"], code), ("unauthorized", 4401))
        self.assertEqual(stream.wait("server-removed")[0], {"server_id": agent.server})
        get(f"/servers/{agent.server}", user.token, want=404)


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
        for query in ("limit=0", "limit=1001", "limit=x", "before=-1"):
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
            self.assertLess(sorted(latency)[len(latency) // 2], 0.2)

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
