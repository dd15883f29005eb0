#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who an agent is: its key, which can change, and the host that uses it, of which there should be one.

Usage: test-agent-identity.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import contextlib
import json
import unittest

import serverd
from serverd import User, closed_with, get, message, post, sql, update, wait_until


class Refused(Exception):
    def __init__(self, name, code):
        super().__init__(name, code)
        self.name, self.code = name, code


class IdentityTest(unittest.TestCase):
    def setUp(self):
        self.user = User()
        self.agent = self.user.server()

    @contextlib.asynccontextmanager
    async def session(self, boot=None, key=None, hostname=None, i=0):
        """An authenticated WebSocket and the payload of auth_ok."""
        auth = json.loads(self.agent.auth())
        auth["payload"].update({k: v for k, v in (("boot_id", boot), ("api_key", key), ("hostname", hostname)) if v is not None})
        async with self.agent.connect(i) as ws:
            await ws.send(json.dumps(auth))
            answer = json.loads(await asyncio.wait_for(ws.recv(), 20))
            if answer["type"] == "error":
                raise Refused(answer["payload"]["code"], (await closed_with(ws))[1])
            yield ws, answer["payload"]

    async def outcome(self, **auth):
        """"ok", or the code of the refusal."""
        try:
            async with self.session(**auth):
                return "ok"
        except Refused as e:
            return e.name

    def server(self, i=0):
        return get(f"/servers/{self.agent.server}", self.user.token, i=i)

    def names(self):
        return sorted(s["name"] for s in get(f"/servers/{self.agent.server}/services", self.user.token))

    def row(self, columns):
        return sql(f"SELECT {columns} FROM servers WHERE public_id = '{self.agent.server}'")


class Keys(IdentityTest):
    async def ask(self, ws):
        await ws.send(message("rotate_key"))
        answer = json.loads(await asyncio.wait_for(ws.recv(), 20))
        self.assertEqual(answer["type"], "new_key")
        return answer["payload"]["api_key"]

    def test_both_are_valid_until_the_new_one_is_used(self):
        async def run():
            old = self.agent.key
            async with self.session() as (ws, ok):
                self.assertIn("rotate_key", ok["features"])
                new = await self.ask(ws)
                self.assertRegex(new, r"^ssi_key_[A-Za-z0-9_-]{43}$")
                self.assertNotEqual(new, old)
                await ws.send(update("disk", cursor="on"))  # it goes on
                self.assertEqual(json.loads(await ws.recv())["payload"]["cursor"], "on")
            self.assertEqual(await self.outcome(key=old), "ok")
            self.assertEqual(await self.outcome(key=old, i=1), "ok")
            self.assertEqual(await self.outcome(key=new, i=1), "ok")
            self.assertEqual(await self.outcome(key=old), "unauthorized")
            self.assertEqual(await self.outcome(key=old, i=1), "unauthorized")
            self.assertEqual(await self.outcome(key=new), "ok")
            self.assertEqual(self.row("next_key_hash IS NULL"), "t")

        asyncio.run(run())

    def test_a_key_that_did_not_arrive_is_replaced(self):
        async def run():
            async with self.session() as (ws, _):
                lost = await self.ask(ws)
            async with self.session() as (ws, _):
                new = await self.ask(ws)
            self.assertEqual([await self.outcome(key=k) for k in (lost, new, lost)], ["unauthorized", "ok", "unauthorized"])

        asyncio.run(run())

    def test_only_the_current_session_is_given_one(self):
        async def run():
            async with self.session() as (old, _):
                async with self.session(i=1) as (ws, _):
                    self.assertEqual((await closed_with(old))[1], 4409)
                    new = await self.ask(ws)
            with self.assertRaises(Refused):
                async with self.session(key=new + "x"):
                    pass
            self.assertEqual(await self.outcome(key=new), "ok")

        asyncio.run(run())

    def test_before_auth_there_is_none(self):
        async def run():
            async with self.agent.connect() as ws:
                await ws.send(message("rotate_key"))
                return await closed_with(ws)

        self.assertEqual(asyncio.run(run())[1], 4400)
        self.assertEqual(self.row("next_key_hash IS NULL"), "t")

    def test_a_claim_ends_both(self):
        async def run():
            async with self.session() as (ws, _):
                return await self.ask(ws)

        new, old = asyncio.run(run()), self.agent.key
        token = post(f"/servers/{self.agent.server}/claim-token", None, self.user.token, want=201)[1]["claim_token"]
        claimed = post("/agents/claim", {"claim_token": token}, want=200)[1]["api_key"]
        self.assertEqual([asyncio.run(self.outcome(key=k)) for k in (old, new, claimed)], ["unauthorized", "unauthorized", "ok"])

    def test_old_and_new_at_once(self):
        """In one statement: neither is told that it is unknown."""
        async def run():
            for _ in range(5):
                async with self.session(key=self.agent.key) as (ws, _):
                    new = await self.ask(ws)
                got = await asyncio.gather(*(self.outcome(key=k) for k in [self.agent.key] * 20 + [new]))
                self.assertEqual(got[-1], "ok")
                # The old one may come after the new one.
                self.assertLessEqual(set(got), {"ok", "unauthorized"})
                self.agent.key = new

        asyncio.run(run())

    def test_a_killed_backend_leaves_one_valid(self):
        """Killed at any moment while the key changes: what the agent has saved is accepted afterward."""
        async def rotate(saved, delay):
            async with self.session() as (ws, _):
                asyncio.get_running_loop().call_later(delay, serverd.backend.servers[0].kill)
                with contextlib.suppress(Exception):
                    saved.append(await self.ask(ws))
                    async with self.session(key=saved[-1]):
                        saved.pop(0)

        for delay in (0, 0.001, 0.003, 0.01, 0.03):
            saved = [self.agent.key]
            with contextlib.suppress(Exception):
                asyncio.run(rotate(saved, delay))
            serverd.backend.servers[0].kill()
            serverd.backend.servers[0].wait()
            serverd.backend.start_server(0)
            self.assertEqual(asyncio.run(self.outcome(key=saved[-1])), "ok")
            self.agent.key = saved[-1]


