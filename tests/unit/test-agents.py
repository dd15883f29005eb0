#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What agents say to the backend, well-formed or not, and what is shown of their being there.

Usage: test-agents.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import datetime
import json
import os
import unittest

import websockets

import pq
import serverd
from serverd import TIME, User, closed_with, get, message, sql, update, wait_until

GRACE, REBOOT_TIME = 2, 3
MIB = 1024 * 1024


def in_seconds(n):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=n)).strftime("%Y-%m-%dT%H:%M:%SZ")


def inventory(*services):
    return message("inventory", services=list(services))


def item(**fields):
    return {"service_name": "disk", "timestamp": TIME, "status": "OK", "message": "", **fields}


class AgentTest(unittest.TestCase):
    def setUp(self):
        self.user = User()
        self.agent = self.user.server()
        # Else nobody is to be told of anything, and no transition is written.
        sql("INSERT INTO notification_channels (public_id, user_id, type, name, enabled)"
            f" SELECT 'chn-{self.agent.server}', user_id, 'webhook', 'off', false FROM servers"
            f" WHERE public_id = '{self.agent.server}'")

    async def connect(self, ws):
        """Authenticates; the payload of auth_ok."""
        await ws.send(self.agent.auth())
        answer = json.loads(await asyncio.wait_for(ws.recv(), 20))
        self.assertEqual(answer["type"], "auth_ok")
        return answer["payload"]

    def service(self, name="disk"):
        return get(f"/servers/{self.agent.server}/services/{name}", self.user.token)

    def transitions(self, what):
        return sql("SELECT concat_ws(' ', coalesce(t.before, '-'), coalesce(t.after, '-')) FROM transitions t"
                   f" JOIN servers s ON s.id = t.server_id WHERE s.public_id = '{self.agent.server}' AND what = '{what}'"
                   " ORDER BY t.id").split("\n")


