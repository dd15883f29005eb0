#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts from outside: passwords, sessions, access, refresh and API tokens, and what a stolen database gives away.

Usage: test-accounts.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import base64
import concurrent.futures
import functools
import json
import os
import unittest

import serverd
from serverd import PASSWORD, User, closed_with, get, pages, post, request, sql, wait_until

OTHER_PASSWORD = "battery staple"


@functools.cache
def stranger():
    return User()


def problem(answer):
    return answer[1]["type"].removeprefix("urn:ssi:problem:")


def refresh(token, want=200, i=0):
    return post("/users/refresh", {"refresh_token": token}, want=want, i=i)[1]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_code(token, want=201, i=0):
    return post("/users/login-codes", {}, token, want=want, i=i)[1]


def use_code(code, want=200, i=0, **fields):
    return request("POST", "/api/v1/users/login-code", {"code": code}, want=want, i=i, fields=fields)


class Registration(unittest.TestCase):
    def test_register(self):
        user = User()
        self.assertEqual(get("/users/me", user.token)["email"], user.email)
        for email in (user.email, user.email.upper()):
            self.assertEqual(problem(post("/users/register", {"email": email, "password": PASSWORD}, want=409)),
                             "email-taken")
        for body in ({}, {"email": "a@b"}, {"email": "nobody", "password": PASSWORD}, {"email": 5, "password": PASSWORD},
                     {"email": "a@b", "password": "short"}, {"email": "a@b", "password": "x" * 1025},
                     {"email": "a@" + "b" * 300, "password": PASSWORD}, {"email": "a@b\n", "password": PASSWORD}):
            self.assertEqual(problem(post("/users/register", body, want=400)), "invalid-request")
        for password in ("aaaaaaaaaaaa", "password1234", "123456789012", "qwertyuiopas", "new-" + user.email):
            body = {"email": "new-" + user.email, "password": password}
            self.assertEqual(problem(post("/users/register", body, want=400)), "weak-password")

    def test_every_byte_of_a_password_counts(self):
        email, password = "long-" + User().email, "é horse 💥 " * 73
        post("/users/register", {"email": email, "password": password}, want=201)
        for n in (64, 128, len(password) - 1):
            post("/users/login", {"email": email, "password": password[:n]}, want=401)
        post("/users/login", {"email": email, "password": password}, want=200)

    def test_login(self):
        user = User()
        for email in (user.email, "nobody-" + user.email):
            self.assertEqual(problem(post("/users/login", {"email": email, "password": "wrong"}, want=401)),
                             "bad-credentials")
        wrong = {"current_password": "wrong", "new_password": OTHER_PASSWORD}
        self.assertEqual(problem(post("/users/me/password", wrong, user.token, want=403)), "bad-credentials")
        codes = [post("/users/login", {"email": user.email, "password": "wrong"})[0] for _ in range(9)]
        self.assertEqual(codes[-1], 429)
        # Guessing with a stolen session is held up as at the login, and counts there.
        post("/users/me/password", wrong, user.token, want=429)


class RateLimit(unittest.TestCase):
    def until_limited(self, ask, burst=1):
        """The first answer that is a 429. On a slow machine some more get through, as time goes on."""
        for n in range(400):
            answer = ask()
            if answer[0] == 429:
                self.assertGreaterEqual(n, burst)
                return answer
        self.fail("no request was held up")

    def test_limit(self):
        backend, users = serverd.backend, (User(), stranger())
        backend.servers[0].terminate()
        backend.servers[0].wait(20)
        os.environ["SSI_RATE_LIMIT"] = "2"
        backend.start_server(0)
        try:
            limited = self.until_limited(lambda: request("GET", "/api/v1/users/me", token=users[0].token), burst=20)
            self.assertEqual(problem(limited), "too-many-requests")
            # Others are not held up, nor is who asks whether we live.
            get("/users/me", users[1].token)
            request("GET", "/healthz", want=200)
            limited = self.until_limited(lambda: request("GET", "/public/unknown", fields={"X-Forwarded-For": "192.0.2.9"}))
            self.assertGreater(int(limited[2]["Retry-After"]), 0)
            request("GET", "/public/unknown", fields={"X-Forwarded-For": "192.0.2.10"}, want=404)
        finally:
            del os.environ["SSI_RATE_LIMIT"]
            backend.servers[0].terminate()
            backend.servers[0].wait(20)
            backend.start_server(0)