class Duplicates(IdentityTest):
    async def alternate(self, *boots, i=0):
        return [await self.outcome(boot=b, hostname=f"host-{b}", i=i) for b in boots]

    def make_duplicate(self):
        self.assertEqual(asyncio.run(self.alternate("a", "b", "a", "b")), ["ok", "ok", "ok", "duplicate"])

    def keep(self, which, want=204):
        return post(f"/servers/{self.agent.server}/duplicate", {"keep": which}, self.user.token, want=want)[1]

    def test_the_third_change_is_refused_and_told(self):
        self.assertIsNone(self.server()["duplicate"])
        streams = [self.user.stream(i) for i in (0, 1)]

        async def run():
            self.assertEqual(await self.alternate("a", "b"), ["ok", "ok"])
            async with self.session(boot="a", hostname="host-a", i=1) as (ws, _):
                with self.assertRaises(Refused) as refused:
                    async with self.session(boot="b", hostname="host-b"):
                        pass
                self.assertEqual((refused.exception.name, refused.exception.code), ("duplicate", 4410))
                for s in streams:
                    told = (await asyncio.to_thread(s.wait, "server", lambda d: d["duplicate"]))[0]["duplicate"]
                    self.assertEqual((told["accepted"], told["refused"]), ("host-a", "host-b"))
                    self.assertRegex(told["since"], r"^20\d\d-")
                # The accepted one is not disturbed, however often the other one comes.
                self.assertEqual(await self.alternate("b", "b", i=1) + await self.alternate("b"), ["duplicate"] * 3)
                await ws.send(update("disk", cursor="on"))
                self.assertEqual(json.loads(await asyncio.wait_for(ws.recv(), 20))["payload"]["cursor"], "on")
            self.assertEqual(await self.alternate("a", "b", "a"), ["ok", "duplicate", "ok"])

        asyncio.run(run())
        self.assertEqual(self.server()["duplicate"]["refused"], "host-b")
        self.assertEqual([s["duplicate"]["accepted"] for s in get("/servers", self.user.token)], ["host-a"])
        [entry] = get("/audit?event=server.duplicate", self.user.token)
        self.assertEqual((entry["object"], entry["name"], entry["actor"], entry["method"]),
                         (self.agent.server, self.server()["name"] + ": host-a is accepted, host-b refused", self.agent.server, "agent key"))
        self.assertTrue(entry["address"])

    def test_more_than_two(self):
        self.assertEqual(asyncio.run(self.alternate("a", "b", "c", "a")), ["ok", "ok", "ok", "duplicate"])

    def test_at_once_on_two_instances(self):
        """However the statements meet: one is accepted in the end, and the other one is not."""
        async def run():
            got = []
            for n in range(6):
                got += await asyncio.gather(self.outcome(boot="a", i=n % 2), self.outcome(boot="b", i=1 - n % 2))
            return got

        got = asyncio.run(run())
        self.assertEqual(set(got), {"ok", "duplicate"})
        self.assertEqual(sorted(got[-2:]), ["duplicate", "ok"])

    def test_reboots_are_no_duplicates(self):
        self.assertEqual(set(asyncio.run(self.alternate(*(b for n in range(8) for b in [f"boot-{n}"] * 3)))), {"ok"})
        self.assertIsNone(self.server()["duplicate"])

    def pass_by(self, span):
        """As if the last changes had been so long ago."""
        sql(f"UPDATE servers SET contested_until = contested_until - interval '{span}',"
            f" boot_changes = ARRAY(SELECT t - interval '{span}' FROM unnest(boot_changes) t) WHERE public_id = '{self.agent.server}'")

    def hook(self):
        """What channels are told of the hosts."""
        post("/notifications/channels", {"type": "webhook", "name": "hook", "config": {"url": "https://example.org/"}}, self.user.token, want=201)

    def told(self):
        wait_until(lambda: sql("SELECT count(*) FROM transitions WHERE NOT taken") == "0")
        return sql("SELECT o.payload ->> 'new', o.payload ->> 'severity', o.payload ->> 'message' FROM notification_outbox o JOIN users u ON"
                   f" u.id = o.user_id WHERE u.email = '{self.user.email}' AND o.payload ->> 'kind' = 'hosts' ORDER BY o.id").splitlines()

    def test_slow_alternation_is_noticed(self):
        """Nobody waits for five minutes: both have come back, so there are two."""
        self.hook()
        got = []
        for boot in "abab":
            got += asyncio.run(self.alternate(boot))
            self.pass_by("3 hours")
        self.assertEqual(got, ["ok", "ok", "ok", "duplicate"])
        self.assertEqual(self.server()["duplicate"]["refused"], "host-b")
        wait_until(lambda: len(self.told()) == 2)
        returned, duplicate = self.told()
        self.assertTrue(returned.startswith("returned|2|The host host-a"), returned)
        self.assertTrue(duplicate.startswith("duplicate|3|Two hosts report as this server: host-a, which is accepted, and host-b,"), duplicate)

    def test_a_copy_that_comes_once_in_days(self):
        """Each return is told, though the days between leave it open whether it is a copy."""
        self.hook()
        got = []
        for boot in "ababa":
            got += asyncio.run(self.alternate(boot))
            self.pass_by("25 hours")
        self.assertEqual(got, ["ok"] * 5)
        self.assertIsNone(self.server()["duplicate"])
        wait_until(lambda: [t.split("|")[0] for t in self.told()] == ["returned"] * 3)

    def test_a_machine_set_back_to_a_snapshot(self):
        """Its own boot ids come after that of the snapshot, and never again: it is told, and not refused."""
        self.hook()
        got = []
        for boot in ("snapshot", "1", "snapshot", "2", "snapshot", "3"):
            got += asyncio.run(self.alternate(boot))
            self.pass_by("1 hour")
        self.assertEqual(got, ["ok"] * 6)
        self.assertIsNone(self.server()["duplicate"])
        wait_until(lambda: [t.split("|")[0] for t in self.told()] == ["returned"] * 2)

    def test_reboots_and_the_owners_choice_are_not_told(self):
        self.hook()
        asyncio.run(self.alternate("1", "2", "3", "4"))
        self.assertEqual(self.told(), [])
        self.agent = self.user.server()
        self.make_duplicate()
        wait_until(lambda: [t.split("|")[0] for t in self.told()] == ["returned", "duplicate"])
        self.keep("refused")
        self.assertEqual(len(self.told()), 2)

    def test_without_boot_ids_each_takes_over(self):
        self.assertEqual(asyncio.run(self.alternate(*[None] * 8)), ["ok"] * 8)
        self.make_duplicate()
        self.assertEqual(asyncio.run(self.alternate(None, "b", None)), ["ok", "duplicate", "ok"])

    def test_a_reboot_of_the_accepted_one(self):
        self.make_duplicate()

        async def run():
            async with self.session(boot="a"):
                self.assertEqual(await self.alternate("rebooted"), ["duplicate"])

        asyncio.run(run())
        wait_until(lambda: self.server()["state"] == "offline")
        self.assertEqual(asyncio.run(self.alternate("rebooted", "b", "rebooted")), ["ok", "duplicate", "ok"])
        self.assertIsNotNone(self.server()["duplicate"])

    def test_the_accepted_one_is_kept(self):
        self.make_duplicate()
        self.keep("accepted")
        self.assertIsNone(self.server()["duplicate"])
        self.assertEqual(asyncio.run(self.alternate("a", "b", "a", "rebooted", "b")), ["ok", "duplicate", "ok", "ok", "duplicate"])
        self.assertIsNone(self.server()["duplicate"])
        self.assertEqual(self.keep("accepted", want=409)["type"], "urn:ssi:problem:no-duplicate")

    def test_the_refused_one_is_kept(self):
        self.make_duplicate()

        async def run():
            async with self.session(boot="a", i=1) as (ws, _):
                await asyncio.to_thread(self.keep, "refused")
                self.assertEqual((await closed_with(ws))[1], 4409)
            self.assertEqual(await self.alternate("a", "b", "a", "b"), ["duplicate", "ok", "duplicate", "ok"])

        asyncio.run(run())
        self.assertIsNone(self.server()["duplicate"])

    def test_who_may_choose(self):
        self.make_duplicate()
        path = f"/servers/{self.agent.server}/duplicate"
        post(path, {"keep": "both"}, self.user.token, want=400)
        post(path, {"keep": "refused"}, User().token, want=404)
        post(path, {"keep": "refused"}, want=401)
        reader = post("/api-tokens", {"name": "r", "scopes": ["read"]}, self.user.token, want=201)[1]["token"]
        post(path, {"keep": "refused"}, reader, want=403)
        self.assertIsNotNone(self.server()["duplicate"])

    def test_registering_anew_is_the_way_out(self):
        self.make_duplicate()
        token = post(f"/servers/{self.agent.server}/claim-token", None, self.user.token, want=201)[1]["claim_token"]
        self.agent.key = post("/agents/claim", {"claim_token": token}, want=200)[1]["api_key"]
        self.assertIsNone(self.server()["duplicate"])
        self.assertEqual(asyncio.run(self.alternate("b", "b")), ["ok", "ok"])

    # -- inventories -----------------------------------------------------------------------------------------------

    async def report(self, ws, *names):
        """An inventory, and a result of each."""
        await ws.send(message("inventory", services=[{"service_name": n} for n in names]))
        for n in names:
            await ws.send(update(n, text="of " + n, cursor=n))
        while json.loads(await asyncio.wait_for(ws.recv(), 20))["payload"].get("cursor") != names[-1]:
            pass

    def test_neither_removes_what_the_other_has(self):
        async def run():
            for boot, names in (("a", ["disk", "cpu"]), ("b", ["disk", "raid"]), ("a", ["disk", "cpu"])):
                async with self.session(boot=boot) as (ws, _):
                    await self.report(ws, *names)
            self.assertEqual(await self.outcome(boot="b"), "duplicate")
            async with self.session(boot="a") as (ws, _):
                await self.report(ws, "disk")

        asyncio.run(run())
        self.assertEqual(self.names(), ["cpu", "disk", "raid"])
        self.assertEqual([e["message"] for e in self.agent.events("raid")], ["of raid"])
        self.assertEqual({e["message"] for e in self.agent.events("cpu")}, {"of cpu"})

    def test_what_is_gone_after_a_reboot_is_removed_later(self):
        async def run():
            async with self.session(boot="a") as (ws, _):
                await self.report(ws, "disk", "cpu")
            async with self.session(boot="b") as (ws, _):
                # So that a test need not wait for five minutes.
                sql(f"UPDATE servers SET contested_until = now() + interval '3 s' WHERE public_id = '{self.agent.server}'")
                await self.report(ws, "disk")
                self.assertEqual(await asyncio.to_thread(self.names), ["cpu", "disk"])
                answer = json.loads(await asyncio.wait_for(ws.recv(), 20))
                self.assertEqual(answer["type"], "send_inventory")
                await self.report(ws, "disk")
                self.assertEqual(await asyncio.to_thread(self.names), ["disk"])

        asyncio.run(run())

    def test_nothing_is_asked_where_nothing_was_withheld(self):
        async def run():
            async with self.session(boot="a") as (ws, _):
                await self.report(ws, "disk", "cpu")
            async with self.session(boot="b") as (ws, _):
                sql(f"UPDATE servers SET contested_until = now() + interval '1 s' WHERE public_id = '{self.agent.server}'")
                await self.report(ws, "disk", "cpu")
                await asyncio.sleep(2.5)
                await ws.send(update("disk", text="more", cursor="end"))
                self.assertEqual(json.loads(await asyncio.wait_for(ws.recv(), 20)), {"type": "ack", "payload": {"cursor": "end"}})
                await self.report(ws, "disk")
                self.assertEqual(await asyncio.to_thread(self.names), ["disk"])

        asyncio.run(run())

    def test_the_same_boot_removes_at_once(self):
        async def run():
            async with self.session(boot="a") as (ws, _):
                await self.report(ws, "disk", "cpu")
            async with self.session(boot="a") as (ws, _):
                await self.report(ws, "disk")

        asyncio.run(run())
        self.assertEqual(self.names(), ["disk"])


if __name__ == "__main__":
    serverd.main()
