#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Servers, services and events over REST: whose they are, how they change, and lists with filters and pages.

Usage: test-servers.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import concurrent.futures
import json
import subprocess
import time
import unittest
import urllib.request
import xml.etree.ElementTree

import serverd
from serverd import User, closed_with, get, message, pages, post, request, update


def report(agent, *messages, i=0):
    """Sends the messages, each with a cursor of its own, and waits until they are committed."""
    async def run():
        async with agent.connect(i) as ws:
            await agent.start(ws)
            for n, text in enumerate(messages):
                m = json.loads(text)
                if m["type"] != "inventory":
                    m["payload"]["cursor"] = str(n)
                await ws.send(json.dumps(m))
            await ws.send(update("last", cursor="end"))
            while json.loads(await ws.recv())["payload"].get("cursor") != "end":
                pass

    asyncio.run(run())


def patch(path, body, token, want):
    return request("PATCH", "/api/v1" + path, body, token, want=want)[1]


def names(items):
    return [item["name"] for item in items]


class Registration(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.user = User()

    def test_register_and_claim(self):
        made = post("/agents/register", {"server_name": "web", "labels": ['a "b"', "c"]}, self.user.token, want=201)[1]
        self.assertEqual(get(f"/servers/{made['server_id']}", self.user.token)["state"], "pending")
        body = {"claim_token": made["claim_token"]}
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            codes = list(pool.map(lambda n: post("/agents/claim", body, i=n % 2)[0], range(50)))
        self.assertEqual(sorted(codes), [200] + [401] * 49)
        server = get(f"/servers/{made['server_id']}", self.user.token)
        self.assertEqual((server["state"], server["labels"], server["worst_status"]), ("offline", ['a "b"', "c"], None))

    def test_refused(self):
        for body in ({}, {"server_name": ""}, {"server_name": "x" * 129}, {"server_name": "a\nb"}, {"server_name": 1},
                     {"server_name": "a\u0085b"}, {"server_name": "a\u2028b"}, {"server_name": "a\u202eb"}, {"server_name": "a\u200bb"}, {"server_name": "a\0b"},
                     {"server_name": "x", "labels": "y"}, {"server_name": "x", "labels": [1]},
                     {"server_name": "x", "labels": [""]}, {"server_name": "x", "labels": ["y"] * 33}):
            post("/agents/register", body, self.user.token, want=400)
        post("/agents/register", {"server_name": "x"}, want=401)
        post("/agents/claim", {"claim_token": "unknown"}, want=401)

    def test_expired_claim(self):
        made = post("/agents/register", {"server_name": "late"}, self.user.token, want=201)[1]
        serverd.sql("UPDATE claim_tokens SET expires_at = now() - interval '1 s' WHERE used_at IS NULL")
        post("/agents/claim", {"claim_token": made["claim_token"]}, want=401)
        again = post(f"/servers/{made['server_id']}/claim-token", None, self.user.token, want=201)[1]
        self.assertEqual(again["agent_id"], made["agent_id"])
        latest = post(f"/servers/{made['server_id']}/claim-token", None, self.user.token, want=201)[1]
        post("/agents/claim", {"claim_token": again["claim_token"]}, want=401)
        post("/agents/claim", {"claim_token": latest["claim_token"]}, want=200)

    def test_new_key(self):
        agent = self.user.server("re-keyed")

        async def run():
            async with agent.connect(1) as ws:
                await agent.start(ws)
                made = (await asyncio.to_thread(post, f"/servers/{agent.server}/claim-token", None, self.user.token, 201))[1]
                # The old key serves until the new one is there.
                await ws.send(update("disk", cursor="1"))
                await ws.recv()
                claimed = (await asyncio.to_thread(post, "/agents/claim", {"claim_token": made["claim_token"]}, None, 200))[1]
                self.assertEqual((await closed_with(ws))[1], 4409)
            async with agent.connect(1) as ws:
                await ws.send(agent.auth())
                self.assertEqual((await closed_with(ws))[1], 4401)
            self.assertEqual((claimed["agent_id"], claimed["server_id"]), (agent.id, agent.server))
            agent.key = claimed["api_key"]
            async with agent.connect(0) as ws:
                self.assertEqual(await agent.start(ws), "1")

        asyncio.run(run())


class Versions(unittest.TestCase):
    def test_outdated_agents_are_marked(self):
        """And none is refused for its version."""
        user = User()
        agent, stream = user.server(), user.stream(1)
        own = subprocess.run([*serverd.backend.command, "--version"], check=True, capture_output=True, text=True).stdout.split()[1]

        async def report(version):
            async with agent.connect() as ws:
                await agent.start(ws, version)
                await ws.send(update("disk", cursor="c"))
                self.assertEqual(json.loads(await ws.recv())["type"], "ack")
            return get(f"/servers/{agent.server}", user.token)

        major, minor, patch = (int(n) for n in own.split("."))
        self.assertGreater(major + minor + patch, 0)
        older = (f"{major}.{minor}.{patch - 1}" if patch else f"{major}.{minor - 1}.999" if minor else f"{major - 1}.999.999")
        for version, outdated in ((older, True), ("0.0", True), (older + "-dev", True), (own, False), (own + "~rc1", False),
                                  (f"{major}.{minor}", patch > 0), (f"{major}.{minor}.{patch + 1}", False), (f"{major}.{minor + 1}.0", False),
                                  ("99.0.0", False), (None, False), ("unknown", False), ("1", False), ("0.1234.0", False)):
            with self.subTest(version):
                shown = asyncio.run(report(version))
                self.assertEqual((shown["agent_version"], shown["agent_outdated"]), (version, outdated))
        asyncio.run(report(older))
        stream.wait("server", lambda d: d["agent_version"] == older and d["agent_outdated"])
        self.assertTrue(get("/servers", user.token)[0]["agent_outdated"])


class Ownership(unittest.TestCase):
    def test_nobody_elses(self):
        owner, other = User(), User()
        agent = owner.server()
        stream = other.stream()
        report(agent, update("disk"))
        page = request("PUT", f"/api/v1/servers/{agent.server}/public-page", {}, owner.token, want=200)[1]["page"]
        for path in ("", "/services", "/services/disk", "/services/disk/events", "/events"):
            get(f"/servers/{agent.server}{path}", owner.token)
            for token, want in ((other.token, 404), (None, 401)):
                get(f"/servers/{agent.server}{path}", token, want)
        for method, path, body in (("PATCH", "", {"name": "x"}), ("PUT", "/public-page", {}), ("DELETE", "/public-page", None),
                                   ("POST", "/claim-token", {}), ("DELETE", "", None)):
            request(method, f"/api/v1/servers/{agent.server}{path}", body, other.token, want=404)
        self.assertEqual(get("/servers", other.token), [])
        self.assertEqual(get("/services", other.token), [])
        self.assertTrue(stream.events.empty())
        self.assertEqual(get(f"/servers/{agent.server}", owner.token)["public_page"], page)

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


class Changes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.user = User()
        cls.agent = cls.user.server("before")

    def test_patch(self):
        path = f"/servers/{self.agent.server}"
        stream = self.user.stream(1)
        server = patch(path, {"name": "after <b>", "labels": ["x"]}, self.user.token, 200)
        self.assertEqual((server["name"], server["labels"]), ("after <b>", ["x"]))
        # That the server was made may come by NOTIFY only now.
        event = stream.wait("server")[0]
        if event["name"] == "before":
            event = stream.wait("server")[0]
        self.assertEqual(event, server)
        self.assertEqual(patch(path, {"labels": []}, self.user.token, 200)["labels"], [])
        self.assertEqual(get(path, self.user.token)["name"], "after <b>")
        for body in ({}, {"name": ""}, {"name": None}, {"name": "a\nb"}, {"labels": "x"}, {"labels": [1]}, {"other": 1}):
            patch(path, body, self.user.token, 400)

    def test_worst_service(self):
        agent = self.user.server("troubled")
        worst = lambda: get(f"/servers/{agent.server}", self.user.token)["worst_service"]
        self.assertIsNone(worst())
        report(agent, update("a", cursor="1"), update("b", "UPDATE", "u", cursor="2"))
        self.assertEqual(worst(), {"name": "b", "title": "b", "status": "UPDATE", "message": "u", "error": None, "stale": False,
                                   "dependants": 0})
        report(agent, update("d", "WARNING", "w", cursor="3"), update("c", "WARNING", "<b>\n" + "x" * 300, cursor="4"))
        self.assertEqual(worst()["message"], "<b>\n" + "x" * 196)
        report(agent, message("status_batch", items=[{"service_name": "a", "timestamp": serverd.TIME, "cursor": "5",
                                                      "error": {"kind": "timeout", "detail": "slow"}}]))
        self.assertEqual((worst()["name"], worst()["status"], worst()["error"]["detail"]), ("a", "OK", "slow"))
        stream = self.user.stream()
        report(agent, update("d", "FAILURE", "f", cursor="6"))
        told = stream.wait("server", lambda s: s["worst_status"] == "FAILURE")[0]["worst_service"]
        self.assertEqual((told["name"], told["message"]), ("d", "f"))

    def test_public_page(self):
        path = f"/api/v1/servers/{self.agent.server}"
        patch(f"/servers/{self.agent.server}", {"name": "a<script>&\"'é"}, self.user.token, 200)
        report(self.agent, update("disk", "WARNING", "secret message"))
        request("GET", "/public/unknown", want=404)
        page = request("PUT", path + "/public-page", {}, self.user.token, want=200)[1]
        self.assertEqual(request("PUT", path + "/public-page", {}, self.user.token, want=200)[1], page)
        self.assertGreater(len(page["page"]), 45)
        shown = request("GET", page["page"], want=200)[1]
        self.assertEqual((shown["worst_status"], shown["services"][0]["title"]), ("WARNING", "disk"))
        self.assertNotIn("secret message", json.dumps(shown))
        self.assertNotIn(self.agent.server, json.dumps(shown))
        with urllib.request.urlopen(f"http://127.0.0.1:{serverd.backend.ports[0]}{page['badge']}") as f:
            self.assertEqual((f.headers["Content-Type"], f.headers["Cross-Origin-Resource-Policy"]),
                             ("image/svg+xml; charset=utf-8", "cross-origin"))
            svg = f.read()
        self.assertNotIn(b"<script", svg)
        texts = ["".join(e.itertext()) for e in xml.etree.ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
        self.assertEqual(texts, ["a<script>&\"'é", "offline"])
        request("DELETE", path + "/public-page", token=self.user.token, want=204)
        request("GET", page["page"], want=404)
        request("GET", page["badge"], want=404)
        # A new page has another address.
        self.assertNotEqual(request("PUT", path + "/public-page", {}, self.user.token, want=200)[1], page)


class Lists(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.user = User()
        cls.agents = {}
        for name, labels in (("b-web", ["prod", "web"]), ("A-db", ["prod"]), ("c%_", []), ("b-web", ["test"])):
            made = post("/agents/register", {"server_name": name, "labels": labels}, cls.user.token, want=201)[1]
            cls.agents[name] = made
        claimed = post("/agents/claim", {"claim_token": cls.agents["A-db"]["claim_token"]}, want=200)[1]
        cls.db = serverd.Agent(cls.user, claimed)
        error = message("service_error", service_name="cron", timestamp=serverd.TIME, error={"kind": "timeout", "detail": "x"})
        report(cls.db, update("disk", "FAILURE"), update("ntp", "WARNING"), update("apt", "UPDATE"), error,
               message("gap", **{"from": None, "to": serverd.TIME}))

    def servers(self, query):
        return names(get("/servers" + query, self.user.token))

    def test_servers(self):
        self.assertEqual(self.servers(""), ["A-db", "b-web", "b-web", "c%_"])
        for query, want in (("?label=prod", ["A-db", "b-web"]), ("?label=x%22%27", []), ("?q=WEB", ["b-web", "b-web"]),
                            ("?q=%25", ["c%_"]), ("?state=pending,rebooting", ["b-web", "b-web", "c%_"]),
                            ("?state=offline", ["A-db"]), ("?status=FAILURE", ["A-db"]), ("?status=OK", []),
                            ("?label=web&q=b&state=pending", ["b-web"])):
            self.assertEqual(self.servers(query), want, query)
        for query in ("?state=", "?state=dead", "?state=online,", "?status=ok", "?status=OK,,OK", "?label=" + "x" * 65,
                      "?q=%7f", "?q=%c2%85", "?q=" + "x" * 129, "?limit=0"):
            get("/servers" + query, self.user.token, 400)

    def test_pages(self):
        found = list(pages("/servers?limit=1&q=b", self.user.token))
        self.assertEqual([len(p) for p in found], [1, 1, 1, 0])
        self.assertEqual([s["name"] for p in found for s in p], ["A-db", "b-web", "b-web"])
        self.assertEqual(len({s["id"] for p in found for s in p}), 3)
        found = [names(p) for p in pages(f"/servers/{self.db.server}/services?limit=2", self.user.token)]
        self.assertEqual(found, [["apt", "cron"], ["disk", "last"], ["ntp"]])
        # What comes or goes meanwhile neither repeats nor hides another.
        several = pages("/servers?limit=2", self.user.token)
        self.assertEqual(names(next(several)), ["A-db", "b-web"])
        made = post("/agents/register", {"server_name": "a-new"}, self.user.token, want=201)[1]
        self.assertEqual(names(next(several)), ["b-web", "c%_"])
        request("DELETE", f"/api/v1/servers/{made['server_id']}", token=self.user.token, want=204)

    def test_services(self):
        path = f"/servers/{self.db.server}/services"
        for query, want in (("?status=FAILURE,WARNING", ["disk", "ntp"]), ("?state=error", ["cron"]), ("?q=DIS", ["disk"]),
                            ("?state=stale", []), ("?state=disabled", []), ("?status=OK", ["last"])):
            self.assertEqual(names(get(path + query, self.user.token)), want, query)
        get(path + "?state=broken", self.user.token, 400)

    def test_all_services(self):
        for query in ("?limit=2", "?limit=100"):
            found = [s for page in pages("/services" + query, self.user.token) for s in page]
            self.assertEqual([s["service"]["name"] for s in found], ["disk", "ntp", "apt", "last", "cron"])
        self.assertEqual((found[0]["server_id"], found[0]["server_name"]), (self.db.server, "A-db"))
        for query, want in (("?status=WARNING", ["ntp"]), ("?label=prod&q=t", ["ntp", "apt", "last"]), ("?label=none", [])):
            self.assertEqual([s["service"]["name"] for s in get("/services" + query, self.user.token)], want, query)
        get("/services?after=WyIxIl0", self.user.token, 400)

    def test_events(self):
        path = f"/servers/{self.db.server}/events"
        everything = get(path, self.user.token)
        self.assertEqual([(e["kind"], e["service"]) for e in everything],
                         [("result", "last"), ("gap", None), ("error", "cron"), ("result", "apt"), ("result", "ntp"),
                          ("result", "disk")])
        self.assertEqual([e for page in pages(path + "?limit=4", self.user.token) for e in page], everything)
        disk = f"/servers/{self.db.server}/services/disk/events"
        for query, want in (("?kind=error,gap", 2), ("?from=2025-09-02T16:06:37Z", 6), ("?to=2025-09-02T16:06:37Z", 0),
                            ("?from=2025-09-02T18:06:37%2B02:00&to=2025-09-02T16:06:38Z", 6), ("?from=2030-01-01T00:00:00Z", 0)):
            self.assertEqual(len(get(path + query, self.user.token)), want, query)
        self.assertEqual([e["kind"] for e in get(disk, self.user.token)], ["gap", "result"])
        self.assertEqual([e["kind"] for e in get(disk + "?kind=result", self.user.token)], ["result"])
        for query in ("?kind=x", "?from=yesterday", "?from=2025-02-30T00:00:00Z", "?limit=1001"):
            get(path + query, self.user.token, 400)


class Timeline(unittest.TestCase):
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
            self.assertEqual(answer.headers["Content-Type"], "image/svg+xml; charset=utf-8")
            self.assertTrue(answer.read().startswith(b"<svg "))
        for body in ({}, {"text": ""}, {"text": "x" * 1025}, {"text": 1}):
            post("/qr", body, token, want=400)
        post("/qr", {"text": "a"}, want=401)


class ManyRows(unittest.TestCase):
    def test_plans(self):
        """Pages are read by index, also deep down, among some 100,000 rows."""
        user = User()
        backend = serverd.backend
        serverd.sql(f"""
            INSERT INTO servers (public_id, agent_id, user_id, name) SELECT 'srv-m' || n, 'agt-m' || n, u.id, 'm' || n
                FROM users u, generate_series(1, 1000) n WHERE u.email = '{user.email}';
            INSERT INTO services (server_id, name, status) SELECT s.id, 'v' || n, 'OK'
                FROM servers s, generate_series(1, 100) n WHERE s.public_id LIKE 'srv-m%';
            INSERT INTO events (server_id, service, kind, at, status) SELECT s.id, 'v' || n % 10 + 1, 'result', now(), 'OK'
                FROM servers s, generate_series(1, 100000) n WHERE s.public_id = 'srv-m500';
            ANALYZE servers, services, events""")
        # The other days' partitions are empty, and read as a whole.
        filled = serverd.sql("SELECT DISTINCT tableoid::regclass FROM events WHERE service LIKE 'v%'").split()
        lists = {"/servers": "servers", "/servers?q=m50": "servers", "/servers/srv-m500/services": "services",
                 "/servers/srv-m500/events": "events", "/servers/srv-m500/services/v5/events": "events"}
        for path, table in lists.items():
            deep = path + ("&" if "?" in path else "?") + "limit=5"
            # A connection of the pool that has not read the setting yet logs no plan.
            for _ in range(10):
                several = pages(deep, user.token)
                next(several)
                with backend.explained() as plans:
                    self.assertLessEqual(len(next(several)), 5)
                found = [p for p in plans if "json_build_array" in p]
                if found:
                    break
            plan = found[-1]
            self.assertIn("Index", plan)
            for scanned in filled + ["services", "servers"]:
                self.assertNotIn(f"Seq Scan on {scanned} ", plan, plan)
            if table == "servers":
                # In the order of the index, as many as the page has of each team: what a page does not show is not counted.
                above, _, below = plan.partition("Index Scan using servers_user")
                self.assertNotIn("Sort Key: (lower", above[above.rindex("Limit"):] + below, plan)


if __name__ == "__main__":
    serverd.main()
