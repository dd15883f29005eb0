#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Quotas: what an account may use, what is said when it is used up, and that nobody else notices.

Usage: test-quotas.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import concurrent.futures
import json
import os
import re
import tempfile
import unittest

import serverd
from serverd import PASSWORD, User, get, message, post, request, sql, update
from sinks import HttpSink, MailSink, wait_until

# What the tests reach.
RATE, BURST = 6000, 300
SERVERS, SERVICES, CHANNELS, SILENCES, TOKENS = 3, 6, 4, 2, 2
STORAGE = 400_000
RECIPIENT, ACCOUNT_MAILS, MAILS = 3, 2, 4

mails = None


def problem(answer):
    return answer[0], answer[1]["type"].removeprefix("urn:ssi:problem:")


def restart(i):
    process = serverd.backend.servers[i]
    process.terminate()
    process.wait(20)
    serverd.backend.start_server(i)


def log():
    with open(os.path.join(serverd.backend.dir, "log"), encoding="utf-8", errors="replace") as f:
        return f.read()


class Case(unittest.TestCase):
    def setUp(self):
        self.user = User()

    def usage(self, user=None, i=0):
        return {q["name"]: q for q in get("/users/me/usage", (user or self.user).token, i=i)["quotas"]}

    def own(self, user=None, **quotas):
        """Values of the account's own, as an administrator sets them; None: no limit."""
        for name, value in quotas.items():
            sql("INSERT INTO account_quotas (user_id, name, value, burst) SELECT id,"
                f" '{name}', {'null' if value is None else value}, {'null' if name != 'results' else BURST}"
                f" FROM users WHERE email = '{(user or self.user).email}'"
                " ON CONFLICT (user_id, name) DO UPDATE SET value = excluded.value")


class Counts(Case):
    """What is counted when something is added."""

    # What another request has added.
    ROWS = {
        "servers": "INSERT INTO servers (user_id, public_id, agent_id, name) VALUES ({}, 'first', 'first', 'first')",
        "channels": "INSERT INTO notification_channels (user_id, public_id, type, name, config) VALUES ({}, 'first', 'webhook', 'first',"
                    " '{{\"url\": \"https://example.org/\"}}')",
        "silences": "INSERT INTO silences (user_id, public_id, label, reason, ends_at) VALUES ({}, 'first', 'web', 'first', 'infinity')",
        "tokens": "INSERT INTO api_tokens (user_id, public_id, token_hash, name, scopes) VALUES ({}, 'first', '\\x00', 'first', '{{read}}')",
    }

    def fill(self, what, limit, add, name):
        for _ in range(limit):
            self.assertIn(add()[0], (200, 201))
        self.assertEqual(self.usage()[what]["used"], limit)
        self.assertEqual(self.usage()[what]["limit"], limit)
        self.assertIsNone(self.usage()[what]["reached_at"])
        answer = add()
        self.assertIsNotNone(self.usage()[what]["reached_at"])
        self.assertEqual(problem(answer), (409, name))
        self.assertIn("quota", answer[1]["detail"])
        self.assertIn("/users/me/usage", answer[1]["detail"])
        self.assertEqual(self.usage()[what]["used"], limit)
        # Another account has its own.
        self.assertEqual(self.usage(User())[what]["used"], 0)
        self.own(**{what: limit + 1})
        self.two_at_once(what, add, name)
        self.assertIn(add()[0], (200, 201))
        self.assertEqual(problem(add()), (409, name))

    def two_at_once(self, what, add, name):
        """The second waits for the first, and finds that there is no room."""
        key = sql(f"SELECT id FROM users WHERE email = '{self.user.email}'")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            self.assertEqual(sql(f"BEGIN; SELECT quota_take_room({key}, '{what}')"), "t")
            try:
                answer = pool.submit(add)
                wait_until(lambda: sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'") == "1",
                           "the second waits")
                sql(self.ROWS[what].format(key))
            finally:
                sql("COMMIT")
            self.assertEqual(problem(answer.result()), (409, name))
        sql(self.ROWS[what].split(" (")[0].replace("INSERT INTO", "DELETE FROM") + f" WHERE user_id = {key} AND public_id = 'first'")

    def test_servers(self):
        self.fill("servers", SERVERS, lambda: post("/agents/register", {"server_name": "web"}, self.user.token), "too-many-servers")

    def test_channels(self):
        self.fill("channels", CHANNELS, lambda: post("/notifications/channels", {
            "type": "webhook", "name": "hook", "config": {"url": "https://example.org/"}}, self.user.token), "too-many-channels")

    def test_silences(self):
        self.fill("silences", SILENCES, lambda: post("/silences", {"reason": "work", "label": "web"}, self.user.token),
                  "too-many-silences")
        self.assertEqual(problem(post("/silences", {"reason": "work", "server_id": "srv-none"}, self.user.token)), (404, "not-found"))
        # One that has ended is not counted any more, so it cannot come back.
        m = get("/silences", self.user.token)[0]
        sql(f"UPDATE silences SET ends_at = now() WHERE public_id = '{m['id']}'")
        self.assertEqual(request("PATCH", f"/api/v1/silences/{m['id']}", {"ends_at": None}, self.user.token)[0], 404)

    def test_tokens(self):
        self.fill("tokens", TOKENS, lambda: post("/api-tokens", {"name": "ci", "scopes": ["read"]}, self.user.token),
                  "too-many-tokens")

    def test_no_limit(self):
        self.own(servers=None)
        for _ in range(SERVERS + 2):
            post("/agents/register", {"server_name": "web"}, self.user.token, want=201)
        self.assertIsNone(self.usage()["servers"]["limit"])

    def test_usage_is_the_accounts_own(self):
        self.assertEqual(request("GET", "/api/v1/users/me/usage")[0], 401)
        self.assertEqual(list(self.usage()), ["servers", "services", "results", "storage", "mails", "requests", "channels",
                                              "browsers", "silences", "tokens"])
        self.assertEqual({k: v for k, v in self.usage()["results"].items() if k != "used"},
                         {"name": "results", "limit": RATE, "burst": BURST, "per": "minute", "reached_at": None})