class Messages(AgentTest):
    def talk(self, *frames, auth=True):
        """Sends frames (text; bytes go as a binary frame; a tuple is a text frame of these bytes) and waits for the
        close: what was said last, and the code."""
        async def run():
            async with self.agent.connect() as ws:
                if auth:
                    await self.connect(ws)
                for f in frames:
                    if isinstance(f, tuple):
                        await ws.write_frame(True, 1, f[0])
                    else:
                        await ws.send(f)
                return await closed_with(ws)

        return asyncio.run(run())

    def is_well(self):
        async def run():
            async with self.agent.connect() as ws:
                await self.connect(ws)
                await ws.send(update("well", cursor="well"))
                return json.loads(await asyncio.wait_for(ws.recv(), 20))["payload"]["cursor"]

        self.assertEqual(asyncio.run(run()), "well")

    def test_malformed(self):
        deep = "[" * 10000 + "]" * 10000
        cases = ["", "{", "null", "[]", "5", '"auth"', "{}", '{"type":5,"payload":{}}', '{"type":"status_update"}',
                 '{"type":"status_update","payload":[]}', '{"type":"status_update","payload":%s}' % deep,
                 '{"type":"status_update","payload":%s}' % ('{"a":' * 17 + "1" + "}" * 17),
                 message("status_batch", items={}), message("status_batch", items=[1]), message("status_batch", items=[[]]),
                 message("status_batch", items=[item(), item(status="ERROR")]),
                 message("status_batch", items=[item(error=5)]), message("status_batch", items=[item(error={})]),
                 message("service_error", **item(error={"kind": "nonsense"})), message("service_error", **item()),
                 message("inventory", services=5), message("inventory"), message("inventory", services=["disk"]),
                 inventory({"service_name": "a"}, {"service_name": "a"}), inventory({"service_name": "a", "enabled": 1}),
                 inventory({"service_name": "a", "timeout_ms": 10 ** 30}), inventory({"service_name": "a", "next_run": 5}),
                 inventory({"service_name": "a", "depends_on": "b"}), inventory({"service_name": "a", "depends_on": ["B"]}),
                 inventory({"service_name": "a", "watches": [{}]}), inventory({"service_name": "a", "watches": ["\0"]}),
                 message("gap"), message("gap", to=5), message("gap", to=TIME, cursor=[]),
                 message("going_down", cancelled="yes"),
                 update("x" * 3 + "/.."), update("a", cursor={}), update("a", invocation_id="xyz"),
                 update("a", duration_ms=-1), update("a", duration_ms=10 ** 30), update("a", duration_ms=1.5),
                 update("a", duration_ms="1"), update("a").replace('"OK"', "null"), update("a").replace("OK", "ok"),
                 update("a").replace(TIME, "yesterday"), update("a").replace(TIME, "2025-02-30T00:00:00Z"),
                 update("a").replace(TIME, TIME + "\\u0000"), update("a", text="\0"),
                 '{"type":"status_update","payload":{"duration_ms":1e400}}']
        for case in cases:
            said, code = self.talk(case)
            self.assertEqual((code, said["payload"]["code"]), (4400, "bad_message"), case[:100])
        # RFC 6455, 8.1: text that is not UTF-8 fails the connection.
        for case in (b'{"type":"status_update","payload":{"service_name":"\xff\xfe"}}',), (b"\xc0\x80",):
            self.assertEqual(self.talk(case)[1], 1007, case)
        self.is_well()

    def test_too_large(self):
        cases = [update("a", text="y" * 4097), update("a", cursor="c" * 10240), update("a" * 65), update("a" * 10000),
                 message("status_batch", items=[item()] * 1001),
                 inventory(*({"service_name": f"s{n}"} for n in range(4097))),
                 inventory({"service_name": "a", "depends_on": ["b"] * 65}), inventory({"service_name": "a", "watches": ["b"] * 17}),
                 inventory({"service_name": "a", "watches": ["b" * 256]}),
                 update("a", text="y" * MIB), "x" * (MIB + 1)]
        for case in cases:
            said, code = self.talk(case)
            self.assertEqual(code, 4413, case[:100])
        said, code = self.talk(" " * (4 * MIB))
        self.assertEqual(code, 4413)
        self.is_well()

    def test_too_many_services(self):
        """However the names come: not more than an inventory holds."""
        def batch(k):
            return message("status_batch", items=[item(service_name=f"x{k}-{n}", cursor=f"{k}-{n}") for n in range(1000)])

        self.assertEqual([self.talk(*(batch(k) for k in range(5)))[1], self.talk(batch(5))[1]], [4400, 4400])
        n = int(sql("SELECT count(*) FROM services v JOIN servers s ON s.id = v.server_id"
                    f" WHERE s.public_id = '{self.agent.server}'"))
        self.assertTrue(3000 <= n <= 4096, n)
        # What is there goes on.
        async def run():
            async with self.agent.connect() as ws:
                await self.connect(ws)
                await ws.send(update("x0-0", cursor="on"))
                self.assertEqual(json.loads(await asyncio.wait_for(ws.recv(), 20))["payload"]["cursor"], "on")
                await ws.send(inventory())

        asyncio.run(run())

    def test_as_large_as_may_be(self):
        padded = update("a", text="y" * 4096, cursor="c" * 1024).ljust(MIB)

        async def run():
            async with self.agent.connect() as ws:
                await self.connect(ws)
                await ws.send(padded)
                self.assertEqual(json.loads(await ws.recv())["payload"]["cursor"], "c" * 1024)
                await ws.send(message("status_batch", items=[item(cursor=str(n)) for n in range(1000)]))
                while json.loads(await ws.recv())["payload"]["cursor"] != "999":
                    pass
                await ws.send(inventory(*({"service_name": f"s{n}", "title": "T"} for n in range(4096))))
                await ws.send(update("s1", cursor="end"))
                self.assertEqual(json.loads(await ws.recv())["payload"]["cursor"], "end")
            async with self.agent.connect() as ws:
                self.assertEqual((await self.connect(ws))["resume_after"], "end")

        asyncio.run(run())
        self.assertEqual(get(f"/servers/{self.agent.server}", self.user.token)["services"], 4096)

    def test_binary(self):
        self.assertEqual(self.talk(b"{}")[1], 1003)
        self.assertEqual(self.talk(update("a").encode(), auth=False)[1], 1003)
        self.is_well()

    def test_before_auth(self):
        for case in (update("a"), inventory(), message("gap", to=TIME), message("resume"), message("going_down")):
            said, code = self.talk(case, auth=False)
            self.assertEqual((code, said["payload"]["code"]), (4400, "bad_message"), case)
        self.assertEqual(self.agent.state(), "offline")

    def test_times_far_off(self):
        for t in ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "2016-12-31T23:59:60Z",
                  "9999-12-31T23:59:59Z", "2025-01-01T00:00:00+99:99", "20250101T000000Z", "99999-01-01T00:00:00Z"):
            async def run():
                async with self.agent.connect() as ws:
                    await self.connect(ws)
                    await ws.send(update("far", cursor=t).replace(TIME, t))
                    try:
                        return json.loads(await asyncio.wait_for(ws.recv(), 20))["type"]
                    except websockets.ConnectionClosed as e:
                        return e.code

            self.assertIn(asyncio.run(run()), ("ack", "error"), t)
        self.is_well()
        self.assertTrue(all(e["at"] for e in self.agent.events("far")))
        # A next run at the end of time is no reason to fail either.
        async def expect():
            async with self.agent.connect() as ws:
                await self.connect(ws)
                await ws.send(inventory({"service_name": "far", "next_run": "9999-12-31T23:59:59Z", "timeout_ms": 1000}))
                await ws.send(update("far", cursor="end"))
                return json.loads(await asyncio.wait_for(ws.recv(), 20))["type"]

        self.assertEqual(asyncio.run(expect()), "ack")

    def test_unknown_is_ignored(self):
        async def run():
            async with self.agent.connect() as ws:
                await self.connect(ws)
                await ws.send(message("of-a-later-version", anything=[1, {"a": None}]))
                await ws.send(update("a", cursor="1", unknown={"a": 1}))
                return json.loads(await ws.recv())["payload"]["cursor"]

        self.assertEqual(asyncio.run(run()), "1")

    def test_what_older_agents_tell_of_a_service(self):
        """Up to schema 8, description and version were members of the service."""
        async def run():
            async with self.agent.connect() as ws:
                await self.connect(ws)
                await ws.send(inventory({"service_name": "disk", "description": "Space", "version": "2"},
                                        {"service_name": "long", "description": "x" * 513, "version": "3"},
                                        {"service_name": "none", "description": None, "version": 4},
                                        {"service_name": "both", "description": "not this", "metadata": {"description": "this"}}))
                await ws.send(update("disk", cursor="1"))
                await ws.recv()

        asyncio.run(run())
        self.assertEqual([self.service(name)["metadata"] for name in ("disk", "long", "none", "both")],
                         [{"description": "Space", "version": "2"}, {"version": "3"}, {}, {"description": "this"}])

    def test_gap_is_told_once(self):
        async def run():
            async with self.agent.connect() as ws:
                self.assertEqual((await self.connect(ws))["gap_told"], False)
                await ws.send(update("disk", cursor="1"))
                await ws.recv()
                await ws.send(message("gap", cursor="1", to=TIME, **{"from": None}))
                self.assertEqual(json.loads(await ws.recv()), {"type": "ack", "payload": {"cursor": "1"}})
            async with self.agent.connect(1) as ws:
                answer = await self.connect(ws)
                self.assertEqual((answer["resume_after"], answer["gap_told"]), ("1", True))
                await ws.send(update("disk", cursor="2"))
                await ws.recv()
            async with self.agent.connect() as ws:
                self.assertEqual((await self.connect(ws))["gap_told"], False)

        asyncio.run(run())
        self.assertEqual([e["kind"] for e in self.agent.events("disk")], ["result", "gap", "result"])

    def test_replay(self):
        async def session(*messages):
            async with self.agent.connect() as ws:
                await self.connect(ws)
                for m in messages:
                    await ws.send(m)
                cursor = None
                while cursor != "end":
                    cursor = json.loads(await asyncio.wait_for(ws.recv(), 20))["payload"]["cursor"]

        asyncio.run(session(update("disk", "OK", "now"), update("cpu", "OK", "now", cursor="end")))
        stream = self.user.stream(1)
        old = [item(status=s, message=str(n), timestamp=f"2025-09-01T00:00:0{n}Z", cursor=str(n))
               for n, s in enumerate(["FAILURE", "WARNING", "FAILURE", "OK"])]
        asyncio.run(session(message("resume"), message("status_batch", items=old[:2]),
                            message("status_batch", items=old[2:]), update("cpu", "FAILURE", "old", cursor="x"),
                            message("live"), update("disk", "OK", "live", cursor="end")))
        seen = set()
        while not seen >= {"live", "old"}:
            seen.add(stream.wait("service", seconds=20)[0]["service"]["message"])
        self.assertLessEqual(seen, {"3", "old", "live"})
        self.assertEqual(self.transitions("status"), ["- OK", "- OK", "OK FAILURE"])
        self.assertEqual([e["at"] for e in self.agent.events("disk")][1:5],
                         [f"2025-09-01T00:00:0{n}.000Z" for n in range(4)])


