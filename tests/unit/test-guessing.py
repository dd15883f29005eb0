#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What guessing and made-up requests cost, and who pays: shares by network and account, places for log-ins, made-up tokens.

Usage: test-guessing.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import base64
import collections
import concurrent.futures
import itertools
import json
import multiprocessing
import os
import statistics
import time
import unittest

import websockets

import serverd
from serverd import PASSWORD, User, message, post, request

CONNECTIONS, PER_SEC = 66, 50
numbers = itertools.count(1)


def v4():
    n = next(numbers)
    return f"198.51.{n // 250}.{n % 250 + 1}"


def v6(subnet=None):
    """An address; of one /64 if subnet is given."""
    return f"2001:db8:0:{subnet or next(numbers):x}::{next(numbers):x}"


def call(path, body, address, want=None):
    return request("POST", "/api/v1/users/" + path, body, want=want, fields={"X-Forwarded-For": address})


def login(email, address, password=PASSWORD, want=None):
    return call("login", {"email": email, "password": password}, address, want)[0]


def guess(email, address):
    return login(email, address, "a wrong guess")


def me(token, address, i=0):
    return request("GET", "/api/v1/users/me", token=token, i=i, fields={"X-Forwarded-For": address})[0]


def timed(email, address):
    begin = time.monotonic()
    return login(email, address), time.monotonic() - begin


class Flood:
    """Registrations on many connections, so many a second in all, from the addresses. In a process of its own, because the attacker
    would not slow down who measures."""

    def __init__(self, address):
        self.address, self.answers = address, multiprocessing.Queue()
        self.under_way, self.over = multiprocessing.Event(), multiprocessing.Event()
        self.process = multiprocessing.Process(target=self.work)

    def work(self):
        global numbers
        os.nice(19)
        numbers = itertools.count(next(numbers) + 20000)
        begin, turn = time.monotonic(), itertools.count()

        def register(_):
            codes = collections.Counter()
            while not self.over.is_set():
                n = next(turn)
                time.sleep(max(0, begin + n / PER_SEC - time.monotonic()))
                body = {"email": f"flood{os.getpid()}-{next(numbers)}@example.org", "password": PASSWORD}
                codes[call("register", body, self.address())[0]] += 1
                if n > PER_SEC:
                    self.under_way.set()
            return codes

        with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
            self.answers.put(sum(pool.map(register, range(CONNECTIONS)), collections.Counter()))

    def __enter__(self):
        self.process.start()
        assert self.under_way.wait(60)
        return self

    def __exit__(self, *args):
        self.over.set()
        self.codes = self.answers.get(timeout=60)
        self.process.join()


class Cost(unittest.TestCase):
    """Whatever others do, people log in. How much longer that takes is printed here and judged by tests/attack/run, on a machine
    that does nothing else."""

    def measure(self, user, address, n=8):
        answers = [timed(user.email, address()) for _ in range(n)]
        self.assertEqual({code for code, _ in answers}, {200})
        return statistics.median(seconds for _, seconds in answers)

    def flood(self, address):
        user = User()
        home = v4()
        login(user.email, home, want=200)
        places = {"home": lambda: home, "elsewhere": v4}
        idle = {name: self.measure(user, place) for name, place in places.items()}
        with Flood(address) as flood:
            busy = {name: self.measure(user, place) for name, place in places.items()}
        print(f"idle {idle}, busy {busy}, registrations {dict(flood.codes)}")
        return flood.codes

    def test_registrations_from_one_address(self):
        address = v4()
        codes = self.flood(lambda: address)
        self.assertLessEqual(codes[201], 21)
        call("register", {"email": f"other{next(numbers)}@example.org", "password": PASSWORD}, v4(), want=201)

    def test_registrations_from_one_network(self):
        self.assertLessEqual(self.flood(lambda: v6(0xf00))[201], 21)

    def test_registrations_from_everywhere(self):
        self.flood(v4)

    def test_guesses_from_one_network(self):
        user, home = User(), v4()
        login(user.email, home, want=200)
        idle = self.measure(user, lambda: home)
        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            codes = pool.map(lambda n: guess(f"nobody{n}@example.org", v6(0xf01)), range(200))
            busy = self.measure(user, lambda: home, 4)
            self.assertEqual(set(codes), {401, 429})
        print(f"idle {idle}, busy {busy}")


