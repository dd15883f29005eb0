#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Administrators of the backend: docs/adr/0060. What they may do, what others may not, and that a locked account is out at once, on
every instance.

Usage: test-administrators.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import csv
import io
import json
import socket
import threading
import unittest
import urllib.error
import urllib.request

import serverd
from serverd import PASSWORD, User, get, pages, post, request, sql, update

ACCOUNTS = "/api/v1/admin/accounts"


def problem(answer):
    return answer[1]["type"].removeprefix("urn:ssi:problem:")


def administrator():
    user = User()
    sql(f"UPDATE users SET administrator = true WHERE email = '{user.email}'")
    return user


def entries(event):
    rows = sql(f"SELECT account, actor, method FROM audit_log WHERE event = '{event}' ORDER BY id")
    return [tuple(row.split("|")) for row in rows.splitlines()]


class Administrators(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.admin = administrator()

    def setUp(self):
        sql(f"UPDATE users SET administrator = (email = '{self.admin.email}'), locked_at = NULL")
        sql(f"UPDATE login_sessions SET authenticated_at = now() WHERE user_id = (SELECT id FROM users WHERE email = '{self.admin.email}')")
        self.user = User()

    def ask(self, method, path, want, by=None, i=0):
        return request(method, ACCOUNTS + path, {} if method in ("PUT", "POST") else None, (by or self.admin).token, i, want)

    def found(self, query):
        return [a["email"] for a in request("GET", ACCOUNTS + query, None, self.admin.token, want=200)[1]]

    def test_who_is_one(self):
        self.assertTrue(get("/users/me", self.admin.token)["administrator"])
        self.assertFalse(get("/users/me", self.user.token)["administrator"])
        self.assertEqual(problem(self.ask("GET", "", 403, self.user)), "administrator-required")
        self.ask("PUT", f"/{self.user.id()}/administrator", 204)
        self.ask("GET", "", 200, self.user, i=1)
        self.assertEqual(entries("administrator.granted")[-1], (self.user.id(), self.admin.id(), "session"))
        # What is so already is not recorded again.
        n = len(entries("administrator.granted"))
        self.ask("PUT", f"/{self.user.id()}/administrator", 204)
        self.assertEqual(len(entries("administrator.granted")), n)
        self.ask("DELETE", f"/{self.user.id()}/administrator", 204)
        self.ask("GET", "", 403, self.user, i=1)
        self.assertEqual(entries("administrator.revoked")[-1][:2], (self.user.id(), self.admin.id()))

    def test_never_the_last(self):
        self.assertEqual(problem(self.ask("DELETE", f"/{self.admin.id()}/administrator", 409)), "last-administrator")
        # One who cannot log in does not count.
        self.ask("PUT", f"/{self.user.id()}/administrator", 204)
        self.ask("PUT", f"/{self.user.id()}/lock", 204)
        self.assertEqual(problem(self.ask("DELETE", f"/{self.admin.id()}/administrator", 409)), "last-administrator")
        self.ask("DELETE", f"/{self.user.id()}/lock", 204)
        self.ask("DELETE", f"/{self.admin.id()}/administrator", 204)
        self.ask("GET", "", 403)

    def test_two_take_it_from_each_other(self):
        for _ in range(10):
            sql("UPDATE users SET administrator = false")
            both = [self.admin, self.user]
            for one in both:
                sql(f"UPDATE users SET administrator = true, locked_at = NULL WHERE email = '{one.email}'")
            ids, answers = [one.id() for one in both], []
            threads = [threading.Thread(target=lambda i=i: answers.append(
                request("DELETE", f"{ACCOUNTS}/{ids[1 - i]}/administrator", None, both[i].token, i)[0])) for i in (0, 1)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(sql("SELECT count(*) FROM users WHERE administrator"), "1", answers)

    def test_proof(self):
        sql(f"UPDATE login_sessions SET authenticated_at = now() - interval '1 hour' WHERE user_id = (SELECT id FROM users WHERE email = '{self.admin.email}')")
        self.ask("GET", "", 200)
        for method, path in (("PUT", "lock"), ("DELETE", "lock"), ("PUT", "administrator"), ("DELETE", "administrator"), ("POST", "password-reset")):
            self.assertEqual(problem(self.ask(method, f"/{self.user.id()}/{path}", 403)), "reauthentication-required", path)
        self.assertEqual(problem(self.ask("DELETE", f"/{self.user.id()}", 403)), "reauthentication-required")
        post("/users/me/reauthenticate", {"password": PASSWORD}, self.admin.token, want=204)
        self.ask("PUT", f"/{self.user.id()}/lock", 204)

    def test_search(self):
        one, two = User(), User()
        one.server()
        self.assertEqual(self.found(f"?q={one.email[:12].upper()}")[0], one.email)
        self.assertEqual(self.found(f"?q={two.id()}"), [two.email])
        self.assertEqual(self.found("?q=nobody-has-this"), [])
        self.assertEqual(self.found("?q=%25"), [])
        self.assertEqual(self.found("?state=administrator"), [self.admin.email])
        self.ask("PUT", f"/{one.id()}/lock", 204)
        self.assertEqual(self.found("?state=locked"), [one.email])
        sql(f"UPDATE users SET confirmed = false WHERE email = '{two.email}'")
        self.assertEqual(self.found("?state=unconfirmed"), [two.email])
        self.ask("GET", "?state=locked,unconfirmed", 400)
        every = [a for page in pages("/admin/accounts?limit=2", self.admin.token) for a in page]
        self.assertEqual([a["email"] for a in every], sql("SELECT email FROM users ORDER BY id DESC").split("\n"))
        self.ask("DELETE", f"/{one.id()}/lock", 204)
        [row] = request("GET", f"{ACCOUNTS}?q={one.id()}", None, self.admin.token, want=200)[1]
        self.assertEqual((row["servers"], row["locked_at"], row["confirmed"], row["administrator"]), (1, None, True, False))

    def test_a_locked_account_is_out_at_once(self):
        agent = self.user.server()
        token = post("/api-tokens", {"name": "x", "scopes": ["read"]}, self.user.token, want=201)[1]["token"]
        code = post("/users/login-codes", {}, self.user.token, want=201)[1]["code"]
        invitation = post("/invitations", {}, self.user.token, want=201)[1]["token"]
        streams = [self.user.stream(i) for i in (0, 1)]
        other = self.admin.stream(1)
        self.ask("PUT", f"/{self.user.id()}/lock", 204)
        for stream in streams:
            stream.wait("end")
        for i in (0, 1):
            request("GET", "/api/v1/users/me", None, self.user.token, i, 401)
            request("GET", "/api/v1/servers", None, token, i, 401)
            request("GET", "/api/v1/stream", None, self.user.token, i, 401)
        post("/users/refresh", {"refresh_token": self.user.tokens["refresh_token"]}, want=401)
        post("/users/login-code", {"code": code}, want=401)
        email = "by-a-locked-one@example.org"
        self.assertEqual(problem(post("/users/register", {"email": email, "password": PASSWORD, "invitation": invitation}, want=400)), "bad-invitation")
        # Only who knows the password learns why.
        self.assertEqual(problem(post("/users/login", {"email": self.user.email, "password": PASSWORD}, want=403)), "account-locked")
        self.assertEqual(problem(post("/users/login", {"email": self.user.email, "password": "something else"}, want=401)), "bad-credentials")
        self.assertTrue(other.events.empty())

        # Its servers report.
        async def report():
            async with agent.connect() as ws:
                await agent.start(ws)
                await ws.send(update("disk", "FAILURE", "text", cursor="1"))
                self.assertEqual(json.loads(await ws.recv())["type"], "ack")

        asyncio.run(report())
        self.assertEqual(entries("account.locked")[-1][:2], (self.user.id(), self.admin.id()))
        self.ask("DELETE", f"/{self.user.id()}/lock", 204)
        self.assertEqual(entries("account.unlocked")[-1][:2], (self.user.id(), self.admin.id()))
        request("GET", "/api/v1/users/me", None, self.user.token, want=401)
        get("/servers", token)
        self.assertEqual(get(f"/servers/{agent.server}", self.user.login()["access_token"])["services"], 1)

    def test_the_own_account(self):
        for method, path in (("PUT", "/lock"), ("DELETE", "")):
            self.assertEqual(problem(self.ask(method, f"/{self.admin.id()}{path}", 409)), "own-account")

    def test_delete(self):
        agent, id = self.user.server(), self.user.id()
        self.ask("DELETE", f"/{id}", 204)
        request("GET", "/api/v1/users/me", None, self.user.token, want=401)
        self.assertEqual(sql(f"SELECT count(*) FROM servers WHERE public_id = '{agent.server}'"), "0")
        self.ask("DELETE", f"/{id}", 404)
        for path in ("/lock", "/administrator"):
            self.ask("PUT", f"/{id}{path}", 404)
            self.ask("DELETE", f"/{id}{path}", 404)

    def test_a_mail_for_a_new_password(self):
        path = f"/{self.user.id()}/password-reset"
        for _ in range(5):
            self.ask("POST", path, 202)
        self.ask("POST", path, 429)
        self.ask("POST", "/usr-unknown/password-reset", 404)
        self.assertEqual(sql(f"SELECT count(*) FROM notification_outbox WHERE payload ->> 'kind' = 'reset' AND payload ->> 'email' = '{self.user.email}'"), "5")
        self.assertEqual(entries("mail.asked")[-1][:2], (self.user.id(), self.admin.id()))

    def log(self, query="", want=200, by=None):
        return request("GET", "/api/v1/admin/audit" + query, None, (by or self.admin).token, want=want)[1]

    def test_the_audit_log(self):
        email = self.user.email
        self.log(want=403, by=self.user)
        self.ask("PUT", f"/{self.user.id()}/lock", 204)
        self.ask("DELETE", f"/{self.user.id()}/lock", 204)
        self.assertEqual([e["event"] for e in self.log()[:2]], ["account.unlocked", "account.locked"])
        self.assertEqual([e["event"] for e in self.log("?event=account.locked&limit=1")], ["account.locked"])
        self.assertEqual({e["email"] for e in self.log(f"?account={email.upper()}")}, {email})
        by = self.log(f"?account={self.admin.id()}&event=account")
        self.assertEqual([e["event"] for e in by[:2]], ["account.unlocked", "account.locked"])
        self.assertEqual((by[0]["account"], by[0]["actor"]), (self.user.id(), self.admin.id()))
        post("/users/login", {"email": email, "password": "something else"}, want=401)
        serverd.wait_until(lambda: self.log(f"?account={email}&event=login&outcome=refused"))
        # The log-in that succeeded is not among them.
        self.assertEqual({e["event"] for e in self.log(f"?account={email}&event=login&outcome=refused")}, {"login.refused"})
        self.assertEqual(self.log(f"?account={email}&to=2001-01-01T00:00:00Z"), [])
        self.log("?outcome=done,refused", 400)
        self.log("?outcome=nothing", 400)
        every = [e["id"] for page in pages("/admin/audit?limit=3", self.admin.token) for e in page]
        self.assertEqual(every, sql("SELECT id FROM audit_log ORDER BY id DESC").split("\n"))

    def export(self, query, by=None):
        r = urllib.request.Request(f"http://127.0.0.1:{serverd.backend.ports[0]}/api/v1/admin/audit/export{query}",
                                   headers={"Authorization": "Bearer " + (by or self.admin).token})
        with urllib.request.urlopen(r, timeout=60) as f:
            return f.headers, f.read().decode()

    def test_the_audit_log_as_a_file(self):
        name = '=1+1, "quoted"\u00a0\U0001f4a5'
        for n in range(1201):
            sql(f"INSERT INTO audit_log (event, address, email, name) VALUES ('made.up', 'bus', 'file@example.org', '{name}{n}')")
        headers, text = self.export("?account=file@example.org")
        self.assertEqual((headers["Content-Type"], headers["Content-Disposition"]), ("text/csv", 'attachment; filename="audit.csv"'))
        self.assertIsNone(headers["Content-Length"])
        rows = list(csv.DictReader(io.StringIO(text)))
        self.assertEqual([row["name"] for row in rows], [f"'{name}{n}" for n in range(1200, -1, -1)])
        self.assertEqual((rows[0]["event"], rows[0]["outcome"], rows[0]["actor"], rows[0]["count"]), ("made.up", "done", "", "1"))
        headers, text = self.export("?account=file@example.org&format=json")
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual([e["name"] for e in json.loads(text)], [f"{name}{n}" for n in range(1200, -1, -1)])
        self.assertEqual(json.loads(self.export("?event=nothing&format=json")[1]), [])
        self.assertEqual(len(self.export("?event=nothing")[1].splitlines()), 1)
        # Pages that are full to the last row.
        sql("DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE event = 'made.up' LIMIT 201)")
        self.assertEqual(len(json.loads(self.export("?event=made.up&format=json")[1])), 1000)
        sql("DELETE FROM audit_log WHERE event = 'made.up'")
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.export("", self.user)
        self.assertEqual(refused.exception.code, 403)
        for query in ("?format=xml", "?format=csv,json", "?outcome=x"):
            request("GET", "/api/v1/admin/audit/export" + query, None, self.admin.token, want=400)
        self.assertEqual(request("HEAD", "/api/v1/admin/audit/export", None, self.admin.token)[0], 200)

    def test_a_client_that_reads_no_further(self):
        """The server reads on only as the client does, and forgets one that has gone."""
        sql("INSERT INTO audit_log (event, address, name) SELECT 'made.up', 'bus', repeat('x', 1000) FROM generate_series(1, 20000)")
        s = socket.create_connection(("127.0.0.1", serverd.backend.ports[0]))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(b"GET /api/v1/admin/audit/export?event=made.up HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + self.admin.token.encode() + b"\r\n\r\n")
        self.assertTrue(s.recv(1024).startswith(b"HTTP/1.1 200"))
        get("/users/me", self.admin.token)
        s.close()
        self.assertEqual(len(self.export("?event=made.up")[1].splitlines()), 20001)
        sql("DELETE FROM audit_log WHERE event = 'made.up'")

    def invitations(self, i=0):
        return get("/admin/invitations", self.admin.token, i=i)

    def test_invitations(self):
        for one in self.invitations():
            request("DELETE", "/api/v1/admin/invitations/" + one["id"], None, self.admin.token, want=204)
        theirs = post("/invitations", {}, self.user.token, want=201)[1]
        mine = post("/admin/invitations", {"email": "guest@example.org", "expires_in": 60}, self.admin.token, want=201)[1]
        self.assertEqual([(i["id"], i["email"], i["invited_by"]) for i in self.invitations(1)],
                         [(mine["id"], "guest@example.org", None), (theirs["id"], None, self.user.email)])
        self.assertTrue(mine["mailed"])
        # An administrator's are not the account's, and have no limit.
        self.assertNotIn(mine["id"], [i["id"] for i in get("/invitations", self.admin.token)])
        for _ in range(25):
            post("/admin/invitations", {}, self.admin.token, want=201)
        request("DELETE", "/api/v1/admin/invitations/" + theirs["id"], None, self.admin.token, want=204)
        self.assertEqual(entries("invitation.withdrawn")[-1][:2], (self.user.id(), self.admin.id()))
        request("DELETE", "/api/v1/invitations/" + mine["id"], None, self.user.token, want=404)
        request("DELETE", "/api/v1/admin/invitations/" + mine["id"], None, self.user.token, want=403)
        self.assertEqual(problem(post("/admin/invitations", {}, self.user.token, want=403)), "administrator-required")
        post("/admin/invitations", {"email": "nobody"}, self.admin.token, want=400)

    def test_sign_up(self):
        # The setting of these instances decides.
        self.assertEqual(get("/admin/sign-up", self.admin.token), {"sign_up": "open", "configured": True})
        answer = request("PUT", "/api/v1/admin/sign-up", {"sign_up": "closed"}, self.admin.token, want=409)
        self.assertEqual(problem(answer), "set-by-configuration")
        for body in ({}, {"sign_up": "x"}, {"sign_up": 5}):
            request("PUT", "/api/v1/admin/sign-up", body, self.admin.token, want=400)
        serverd.backend.stop_server(1)
        settings = dict(serverd.backend.settings)
        serverd.backend.settings["SSI_SIGN_UP"] = ""
        try:
            serverd.backend.start_server(1)
            for mode in ("invite", "closed"):
                request("PUT", "/api/v1/admin/sign-up", {"sign_up": mode}, self.admin.token, 1, 204)
                self.assertEqual(get("/admin/sign-up", self.admin.token, i=1), {"sign_up": mode, "configured": False})
            self.assertEqual(problem(post("/users/register", {"email": "x@example.org", "password": PASSWORD}, i=1, want=403)), "sign-up-closed")
            self.assertEqual(sql("SELECT actor || name FROM audit_log WHERE event = 'sign-up.changed' ORDER BY id DESC LIMIT 1"), self.admin.id() + "closed")
        finally:
            serverd.backend.stop_server(1)
            serverd.backend.settings = settings
            sql("DELETE FROM settings WHERE key = 'sign_up'")
            serverd.backend.start_server(1)

    def figures(self, i=0):
        return get("/admin/figures", self.admin.token, i=i)

    def test_figures(self):
        self.user.server()
        serverd.wait_until(lambda: self.figures()["database"])
        f = self.figures()
        self.assertEqual((f["servers"], f["connected"], f["accounts"]), (int(sql("SELECT count(*) FROM servers")), 0, int(sql("SELECT count(*) FROM users"))))
        self.assertGreater(f["database"]["bytes"], 1000000)
        self.assertEqual((f["history_days"], f["audit_days"], f["backup"]), (7, 365, None))
        self.assertGreaterEqual(f["partitions"]["count"], 1)
        self.assertEqual([i["alive"] for i in f["instances"]][:2], [True, True])
        # Two instances keep one sample in ten minutes.
        serverd.wait_until(lambda: self.figures(1)["samples"])
        self.assertEqual(sql("SELECT count(*) - count(DISTINCT date_bin('10 minutes', at, 'epoch')) FROM backend_samples"), "0")
        sql("DELETE FROM backend_samples")
        sql("INSERT INTO backend_samples SELECT date_trunc('hour', now()) - n * interval '10 minutes', 10000 - n * 600, 1, 1, 1, 1, 1, 1 FROM generate_series(1, 3) n")
        sql("INSERT INTO backend_samples SELECT date_trunc('hour', now()), 5, 1, 1, 1, 1, 1, 1")
        self.assertEqual([s["results_per_second"] for s in self.figures()["samples"]][:4], [None, 1, 1, None])
        request("GET", "/api/v1/admin/figures", None, self.user.token, want=403)

    def test_announcements(self):
        sql("DELETE FROM announcements")
        self.assertEqual(get("/announcements", self.user.token), [])
        made = post("/admin/announcements", {"text": "Work <b>tonight</b>", "expires_in": 3600}, self.admin.token, want=201)[1]
        [one] = get("/announcements", self.user.token, i=1)
        self.assertEqual((one["id"], one["text"], one["ends_at"]), (made["id"], "Work <b>tonight</b>", made["ends_at"]))
        self.assertEqual(sql("SELECT actor || ' ' || name FROM audit_log WHERE event = 'announcement.made' ORDER BY id DESC LIMIT 1"),
                         self.admin.id() + " Work <b>tonight</b>")
        self.assertEqual(problem(post("/admin/announcements", {"text": "x"}, self.user.token, want=403)), "administrator-required")
        for body in ({}, {"text": ""}, {"text": "a\nb"}, {"text": "x" * 501}, {"text": "x", "expires_in": 0}, {"text": "x", "expires_in": 40000000}):
            post("/admin/announcements", body, self.admin.token, want=400)
        for _ in range(9):
            post("/admin/announcements", {"text": "x"}, self.admin.token, want=201)
        self.assertEqual(problem(post("/admin/announcements", {"text": "x"}, self.admin.token, want=409)), "too-many-announcements")
        request("DELETE", "/api/v1/admin/announcements/" + made["id"], None, self.admin.token, want=204)
        request("DELETE", "/api/v1/admin/announcements/" + made["id"], None, self.admin.token, want=404)
        # What has ended is not shown, and makes room.
        sql("UPDATE announcements SET ends_at = now()")
        self.assertEqual(get("/announcements", self.user.token), [])
        post("/admin/announcements", {"text": "x"}, self.admin.token, want=201)
        self.assertEqual(sql("SELECT count(*) FROM announcements"), "1")


if __name__ == "__main__":
    # Nothing listens there: mails wait.
    serverd.main(lambda b: {"SSI_SIGN_UP": "open", "SSI_SMTP_URL": "smtp://127.0.0.1:9", "SSI_SMTP_FROM": "ssi@example.org",
                            "SSI_PUBLIC_URL": "https://ssi.example.org"})