class Storm(AgentTest):
    """Many agents at once are begun by few statements, and each gets what it would have got alone."""

    async def begin(self, agent, key=None, hostname="h"):
        """What is said first, and the code of the close that comes after an error."""
        auth = json.loads(agent.auth())
        auth["payload"].update({"hostname": hostname}, **({"api_key": key} if key else {}))
        async with agent.connect() as ws:
            await ws.send(json.dumps(auth))
            answer = json.loads(await asyncio.wait_for(ws.recv(), 30))
            if answer["type"] == "error":
                return answer["payload"]["code"], (await closed_with(ws))[1]
            self.assertEqual(answer["payload"]["server_name"], agent.name)
            return "auth_ok", None

    def setUp(self):
        super().setUp()
        self.agents = [self.user.server(f"storm-{n}") for n in range(40)]
        for n, agent in enumerate(self.agents):
            agent.name = f"storm-{n}"
        self.before = self.epochs()

    def epochs(self):
        return [int(sql(f"SELECT session_epoch FROM servers WHERE public_id = '{a.server}'")) for a in self.agents]

    def test_right_and_wrong_keys(self):
        async def run():
            sessions = []
            for agent in self.agents:
                sessions += [self.begin(agent, key="wrong"), self.begin(agent), self.begin(agent, key="wrong")]
            return await asyncio.gather(*sessions)

        got = asyncio.run(run())
        self.assertEqual(set(got[1::3]), {("auth_ok", None)})
        self.assertEqual(set(got[::3] + got[2::3]), {("unauthorized", 4401)})
        self.assertEqual(self.epochs(), [n + 1 for n in self.before])

    def test_one_agent_many_times(self):
        """All are let in, one after the other: each takes over from the one before."""
        async def run():
            return await asyncio.gather(*(self.begin(self.agents[0]) for _ in range(100)))

        self.assertEqual(set(asyncio.run(run())), {("auth_ok", None)})
        self.assertEqual(self.epochs()[0], self.before[0] + 100)

    def test_one_that_the_database_refuses(self):
        sql("ALTER TABLE servers ADD CONSTRAINT in_test CHECK (hostname <> 'refused')")
        try:
            async def run():
                return await asyncio.gather(*(self.begin(a, hostname="refused" if n == 7 else "h")
                                              for n, a in enumerate(self.agents)))

            got = asyncio.run(run())
        finally:
            sql("ALTER TABLE servers DROP CONSTRAINT in_test")
        self.assertEqual(got.pop(7), ("unavailable", 1013))
        self.assertEqual(set(got), {("auth_ok", None)})