class Services(Case):
    def setUp(self):
        super().setUp()
        self.agent = self.user.server("web-01")

    def names(self, agent=None):
        return [s["name"] for s in get(f"/servers/{(agent or self.agent).server}/services", self.user.token)]

    async def until_acked(self, ws, cursor):
        """What the backend says before it acknowledges the cursor."""
        said = []
        while True:
            m = json.loads(await asyncio.wait_for(ws.recv(), 20))
            if m["type"] == "ack" and m["payload"]["cursor"] == cursor:
                return said
            said.append(m)

    def test_results(self):
        async def run():
            async with self.agent.connect() as ws:
                await self.agent.start(ws)
                for n in range(SERVICES):
                    await ws.send(update(f"s{n}", cursor=f"a{n}"))
                self.assertEqual([m["type"] for m in await self.until_acked(ws, f"a{SERVICES - 1}") if m["type"] != "ack"], [])
                await ws.send(update("more", cursor="b"))
                said = [m for m in await self.until_acked(ws, "b") if m["type"] != "ack"]
                # Not for each of its results.
                await ws.send(update("more", "WARNING", cursor="c"))
                said += [m for m in await self.until_acked(ws, "c") if m["type"] != "ack"]
                await ws.send(update("s0", "FAILURE", "still told", cursor="d"))
                await self.until_acked(ws, "d")
                return said

        said = asyncio.run(run())
        self.assertEqual([(m["type"], m["payload"]["service_name"]) for m in said], [("service_refused", "more")])
        self.assertIn("quota", said[0]["payload"]["message"])
        self.assertEqual(self.names(), [f"s{n}" for n in range(SERVICES)])
        self.assertEqual(get(f"/servers/{self.agent.server}/services/s0", self.user.token)["message"], "still told")
        used = self.usage()["services"]
        self.assertEqual((used["used"], used["limit"]), (SERVICES, SERVICES))
        self.assertIsNotNone(used["reached_at"])
        # Nothing of it is kept.
        self.assertEqual(sql("SELECT count(*) FROM events WHERE service = 'more' AND server_id ="
                             f" (SELECT id FROM servers WHERE public_id = '{self.agent.server}')"), "0")

    def test_inventory_over_two_servers(self):
        other = self.user.server("web-02")

        async def run(agent, names):
            async with agent.connect() as ws:
                await agent.start(ws)
                await ws.send(message("inventory", services=[{"service_name": n} for n in names]))
                await ws.send(update(names[0], cursor="x"))
                return [m["payload"]["service_name"] for m in await self.until_acked(ws, "x") if m["type"] == "service_refused"]

        self.assertEqual(asyncio.run(run(self.agent, ["a", "b", "c", "d"])), [])
        self.assertEqual(sorted(asyncio.run(run(other, ["a", "b", "c", "d"]))), ["c", "d"])
        self.assertEqual((self.names(), self.names(other)), (["a", "b", "c", "d"], ["a", "b"]))
        # What it may have and no longer names gives room to others; what it has stays.
        self.assertEqual(asyncio.run(run(self.agent, ["a"])), [])
        self.assertEqual(asyncio.run(run(other, ["a", "b", "c", "d"])), [])
        self.assertEqual(self.names(other), ["a", "b", "c", "d"])