class AccessTokens(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.user = User()

    def refused(self, *tokens):
        for token in tokens:
            answer = request("GET", "/api/v1/users/me", token=token, want=401)
            self.assertEqual((problem(answer), answer[2]["WWW-Authenticate"]), ("unauthorized", "Bearer"), token)

    def test_forgeries(self):
        user = self.user
        head, body, signature = user.token.split(".")
        header = json.loads(base64.urlsafe_b64decode(head + "=="))
        self.assertEqual((header["alg"], len(header["kid"])), ("ES256", 43))
        made_up = b64(json.dumps(dict(header, kid="A" * 43)).encode())
        none = b64(json.dumps(dict(header, alg="none")).encode())
        self.refused(None, "", "x", user.token + "x", f"{none}.{body}.", f"{none}.{body}.{signature}", f"{head}.{body}.",
                     f"{made_up}.{body}.{signature}")
        # Each instance has its own key, and learns of the other's; made-up names in great number do not get in the way.
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            codes = list(pool.map(lambda n: request("GET", "/api/v1/users/me", i=1, token=f"{made_up}.{body}.{signature}")[0],
                                  range(40)))
        self.assertEqual(set(codes), {401})
        get("/users/me", user.token, i=1)
        self.assertEqual(serverd.sql("SELECT count(*) FROM access_token_keys"), "2")

    def test_key_that_came_later(self):
        # The key of an instance that starts anew is unknown to the other one until it asks.
        backend, user = serverd.backend, self.user
        backend.servers[0].terminate()
        self.assertEqual(backend.servers[0].wait(20), 0)
        key = f"{backend.dir}/keys0/access-token.pem"
        self.assertEqual(os.stat(key).st_mode & 0o777, 0o600)
        os.unlink(key)
        backend.start_server(0)
        get("/users/me", user.login()["access_token"], i=1)
        # What the old key has signed is good as long as it is published.
        get("/users/me", user.token, i=0)
        kid = json.loads(base64.urlsafe_b64decode(user.token.split(".")[0] + "=="))["kid"]
        serverd.sql(f"UPDATE access_token_keys SET expires_at = now() - interval '1 s' WHERE id = '{kid}'")
        backend.servers[0].terminate()
        backend.servers[0].wait(20)
        backend.start_server(0)
        self.refused(user.token)


class Sessions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.user = User()

    def setUp(self):
        self.tokens = self.user.login()
        self.token = self.tokens["access_token"]

    def expire_grace(self):
        serverd.sql("UPDATE login_sessions SET replaced_at = replaced_at - interval '31 s'")

    def test_reuse_ends_the_session(self):
        first = self.tokens["refresh_token"]
        second = refresh(first)["refresh_token"]
        third = refresh(second)
        other = self.user.login()["refresh_token"]
        self.assertEqual(problem((0, refresh(first, 401))), "bad-refresh-token")
        refresh(third["refresh_token"], 401)
        # At once, not when the access token expires.
        get("/users/me", third["access_token"], 401)
        refresh(other)

    def test_answer_that_was_lost(self):
        first = self.tokens["refresh_token"]
        second = refresh(first)["refresh_token"]
        self.assertEqual(refresh(first, i=1)["refresh_token"], second)
        third = refresh(second)["refresh_token"]
        self.expire_grace()
        refresh(second, 401)
        refresh(third, 401)

    def test_grace_ends(self):
        first = self.tokens["refresh_token"]
        second = refresh(first)["refresh_token"]
        self.expire_grace()
        refresh(first, 401)
        refresh(second, 401)

    def test_refreshing_leaves_three_rows(self):
        """However often: the new token, the one before, and what stands for all others. An early one still ends the session."""
        tokens = [self.tokens["refresh_token"]]
        for n in range(12):
            tokens.append(refresh(tokens[-1], i=n % 2)["refresh_token"])
        rows = "SELECT count(*) FROM refresh_tokens WHERE session_id = (SELECT max(id) FROM login_sessions)"
        self.assertEqual(sql(rows), "3")
        # Nobody can make one up from another one's beginning.
        refresh(tokens[0][:-21] + "A" * 21 + "A", 401)
        refresh(tokens[0][:-21], 401)
        serverd.sql("UPDATE login_sessions SET revoked_at = NULL WHERE id = (SELECT max(id) FROM login_sessions)")
        tokens.append(refresh(tokens[-1])["refresh_token"])
        refresh(tokens[2], 401)
        refresh(tokens[-1], 401)
        self.assertEqual(sql(rows), "3")
        self.assertTrue(get("/audit?event=session.reused", self.user.login()["access_token"]))

    def test_logout_with_an_early_token(self):
        tokens = [self.tokens["refresh_token"]]
        for _ in range(4):
            tokens.append(refresh(tokens[-1])["refresh_token"])
        post("/users/logout", {"refresh_token": tokens[0]}, want=204)
        refresh(tokens[-1], 401)

    def test_many_at_once(self):
        token = self.tokens["refresh_token"]
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda n: refresh(token, i=n % 2)["refresh_token"], range(20)))
        # One chain only, whoever asked.
        self.assertEqual(len(set(answers)), 1)
        refresh(answers[0])

    def test_expired(self):
        serverd.sql("UPDATE refresh_tokens SET expires_at = now() - interval '1 s' WHERE session_id ="
                            " (SELECT max(id) FROM login_sessions)")
        refresh(self.tokens["refresh_token"], 401)

    def test_logout(self):
        body = {"refresh_token": self.tokens["refresh_token"]}
        post("/users/logout", body, want=204)
        refresh(body["refresh_token"], 401)
        get("/users/me", self.token, 401)
        post("/users/logout", {"refresh_token": "unknown"}, want=204)

    def test_list_and_end(self):
        body = {"email": self.user.email, "password": PASSWORD}
        other = request("POST", "/api/v1/users/login", body, want=200, fields={
            "User-Agent": "Mozilla/5.0 \x1b[31m" + "x" * 300, "X-Forwarded-For": "192.0.2.7"})[1]["access_token"]
        found = get("/sessions?limit=2", self.token)
        self.assertEqual([s["current"] for s in found], [False, True])
        self.assertEqual(found[0]["address"], "192.0.2.7")
        self.assertLessEqual(len(found[0]["user_agent"]), 200)
        self.assertNotIn("\x1b", found[0]["user_agent"])
        path = "/api/v1/sessions/" + found[0]["id"]
        request("DELETE", path, token=stranger().token, want=404)
        stream = serverd.Stream(other, 1)
        request("DELETE", path, token=self.token, want=204)
        stream.wait("end")
        get("/users/me", other, 401)
        request("DELETE", path, token=self.token, want=404)
        get("/users/me", self.token)

    def test_end_others(self):
        other = self.user.login()
        code = make_code(self.token)["code"]
        for keep in ("all", ""):
            request("DELETE", f"/api/v1/sessions?keep={keep}", token=self.token, want=400)
        get("/users/me", other["access_token"])
        request("DELETE", "/api/v1/sessions?keep=current", token=self.token, want=204)
        get("/users/me", other["access_token"], 401)
        refresh(other["refresh_token"], 401)
        use_code(code, 401)
        self.assertEqual([s["current"] for s in get("/sessions", self.token)], [True])
        refresh(self.tokens["refresh_token"])

    def test_end_all(self):
        other = self.user.login()
        request("DELETE", "/api/v1/sessions", token=self.token, want=204)
        for tokens in (self.tokens, other):
            get("/users/me", tokens["access_token"], 401)
            refresh(tokens["refresh_token"], 401)


class LoginCodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.user = User()

    def refused(self, code, i=0):
        self.assertEqual(problem(use_code(code, 401, i)), "bad-login-code")

    def test_an_account_has_a_hundred_sessions(self):
        """And 64 networks: with one session, whoever has it may make others without end."""
        user = User()
        oldest, stream = user.login(), None
        made = []
        for n in range(110):
            tokens = use_code(make_code(user.token)["code"], i=n % 2, **{"X-Forwarded-For": f"10.9.8.{n}"})[1]
            made.append(tokens)
            if n == 5:
                # One that is used stays, though more than a hundred others begin later.
                oldest = refresh(oldest["refresh_token"])
            if n == 90:
                stream = serverd.Stream(made[0]["access_token"], 1)
        self.assertEqual(sum(len(page) for page in pages("/sessions", user.token)), 100)
        account = f"user_id = (SELECT id FROM users WHERE email = '{user.email}')"
        self.assertEqual(sql(f"SELECT count(*) FROM login_sessions WHERE {account}"), "100")
        self.assertEqual(sql(f"SELECT count(*) FROM account_networks WHERE {account}"), "64")
        self.assertEqual(sql(f"SELECT count(*) FROM account_networks WHERE {account} AND network = '10.9.8.109/32'"), "1")
        # The session that makes the codes stays, too.
        get("/users/me", oldest["access_token"])
        stream.wait("end")
        for tokens, want in ((made[0], 401), (made[-1], 200)):
            get("/users/me", tokens["access_token"], want)
            refresh(tokens["refresh_token"], want)
        entries = get("/audit?event=session.ended&limit=500", user.token)
        self.assertEqual(len(entries), 12)
        self.assertEqual({e["name"] for e in entries}, {"the one of 100 that was not used for longest"})

    def test_at_once_there_are_not_more_sessions(self):
        """Ended ones count, too, and none is left waiting for another."""
        user = User()
        sql("INSERT INTO login_sessions (user_id, public_id, last_used_at, expires_at, revoked_at)"
            f" SELECT id, 'ses-old-' || n, now() - n * interval '1 s', now() + interval '1 day', CASE WHEN n % 2 = 0 THEN now() END FROM users,"
            f" generate_series(1, 300) n WHERE email = '{user.email}'")
        codes = []
        for _ in range(8):
            codes.append(make_code(user.login()["access_token"])["code"])
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: use_code(codes[n], i=n % 2), range(8)))
        user.login()
        self.assertEqual(sql(f"SELECT count(*) FROM login_sessions l JOIN users u ON u.id = l.user_id WHERE email = '{user.email}'"), "100")

    def test_second_device(self):
        stream = serverd.Stream(self.user.token, 1)
        made = make_code(self.user.token)
        self.assertEqual(made["expires_in"], 120)
        tokens = use_code(made["code"], i=1, **{"User-Agent": "Phone/1.0", "X-Forwarded-For": "192.0.2.8"})[1]
        self.assertEqual(get("/users/me", tokens["access_token"])["email"], self.user.email)
        stream.wait("sessions")
        found = get("/sessions", tokens["access_token"])
        self.assertEqual([(s["user_agent"], s["address"]) for s in found if s["current"]], [("Phone/1.0", "192.0.2.8")])
        # A session like any other: its tokens rotate, and its end is its own.
        again = refresh(tokens["refresh_token"])
        post("/users/logout", {"refresh_token": again["refresh_token"]}, want=204)
        get("/users/me", again["access_token"], 401)
        get("/users/me", self.user.token)

    def test_once(self):
        code = make_code(self.user.token)["code"]
        before = len(get("/sessions", self.user.token))
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda n: use_code(code, None, n % 2), range(16)))
        self.assertEqual(sorted(a[0] for a in answers), [200] + [401] * 15)
        self.assertEqual({problem(a) for a in answers if a[0] == 401}, {"bad-login-code"})
        self.assertEqual(len(get("/sessions", self.user.token)), before + 1)

    def test_expiry(self):
        code = make_code(self.user.token)["code"]
        serverd.sql("UPDATE login_sessions SET login_code_expires_at = login_code_expires_at - interval '120 s'")
        self.refused(code)

    def test_last_one_counts(self):
        first, second = (make_code(self.user.token)["code"] for _ in range(2))
        self.refused(first)
        use_code(second)

    def test_whose(self):
        other = User()
        mine, theirs = make_code(self.user.token)["code"], make_code(other.token)["code"]
        self.assertEqual(get("/users/me", use_code(theirs)[1]["access_token"])["email"], other.email)
        self.assertEqual(get("/users/me", use_code(mine)[1]["access_token"])["email"], self.user.email)

    def test_ends_with_its_session(self):
        user = User()
        tokens = user.login()
        code = make_code(tokens["access_token"])["code"]
        post("/users/logout", {"refresh_token": tokens["refresh_token"]}, want=204)
        self.refused(code)
        code = make_code(user.login()["access_token"])["code"]
        post("/users/me/password", {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}, user.token, want=204)
        self.refused(code)

    def test_who_may(self):
        for scope in ("read", "write"):
            token = post("/api-tokens", {"name": scope, "scopes": [scope]}, self.user.token, want=201)[1]["token"]
            self.assertEqual(problem(post("/users/login-codes", {}, token, want=403)), "session-required")
        make_code(None, 401)
        for body in ({}, {"code": ""}, {"code": 5}, {"code": None}, {"code": "x" * 257}, {"code": ["x"]}):
            self.assertEqual(problem(post("/users/login-code", body, want=400)), "invalid-request")
        for code in ("ssi_login_", "' OR true --", self.user.token[:256], self.user.login()["refresh_token"]):
            self.refused(code)

    def test_guessing_is_held_up(self):
        peer = {"X-Forwarded-For": "198.51.100.77"}
        codes = [use_code(f"guess {n}", None, **peer)[0] for n in range(51)]
        self.assertEqual(codes[0], 401)
        self.assertEqual(codes[-1], 429)
        # A good one from there has to wait as well, and is not spent by that; elsewhere it goes on.
        code = make_code(self.user.token)["code"]
        use_code(code, 429, **peer)
        use_code(code)