class Guesses(unittest.TestCase):
    def test_one_network(self):
        user = User()
        codes = [guess(user.email, v6(0xa00)) for _ in range(60)]
        self.assertLessEqual(codes.count(401), 12)
        self.assertEqual(codes[-1], 429)
        mapped = [guess(user.email, f"::ffff:{v4()}") for _ in range(3)]
        self.assertEqual(mapped, [401] * 3)

    def test_many_accounts(self):
        codes = [guess(f"nobody{next(numbers)}@example.org", v6(0xa01)) for _ in range(75)]
        self.assertIn(codes.count(401), range(50, 65))
        self.assertEqual(codes[-1], 429)

    def test_nobody_locks_out_the_owner(self):
        user, home = User(), v4()
        tokens = call("login", {"email": user.email, "password": PASSWORD}, home, want=200)[1]
        codes = [guess(user.email, v4()) for _ in range(45)]
        self.assertIn(codes.count(401), range(30, 40))
        self.assertEqual(codes[-1], 429)
        # At home, and nowhere else, until a device that is logged in lets another in.
        self.assertEqual(login(user.email, home), 200)
        away = v4()
        self.assertEqual(login(user.email, away), 429)
        code = post("/users/login-codes", {}, tokens["access_token"], want=201)[1]["code"]
        request("POST", "/api/v1/users/login-code", {"code": code}, want=200, fields={"X-Forwarded-For": away})
        self.assertEqual(login(user.email, away), 200)
        # A guess at home counts there.
        codes = [guess(user.email, home) for _ in range(12)]
        self.assertEqual((codes[0], codes[-1]), (401, 429))

    def test_spellings(self):
        user = User()
        name, domain = f"mikkikki{next(numbers)}", "@example.org"
        serverd.sql(f"UPDATE users SET email = '{name}{domain}' WHERE email = '{user.email}'")
        login(name.upper() + domain, v4(), want=200)
        # KELVIN SIGN: no spelling of the address, though PostgreSQL's lower() makes a k of it.
        kelvin = name.replace("k", "\u212a") + domain
        self.assertEqual(login(kelvin, v4()), 401)
        call("register", {"email": kelvin, "password": PASSWORD}, v4(), want=400)
        # All spellings that it has count together.
        address = v4()
        spellings = [name, name.upper(), name.title(), name.swapcase()]
        codes = [guess(spellings[n % 4] + domain, address) for n in range(15)]
        self.assertLessEqual(codes.count(401), 11)
        self.assertEqual(codes[-1], 429)

    def test_older_accounts(self):
        user = User()
        email = f"J\u00fcrgen{next(numbers)}@example.org"
        serverd.sql(f"UPDATE users SET email = '{email}' WHERE email = '{user.email}'")
        for spelling in (email, email.replace("rgen", "RGEN")):
            login(spelling, v4(), want=200)
        self.assertEqual(login(email.replace("\u00fc", "\u00dc"), v4()), 401)


class MadeUp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.user = User()
        cls.token = post("/api-tokens", {"name": "x", "scopes": ["read"]}, cls.user.token, want=201)[1]["token"]

    def test_api_tokens(self):
        network = 0xb00
        codes = [me("ssi_api_" + f"{n:043d}", v6(network)) for n in range(150)]
        self.assertEqual((codes[0], codes[-1]), (401, 429))
        # From elsewhere, and with a session also from there, it goes on.
        self.assertEqual(me(self.token, v6()), 200)
        self.assertEqual(me(self.user.token, v6(network)), 200)

    def test_keys(self):
        head, body, signature = self.user.token.split(".")
        header = json.loads(base64.urlsafe_b64decode(head + "=="))

        def made_up(n):
            kid = base64.urlsafe_b64encode(json.dumps(dict(header, kid=f"{n:043d}")).encode()).rstrip(b"=").decode()
            return f"{kid}.{body}.{signature}"

        # More than may wait at once, so some do for the second that a read is put off.
        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            codes = pool.map(lambda n: me(made_up(n), v6(0xb01)), range(200))
            time.sleep(0.3)
            other = me(made_up(1000), v6())
            self.assertLessEqual(set(codes), {401, 429})
        self.assertEqual(other, 401)
        self.assertEqual(me(self.user.token, v6(), 1), 200)

    def test_readyz(self):
        time.sleep(1.2)
        with serverd.backend.explained() as plans, concurrent.futures.ThreadPoolExecutor(20) as pool:
            begin = time.monotonic()
            codes = list(pool.map(lambda n: request("GET", "/readyz")[0], range(400)))
            seconds = time.monotonic() - begin
        self.assertEqual(set(codes), {200})
        self.assertLessEqual(len([p for p in plans if p.startswith("SELECT 1\n")]), seconds + 3)