class Results(Case):
    """RATE a minute and BURST at once: what is over waits for its turn."""

    def setUp(self):
        super().setUp()
        self.agent = self.user.server("web-01")

    async def flood(self, agent, n, start=0):
        """Sends n results as fast as they are read, and takes the acknowledgements until the last."""
        async with agent.connect() as ws:
            await agent.start(ws)

            async def send():
                for k in range(start, start + n):
                    await ws.send(update("disk", text=str(k), cursor=f"{k}"))

            sending = asyncio.create_task(send())
            while True:
                m = json.loads(await asyncio.wait_for(ws.recv(), 60))
                self.assertEqual(m["type"], "ack")
                if m["payload"]["cursor"] == str(start + n - 1):
                    break
            await sending

    def kept(self, agent):
        return [e["message"] for e in agent.events("disk")]

    def test_all_arrive_later(self):
        n = BURST + 500

        asyncio.run(self.flood(self.agent, n))
        self.assertEqual(self.kept(self.agent), [str(k) for k in range(n)])
        self.assertIsNotNone(self.usage()["results"]["reached_at"])
        self.assertRegex(log(), r"The account usr-\w+ sends more than its 6000 results per minute")

    def test_what_is_over_is_not_read(self):
        """While there is a debt, what is sent stays where it is, also on a new connection; a new value ends the wait."""
        async def run():
            self.own(results=1)  # a minute for each
            async with self.agent.connect() as ws, self.agent.connect() as other:
                await self.agent.start(ws)
                # One message: it is taken whole, on credit.
                await ws.send(message("status_batch", items=[
                    {"service_name": "disk", "timestamp": serverd.TIME, "status": "OK", "message": str(k), "cursor": str(k)}
                    for k in range(BURST + 20)]))
                while json.loads(await asyncio.wait_for(ws.recv(), 20))["payload"].get("cursor") != str(BURST + 19):
                    pass
                await ws.send(update("disk", text="over", cursor="over"))
                await self.agent.start(other)
                await other.send(update("disk", text="over", cursor="over"))
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(other.recv(), 2)
                self.assertNotIn("over", self.kept(self.agent))
                # Everybody else goes on.
                friend = User()
                host = friend.server("db-01")
                await self.flood(host, 10)
                self.assertEqual(self.kept(host), [str(k) for k in range(10)])
                # As the administrator's command does it.
                self.own(results=None)
                sql("SELECT pg_notify('ssi_changes', 'test' || chr(10) || 'q - - -')")
                m = json.loads(await asyncio.wait_for(other.recv(), 20))
                self.assertEqual(m["payload"]["cursor"], "over")

        asyncio.run(run())
        self.assertIn("over", self.kept(self.agent))

    def test_hosts_of_one_account_take_turns(self):
        """A replay of one host does not keep the account's other hosts waiting until its end."""
        other = self.user.server("web-02")
        ended = []

        async def big():
            await self.flood(self.agent, BURST + 1500)
            ended.append("big")

        async def small():
            await asyncio.sleep(0.5)
            await self.flood(other, 5)
            ended.append("small")

        async def run():
            await asyncio.gather(big(), small())

        asyncio.run(run())
        self.assertEqual(ended, ["small", "big"])
        self.assertEqual(len(self.kept(self.agent)), BURST + 1500)