class Account(unittest.TestCase):
    def test_change_password(self):
        user = User()
        other = user.login()
        change = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
        for body in ({}, dict(change, new_password="short"), dict(change, current_password=5)):
            post("/users/me/password", body, user.token, want=400)
        for password in ("aaaaaaaaaaaa", user.email):
            self.assertEqual(problem(post("/users/me/password", dict(change, new_password=password), user.token, want=400)),
                             "weak-password")
        post("/users/me/password", change, user.token, want=204)
        get("/users/me", user.token)
        get("/users/me", other["access_token"], 401)
        refresh(other["refresh_token"], 401)
        post("/users/login", {"email": user.email, "password": PASSWORD}, want=401)
        post("/users/login", {"email": user.email, "password": OTHER_PASSWORD}, want=200)

    def test_changed_elsewhere_meanwhile(self):
        """While the new password is hashed, a reset makes the one that was given worthless."""
        user = User()
        change = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            sql(f"BEGIN; UPDATE users SET password_hash = 'reset' WHERE email = '{user.email}'")
            try:
                answer = pool.submit(post, "/users/me/password", change, user.token)
                wait_until(lambda: sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'") == "1")
            finally:
                sql("COMMIT")
            self.assertEqual((answer.result()[0], problem(answer.result())), (403, "bad-credentials"))
        self.assertEqual(sql(f"SELECT password_hash FROM users WHERE email = '{user.email}'"), "reset")

    def test_delete(self):
        user, bystander = User(), User()
        agent, other = user.server(), bystander.server()
        post("/api-tokens", {"name": "x", "scopes": ["read"]}, user.token, want=201)

        async def run():
            async with agent.connect(1) as ws, other.connect(1) as theirs:
                for a, w in ((agent, ws), (other, theirs)):
                    await a.start(w)
                    await w.send(serverd.update("disk", cursor="c"))
                    await w.recv()
                await asyncio.to_thread(request, "DELETE", "/api/v1/users/me", {"password": "wrong"}, user.token, 0, 403)
                await asyncio.to_thread(request, "DELETE", "/api/v1/users/me", {"password": PASSWORD}, user.token, 0, 204)
                return await closed_with(ws)

        self.assertEqual(asyncio.run(run())[1], 4401)
        get("/users/me", user.token, 401)
        refresh(user.tokens["refresh_token"], 401)
        post("/users/login", {"email": user.email, "password": PASSWORD}, want=401)
        # Only what belongs to somebody is left, and the others have lost nothing.
        for table, owner in (("servers", "user_id"), ("login_sessions", "user_id"), ("api_tokens", "user_id")):
            self.assertEqual(serverd.sql(f"SELECT count(*) FROM {table} WHERE {owner} NOT IN (SELECT id FROM users)"),
                             "0")
        self.assertEqual(serverd.sql("SELECT count(*) FROM events WHERE server_id NOT IN (SELECT id FROM servers)"),
                         "0")
        self.assertEqual(len(other.events("disk")), 1)
        post("/users/register", {"email": user.email, "password": PASSWORD}, want=201)


class ApiTokens(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.user = User()

    def make(self, *scopes, **more):
        return post("/api-tokens", {"name": "ci", "scopes": scopes, **more}, self.user.token, want=201)[1]

    def test_scopes(self):
        read, write, register = self.make("read"), self.make("write"), self.make("servers:register")
        both = self.make("read", "write", "read")
        self.assertEqual(sorted(both["scopes"]), ["read", "write"])
        body = {"server_name": "by-token"}
        server = post("/agents/register", body, register["token"], want=201)[1]["server_id"]
        post("/agents/register", body, write["token"], want=201)
        self.assertEqual(problem(post("/agents/register", body, read["token"], want=403)), "insufficient-scope")
        get(f"/servers/{server}", read["token"])
        get(f"/servers/{server}", both["token"], i=1)
        get(f"/servers/{server}", write["token"], 403)
        get(f"/servers/{server}", register["token"], 403)
        request("DELETE", f"/api/v1/servers/{server}", token=read["token"], want=403)
        request("DELETE", f"/api/v1/servers/{server}", token=write["token"], want=204)
        for method, path in (("GET", "/sessions"), ("DELETE", "/sessions"), ("GET", "/api-tokens"), ("POST", "/api-tokens"),
                             ("DELETE", "/users/me"), ("POST", "/users/me/password"),
                             ("DELETE", "/api-tokens/" + both["id"])):
            request(method, "/api/v1" + path, {} if method == "POST" else None, both["token"], want=403)

    def test_life(self):
        token = self.make("read", expires_in=3600)
        self.assertTrue(token["token"].startswith("ssi_api_") and token["last_used_at"] is None and token["expires_at"])
        get("/users/me", token["token"])
        found = next(t for t in get("/api-tokens", self.user.token) if t["id"] == token["id"])
        self.assertNotIn("token", found)
        self.assertIsNotNone(found["last_used_at"])
        get("/users/me", token["token"])
        self.assertEqual(next(t for t in get("/api-tokens", self.user.token) if t["id"] == token["id"]), found)
        serverd.sql("UPDATE api_tokens SET expires_at = now() - interval '1 s' WHERE expires_at IS NOT NULL")
        get("/users/me", token["token"], 401)
        token = self.make("read")
        stream = serverd.Stream(token["token"], 1)
        request("DELETE", "/api/v1/api-tokens/" + token["id"], token=stranger().token, want=404)
        request("DELETE", "/api/v1/api-tokens/" + token["id"], token=self.user.token, want=204)
        stream.wait("end")
        get("/users/me", token["token"], 401)
        get("/users/me", "ssi_api_" + "A" * 43, 401)

    def test_refused(self):
        good = {"name": "x", "scopes": ["read"]}
        for body in ({}, dict(good, name=""), dict(good, name="a\nb"), dict(good, name="x" * 129), dict(good, scopes=[]),
                     dict(good, scopes="read"), dict(good, scopes=["admin"]), dict(good, scopes=[1]),
                     dict(good, scopes=["read"] * 4), dict(good, expires_in=0), dict(good, expires_in="1"),
                     dict(good, expires_in=10 ** 12)):
            post("/api-tokens", body, self.user.token, want=400)

    def test_too_many(self):
        user = User()
        serverd.sql("INSERT INTO api_tokens (public_id, user_id, token_hash, name, scopes) SELECT 'tok-' || n, u.id,"
                            " decode(md5('t' || n), 'hex'), n, '{read}' FROM users u, generate_series(1, 100) n"
                            f" WHERE email = '{user.email}'")
        self.assertEqual(problem(post("/api-tokens", {"name": "x", "scopes": ["read"]}, user.token, want=409)),
                         "too-many-tokens")
        # In pages, newest first.
        found = [t["name"] for page in pages("/api-tokens?limit=40", user.token) for t in page]
        self.assertEqual(found, [str(n) for n in range(100, 0, -1)])
        for query in ("limit=0", "limit=1001", "limit=x", "limit=-1", "after=x", "after=", "after=" + b64(b"[\"x\"]"),
                      "after=" + b64(b"[1]"), "after=" + b64(b"[]"), "after=" + b64(b"[\"1\",\"2\"]")):
            get("/api-tokens?" + query, user.token, 400)


class StolenDump(unittest.TestCase):
    def test_nothing_logs_in(self):
        user = stranger()
        agent = user.server()
        post("/api-tokens", {"name": "x", "scopes": ["write"]}, user.token, want=201)
        post("/agents/register", {"server_name": "unclaimed"}, user.token, want=201)
        refresh(user.tokens["refresh_token"])
        make_code(user.token)
        self.assertGreater(len(serverd.secrets), 6)
        with open(serverd.backend.dir + "/keys0/access-token.pem") as f:
            key = "".join(f.read().splitlines()[1:-1])
        dump = serverd.backend.dump()
        self.assertIn(agent.id, dump)
        for secret in serverd.secrets | {PASSWORD, OTHER_PASSWORD, key, key[:40]}:
            # As text, and as what a bytea would show.
            for form in (secret, secret.encode().hex()):
                self.assertNotIn(form, dump)
        # What is there does not serve in place of a token, either.
        for value in set(serverd.sql(
                "SELECT token_hash FROM refresh_tokens UNION SELECT token_hash FROM api_tokens UNION SELECT token_hash FROM"
                " claim_tokens UNION SELECT successor FROM login_sessions WHERE successor IS NOT NULL"
                " UNION SELECT login_code_hash FROM login_sessions WHERE login_code_hash IS NOT NULL").split()):
            for form in (value, value[2:]):
                get("/users/me", form, 401)


if __name__ == "__main__":
    serverd.main()