class Agents(unittest.TestCase):
    """Keys of agents that are made up, from a network in which there are others."""

    @classmethod
    def setUpClass(cls):
        user = User()
        cls.known, cls.new, cls.elsewhere = (user.server(f"agent-{n}") for n in range(3))

    async def begin(self, auth, address, i=0):
        """How the backend answers: auth_ok, or the code of the error."""
        url = f"ws://127.0.0.1:{serverd.backend.ports[i]}/api/v1/agent/connect"
        async with websockets.connect(url, extra_headers={"X-Forwarded-For": address}, ping_interval=None, open_timeout=60) as ws:
            await ws.send(auth)
            answer = json.loads(await asyncio.wait_for(ws.recv(), 60))
            return answer["payload"].get("code", answer["type"])

    @staticmethod
    def made_up(agent_id=None):
        n = next(numbers)
        return message("auth", agent_id=agent_id or f"agt-{n}", api_key=f"ssi_key_{n}")

    def test_made_up_keys(self):
        n, subnet = 600, next(numbers)

        async def run():
            self.assertEqual(await self.begin(self.known.auth(), v6(subnet)), "auth_ok")
            began = time.monotonic()
            flood = [asyncio.ensure_future(self.begin(self.made_up(self.new.id if k % 2 else None), v6(subnet))) for k in range(n)]
            # As soon as it is over the limit, and while others wait.
            await asyncio.wait(flood[:250])
            self.assertEqual(await self.begin(self.known.auth(), v6(subnet)), "auth_ok")
            self.assertEqual(await self.begin(self.elsewhere.auth(), v6()), "auth_ok")
            got = collections.Counter(await asyncio.gather(*flood))
            seconds = time.monotonic() - began
            self.assertEqual(got["unauthorized"] + got["slow_down"], n, got)
            # The burst of 100, and what the statement takes that exceeds it; then ten a second.
            self.assertLessEqual(got["unauthorized"], 100 + 128 + 10 * (seconds + 1), (got, seconds))
            self.assertGreater(got["slow_down"], 0)
            # Who was never here waits at most until others have had their turn.
            self.assertEqual(await self.begin(self.new.auth(), v6(subnet)), "auth_ok")

        asyncio.run(run())

    def test_what_waits_is_answered(self):
        """The same network with right and wrong keys alternating: right ones that come in time are accepted, only later."""
        subnet = next(numbers)

        async def run():
            await asyncio.gather(*(self.begin(self.made_up(), v6(subnet)) for _ in range(240)))
            got = await asyncio.gather(*(self.begin(a, v6(subnet)) for _ in range(10) for a in (self.made_up(), self.new.auth())))
            self.assertEqual(set(got[1::2]), {"auth_ok"})
            # How many of the wrong ones are looked at depends on how many of those before still wait.
            self.assertLessEqual(set(got[::2]), {"unauthorized", "slow_down"})

        asyncio.run(run())

    def test_a_key_that_was_valid(self):
        """Once it is refused, it is one like others."""
        subnet, agent = next(numbers), User().server()

        async def run():
            self.assertEqual(await self.begin(agent.auth(), v6(subnet)), "auth_ok")
            post(f"/servers/{agent.server}/claim-token", None, agent.user.token, want=201)
            claimed = post("/agents/claim", {"claim_token": post(f"/servers/{agent.server}/claim-token", None, agent.user.token,
                                                                 want=201)[1]["claim_token"]}, want=200)[1]
            self.assertEqual(await self.begin(agent.auth(), v6(subnet)), "unauthorized")
            got = collections.Counter(await asyncio.gather(*(self.begin(agent.auth(), v6(subnet)) for _ in range(600))))
            self.assertGreater(got["slow_down"], 0, got)
            agent.key = claimed["api_key"]
            self.assertEqual(await self.begin(agent.auth(), v6()), "auth_ok")

        asyncio.run(run())


if __name__ == "__main__":
    os.environ.setdefault("SSI_RATE_LIMIT", "100")
    # They come through a proxy.
    os.environ["SSI_SIGN_UP"] = "open"
    serverd.main()