class Storage(Case):
    def setUp(self):
        super().setUp()
        self.agent = self.user.server("web-01")
        self.other = User()
        self.theirs = self.other.server("db-01")

    def fill(self, agent, days, n=500):
        """Rows of 1,000 bytes a day, each a minute after the other, and the state that goes with them."""
        for day in days:
            sql("INSERT INTO events (server_id, service, kind, at, received_at, status, message)"
                f" SELECT s.id, 'disk', 'result', t, t, 'OK', k || repeat(md5(k::text), 31) FROM servers s,"
                f" generate_series(1, {n}) k, LATERAL (SELECT date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"
                f" - interval '{day} days' + k * interval '1 min' AS t) x WHERE s.public_id = '{agent.server}'")
        # They did not arrive while those days lasted.
        sql("DELETE FROM history_measured")
        sql("INSERT INTO services (server_id, name, status, message) SELECT id, 'disk', 'OK', 'state' FROM servers"
            f" WHERE public_id = '{agent.server}'")

    def days(self, agent):
        return sql("SELECT extract(day FROM now() - received_at)::int, count(*) FROM events e JOIN servers s ON s.id = e.server_id"
                   f" WHERE s.public_id = '{agent.server}' GROUP BY 1 ORDER BY 1").split("\n")

    def test_the_oldest_goes(self):
        self.fill(self.agent, (3, 2, 1))
        self.fill(self.theirs, (3,), 100)
        before = self.days(self.theirs)
        self.own(storage=700_000)
        restart(0)
        wait_until(lambda: 0 < self.usage()["storage"]["used"] <= 700_000, "it fits")
        used = self.usage()["storage"]
        self.assertEqual(used["limit"], 700_000)
        self.assertIsNotNone(used["reached_at"])
        rows = sql("SELECT count(*), min(e.received_at) > now() - interval '3 days', bool_or(e.received_at < now() - interval '2 days')"
                   f" FROM events e JOIN servers s ON s.id = e.server_id WHERE s.public_id = '{self.agent.server}'").split("|")
        # 95 % of the quota is left, of rows of about 1,200 bytes each; the newest day is whole.
        self.assertTrue(450 <= int(rows[0]) <= 700, rows)
        newest = sql("SELECT count(*) FROM events e JOIN servers s ON s.id = e.server_id"
                     f" WHERE s.public_id = '{self.agent.server}' AND (e.received_at AT TIME ZONE 'UTC')::date ="
                     " (now() AT TIME ZONE 'UTC')::date - 1")
        self.assertEqual(newest, "500")
        # The state stays, and so does what others keep.
        self.assertEqual(get(f"/servers/{self.agent.server}/services/disk", self.user.token)["message"], "state")
        self.assertEqual(self.days(self.theirs), before)
        self.assertIsNone(self.usage(self.other)["storage"]["reached_at"])
        self.assertRegex(log(), r'The account usr-\w+ keeps more than its quota "storage"')

    def test_below_it_nothing_goes(self):
        self.fill(self.theirs, (2, 1), 100)
        before = self.days(self.theirs)
        restart(0)
        wait_until(lambda: self.usage(self.other)["storage"]["used"] > 100_000, "it is measured")
        used = self.usage(self.other)["storage"]["used"]
        # Measured twice is the same, and a removed server gives its room back.
        restart(0)
        self.assertEqual((self.days(self.theirs), self.usage(self.other)["storage"]["used"]), (before, used))
        request("DELETE", f"/api/v1/servers/{self.theirs.server}", token=self.other.token, want=204)
        self.assertEqual(self.usage(self.other)["storage"]["used"], 0)