class Presence(AgentTest):
    def test_stale_and_recovered(self):
        streams = [self.user.stream(i) for i in (0, 1)]

        async def run():
            async with self.agent.connect() as ws:
                await self.connect(ws)
                await ws.send(update("disk", "WARNING", "w"))
                await ws.send(inventory({"service_name": "disk", "next_run": in_seconds(1), "timeout_ms": 500}))
                for s in streams:
                    await asyncio.to_thread(s.wait, "service", lambda d: d["service"]["next_run"])
                self.assertEqual((self.service()["stale"], self.service()["stale_since"]), (False, None))
                for s in streams:
                    data = (await asyncio.to_thread(s.wait, "service", lambda d: d["service"]["stale"], 20))[0]
                    self.assertEqual(data["service"]["status"], "WARNING")
                    await asyncio.to_thread(s.wait, "server", lambda d: d["stale"] == 1)
                self.assertTrue(self.service()["stale_since"])
                await ws.send(update("disk", "WARNING", "w"))
                for s in streams:
                    await asyncio.to_thread(s.wait, "service", lambda d: not d["service"]["stale"])

        asyncio.run(run())
        self.assertEqual(self.transitions("stale"), ["- stale", "stale -"])

    def test_going_down(self):
        stream = self.user.stream(1)

        def wait(state, seconds=20):
            stream.wait("server", lambda d: d["state"] == state, seconds)

        async def run():
            async with self.agent.connect() as ws:
                await self.connect(ws)
                await asyncio.to_thread(wait, "online")
                await ws.send(message("going_down"))
                await asyncio.to_thread(wait, "rebooting")
                await ws.send(message("going_down", cancelled=True))
                await asyncio.to_thread(wait, "online")
                await ws.send(message("going_down"))
                await asyncio.to_thread(wait, "rebooting")
            self.assertEqual(self.agent.state(), "rebooting")
            async with self.agent.connect(1) as ws:
                await self.connect(ws)
                await asyncio.to_thread(wait, "online")
                await ws.send(message("going_down"))
                await asyncio.to_thread(wait, "rebooting")

        asyncio.run(run())
        wait("offline")
        self.assertEqual(self.agent.state(), "offline")
        self.assertEqual(self.transitions("state"),
                         ["offline online", "online rebooting", "rebooting online", "online rebooting",
                          "rebooting online", "online rebooting", "rebooting offline"])

    def test_end_that_could_not_be_written(self):
        async def run():
            async with self.agent.connect() as ws:
                await self.connect(ws)
                await asyncio.to_thread(serverd.backend.stop_database)

        asyncio.run(run())
        serverd.backend.start_database()
        wait_until(lambda: serverd.request("GET", "/readyz")[0] == 200)
        wait_until(lambda: self.agent.state() == "offline", 30)

    def test_who_comes_back_with_the_database_stays(self):
        """A session that is just beginning is not taken for one whose end was missed."""
        agents = [self.user.server(f"host-{n}") for n in range(20)]

        async def session(agent, n, connected, done):
            while True:
                try:
                    async with agent.connect(n % 2) as ws:
                        await agent.start(ws)
                        connected.append(agent)
                        await done.wait()
                        return
                except (OSError, AssertionError, websockets.WebSocketException, asyncio.TimeoutError):
                    await asyncio.sleep(0.01)

        async def run():
            connected, done = [], asyncio.Event()
            await asyncio.to_thread(serverd.backend.stop_database)
            sessions = [asyncio.create_task(session(a, n, connected, done)) for n, a in enumerate(agents)]
            await asyncio.to_thread(serverd.backend.start_database)
            while len(connected) < len(agents):
                await asyncio.sleep(0.05)
            count = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'instances'"
            begun = int(sql(count) or 0)
            await asyncio.to_thread(wait_until, lambda: int(sql(count)) >= begun + 6)
            states = await asyncio.to_thread(get, "/servers", self.user.token)
            done.set()
            await asyncio.gather(*sessions)
            return {s["state"] for s in states if s["name"].startswith("host-")}

        self.assertEqual(asyncio.run(run()), {"online"})
        servers = ", ".join(repr(a.server) for a in agents)
        again = sql("SELECT count(*) FROM transitions t JOIN servers s ON s.id = t.server_id"
                    f" WHERE s.public_id IN ({servers}) AND what = 'state' AND after = 'online'")
        self.assertEqual(again, str(len(agents)))

    def test_z_instance_that_died(self):
        """Others say that its agents are gone, but only when they have been there for long enough to judge; and viewers read again
        what it has committed without telling."""
        stream = self.user.stream(1)

        async def run():
            async with self.agent.connect(0) as ws:
                await self.connect(ws)
                self.assertEqual(self.agent.state(1), "online")
                # It cannot tell the others.
                blocker = pq.Connection(f"host={serverd.backend.dir} user=ssi dbname=postgres")
                blocker.rows("BEGIN")
                blocker.rows("LOCK TABLE instances IN ACCESS EXCLUSIVE MODE")
                await ws.send(update("last", "FAILURE", "untold", cursor="c-untold"))
                while json.loads(await ws.recv()).get("payload", {}).get("cursor") != "c-untold":
                    pass
                serverd.backend.servers[0].kill()
                serverd.backend.servers[0].wait()
                sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_notify%' AND pid <> pg_backend_pid()")
                blocker.rows("ROLLBACK")
                blocker.close()

        asyncio.run(run())
        dead = sql(f"SELECT instance FROM servers WHERE public_id = '{self.agent.server}'")
        sql(f"UPDATE instances SET seen_at = now() - interval '50 s' WHERE id = '{dead}'")
        stream.wait("end", seconds=60)
        self.assertEqual(self.agent.state(1), "offline")
        self.assertEqual(sql(f"SELECT count(*) FROM instances WHERE id = '{dead}'"), "0")
        serverd.backend.start_server(0)


if __name__ == "__main__":
    os.environ.update(SSI_STALE_GRACE=str(GRACE), SSI_REBOOT_TIME=str(REBOOT_TIME))
    serverd.main()