class Sending(Case):
    def setUp(self):
        super().setUp()
        self.agent = self.user.server("web-01")
        self.sinks = []
        self.n = 0

    def tearDown(self):
        for s in self.sinks:
            s.down()

    def sink(self):
        self.sinks.append(HttpSink())
        return self.sinks[-1]

    def channel(self, kind, config, user=None):
        return post("/notifications/channels", {"type": kind, "name": "test", "config": config}, (user or self.user).token, want=201)[1]

    def mail_channel(self, address, user=None):
        """To an address that the account has confirmed."""
        user = user or self.user
        sql(f"INSERT INTO verified_emails (user_id, email) SELECT id, '{address}' FROM users WHERE email = '{user.email}'")
        return self.channel("email", {"address": address}, user)

    def flip(self, n, agent=None):
        agent = agent or self.agent

        async def run():
            async with agent.connect() as ws:
                await agent.start(ws)
                for _ in range(n):
                    self.n += 1
                    await ws.send(update("disk", "OK" if self.n % 2 else "FAILURE", str(self.n), cursor=str(self.n)))
                    await asyncio.wait_for(ws.recv(), 20)

        asyncio.run(run())

    def shown(self, channel, user=None):
        return get(f"/notifications/channels/{channel['id']}", (user or self.user).token)

    def test_requests(self):
        sink = self.sink()
        channel = self.channel("webhook", {"url": sink.url()})
        self.own(requests=2)
        self.flip(4)
        wait_until(lambda: self.shown(channel)["last_error"], "it says so")
        self.assertEqual(len(sink.taken), 2)
        self.assertIn('quota "requests"', self.shown(channel)["last_error"])
        # The first OK of a service is no news: three messages.
        self.assertEqual(self.shown(channel)["queued"], 1)
        usage = self.usage()["requests"]
        self.assertEqual((usage["used"], usage["limit"], usage["per"]), (2, 2, "hour"))
        self.assertIsNotNone(usage["reached_at"])
        answer = post(f"/notifications/channels/{channel['id']}/test", {}, self.user.token)
        self.assertEqual(problem(answer), (429, "quota-used-up"))
        self.assertTrue(0 < int(answer[2]["Retry-After"]) <= 3600)
        # In the next hour it goes on where it stopped.
        sql("DELETE FROM quota_counts; UPDATE notification_outbox SET due_at = now() WHERE state = 'queued'")
        sink.wait(3)
        wait_until(lambda: self.shown(channel)["last_error"] is None, "it is well again")

    def test_mails(self):
        self.own(mails=1)
        channel = self.mail_channel(f"mails-{os.getpid()}@example.org")
        self.flip(3)
        wait_until(lambda: self.shown(channel)["last_error"], "it says so")
        self.assertIn('quota "mails"', self.shown(channel)["last_error"])
        self.assertEqual(len(mails.to(f"mails-{os.getpid()}@example.org")), 1)
        self.assertEqual(self.usage()["mails"]["used"], 1)
        self.assertEqual(problem(post(f"/notifications/channels/{channel['id']}/test", {}, self.user.token)), (429, "quota-used-up"))

    def test_one_recipient_over_accounts(self):
        address = f"shared-{os.getpid()}@example.org"
        users = [self.user, User()]
        agents = [self.agent, users[1].server("db-01")]
        channels = [self.mail_channel(address, u) for u in users]
        # However it is spelled.
        self.n = 0
        self.flip(3)
        wait_until(lambda: len(mails.to(address)) == 2, "two mails")
        self.n = 0
        self.flip(5, agents[1])
        wait_until(lambda: self.shown(channels[1], users[1])["last_error"], "it says so")
        self.assertEqual(len(mails.to(address)), RECIPIENT)
        self.assertIn("this address", self.shown(channels[1], users[1])["last_error"])


class Registration(Case):
    """Mails that anybody can cause: they are counted by address, whoever causes them, and removing accounts does not help."""

    def register(self, address):
        post("/users/register", {"email": address, "password": PASSWORD}, want=202)

    def outbox(self, address):
        return sql(f"SELECT count(*) FILTER (WHERE state = 'sent'), count(*) FILTER (WHERE state = 'failed'), max(error)"
                   f" FROM notification_outbox WHERE lower(payload ->> 'email') = lower('{address}')").split("|")

    def test_register_and_delete(self):
        address = f"victim-{os.getpid()}@example.org"
        for n in range(ACCOUNT_MAILS + 3):
            self.register(address if n % 2 else address.upper().replace("EXAMPLE.ORG", "example.org"))
            wait_until(lambda: self.outbox(address)[:2] in (["1", "0"], ["0", "1"]), "its mail is decided")
            sql(f"DELETE FROM users WHERE lower(email) = '{address}'")
        self.assertEqual(len([m for e, m in mails.mails if e.rcpt_tos[0].lower() == address]), ACCOUNT_MAILS)

    def test_channels_of_many_accounts(self):
        address = f"unasked-{os.getpid()}@example.org"
        for _ in range(3):
            user = User()
            for _ in range(2):
                post("/notifications/channels", {"type": "email", "name": "m", "config": {"address": address}}, user.token, want=201)
        wait_until(lambda: sum(int(n) for n in self.outbox(address)[:2]) == 6, "all are decided")
        sent, failed, error = self.outbox(address)
        self.assertEqual((int(sent), int(failed)), (ACCOUNT_MAILS, 6 - ACCOUNT_MAILS))
        self.assertIn("this address has had as many such mails today", error)
        # Also at the channels that wait for it.
        self.assertEqual({c["last_error"] for c in get("/notifications/channels", user.token)}, {error})
        self.assertEqual(len(mails.to(address)), ACCOUNT_MAILS)

    def test_they_do_not_use_up_notifications(self):
        address = self.user.email
        for _ in range(4):
            post("/users/password-reset", {"email": address}, want=202)
        wait_until(lambda: len(re.findall("reset-password", "".join(m.get_body(("plain",)).get_content() for m in mails.to(address)))) == ACCOUNT_MAILS,
                   "as many as may be")
        sql(f"INSERT INTO verified_emails (user_id, email) SELECT id, '{address}' FROM users WHERE email = '{address}'")
        channel = post("/notifications/channels", {"type": "email", "name": "m", "config": {"address": address}}, self.user.token,
                       want=201)[1]
        self.assertEqual(post(f"/notifications/channels/{channel['id']}/test", {}, self.user.token, want=200)[1]["delivered"], True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ssi-test-mail-") as folder:
        mails = MailSink(folder, "ssi", "pa:ss/word")
        os.environ.update(SSI_ALLOW_PRIVATE_TARGETS="yes", SSI_NOTIFY_TIMEOUT="5", SSI_PUBLIC_URL="https://ssi.example.org",
                          SSI_SMTP_URL=f"smtp://ssi:pa%3Ass%2Fword@localhost:{mails.port}", SSI_SMTP_CA=mails.ca,
                          SSI_SMTP_FROM="SSI <ssi@example.org>", SSI_PUSH_KEY=os.path.join(folder, "vapid.pem"),
                          SSI_QUOTA_SERVERS=str(SERVERS), SSI_QUOTA_SERVICES=str(SERVICES), SSI_QUOTA_CHANNELS=str(CHANNELS),
                          SSI_QUOTA_SILENCES=str(SILENCES), SSI_QUOTA_TOKENS=str(TOKENS), SSI_QUOTA_RESULTS=f"{RATE}:{BURST}",
                          SSI_QUOTA_RECIPIENT=str(RECIPIENT), SSI_QUOTA_ACCOUNT_MAILS=str(ACCOUNT_MAILS))
        try:
            serverd.main()
        finally:
            mails.stop()
