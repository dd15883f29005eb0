#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The audit log: each act leaves one entry that tells who, from where and how; refusals leave few; nothing in it is secret.

Usage: test-audit.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import json
import re
import time
import unittest

import serverd
from serverd import PASSWORD, User, get, pages, post, request, sql, update, wait_until

ADDRESS = "203.0.113.7"
OTHER_PASSWORD = "battery staple"
COLUMNS = ("id", "event", "outcome", "account", "email", "actor", "address", "method", "credential", "object", "name", "count")


def rows(where="true"):
    return [dict(zip(COLUMNS, row)) for row in
            serverd.backend.sql.rows(f"SELECT {', '.join(COLUMNS)} FROM audit_log WHERE {where} ORDER BY id")]


def newest():
    return int(sql("SELECT coalesce(max(id), 0) FROM audit_log"))


def ask(method, path, body=None, token=None, want=None, address=ADDRESS):
    return request(method, "/api/v1" + path, body, token, want=want, fields={"X-Forwarded-For": address})[1]


class Recorded(unittest.TestCase):
    """The one entry that an act leaves."""

    def entry(self, act, event, outcome="done"):
        before = newest()
        answer = act()
        entries = [e for e in rows(f"id > {before}") if e["outcome"] == outcome]
        self.assertEqual([e["event"] for e in entries], [event])
        return answer, entries[0]

    def none(self, act):
        before = newest()
        answer = act()
        self.assertEqual(rows(f"id > {before} AND outcome = 'done'"), [])
        return answer

    def setUp(self):
        self.user = User()
        self.id = get("/users/me", self.user.token)["id"]
        self.session = get("/sessions", self.user.token)[0]["id"]

    def by_session(self, entry, **expected):
        expected = {"account": self.id, "email": self.user.email, "actor": self.id, "address": ADDRESS, "method": "session",
                    "credential": self.session, "count": "1", **expected}
        self.assertEqual({k: entry[k] for k in expected}, expected)

    def mine(self, method, path, event, body=None, want=None, **expected):
        answer, entry = self.entry(lambda: ask(method, path, body, self.user.token, want), event)
        self.by_session(entry, **expected)
        return answer

    def test_accounts_and_sessions(self):
        email = f"audit-{time.monotonic_ns()}@example.org"
        credentials = {"email": email, "password": PASSWORD}
        answer, entry = self.entry(lambda: ask("POST", "/users/register", credentials, want=201), "account.made")
        account = answer["id"]
        self.assertEqual((entry["account"], entry["email"], entry["actor"], entry["address"]), (account, email, account, ADDRESS))

        answer, entry = self.entry(lambda: ask("POST", "/users/login", credentials, want=200), "login")
        self.assertEqual((entry["account"], entry["address"], entry["method"]), (account, ADDRESS, "password"))
        token, refresh = answer["access_token"], answer["refresh_token"]
        session = get("/sessions", token)[0]["id"]
        self.assertEqual(entry["object"], session)

        # A renewed session is the same one.
        old, refresh = refresh, self.none(lambda: ask("POST", "/users/refresh", {"refresh_token": refresh}, want=200))["refresh_token"]
        code, entry = self.entry(lambda: ask("POST", "/users/login-codes", {}, token, 201), "login-code.made")
        self.assertEqual((entry["method"], entry["credential"]), ("session", session))
        other, entry = self.entry(lambda: ask("POST", "/users/login-code", {"code": code["code"]}, want=200, address="2001:db8::5"), "login")
        self.assertEqual((entry["method"], entry["account"], entry["address"]), ("login code", account, "2001:db8::5"))
        ended = entry["object"]
        _, entry = self.entry(lambda: ask("DELETE", "/sessions/" + ended, None, token, 204), "session.ended")
        self.assertEqual((entry["object"], entry["credential"]), (ended, session))
        self.none(lambda: ask("DELETE", "/sessions/" + ended, None, token, 404))

        change = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
        _, entry = self.entry(lambda: ask("POST", "/users/me/password", change, token, 204), "password.changed")
        self.assertEqual((entry["method"], entry["credential"], entry["actor"]), ("password", session, account))

        # A refresh token that was used twice ends the session.
        ask("POST", "/users/refresh", {"refresh_token": refresh}, want=200)
        sql("UPDATE login_sessions SET replaced_at = now() - interval '1 hour'")
        _, entry = self.entry(lambda: ask("POST", "/users/refresh", {"refresh_token": old}, want=401), "session.reused")
        self.assertEqual((entry["object"], entry["method"], entry["account"]), (session, "refresh token", account))

        credentials["password"] = OTHER_PASSWORD
        answer, entry = self.entry(lambda: ask("POST", "/users/login", credentials, want=200), "login")
        _, entry = self.entry(lambda: ask("POST", "/users/logout", {"refresh_token": answer["refresh_token"]}, want=204), "logout")
        self.assertEqual((entry["account"], entry["method"]), (account, "refresh token"))
        self.none(lambda: ask("POST", "/users/logout", {"refresh_token": answer["refresh_token"]}, want=204))

        token = ask("POST", "/users/login", credentials, want=200)["access_token"]
        _, entry = self.entry(lambda: ask("DELETE", "/sessions", None, token, 204), "session.all-ended")
        self.assertEqual(entry["account"], account)

        # What an account did is known after its end.
        token = ask("POST", "/users/login", credentials, want=200)["access_token"]
        events = [e["event"] for e in rows(f"account = '{account}'")]
        _, entry = self.entry(lambda: ask("DELETE", "/users/me", {"password": OTHER_PASSWORD}, token, 204), "account.removed")
        self.assertEqual((entry["account"], entry["email"], entry["method"]), (account, email, "password"))
        self.assertEqual([e["event"] for e in rows(f"account = '{account}'")], events + ["account.removed"])

    def test_tokens(self):
        token = self.mine("POST", "/api-tokens", "api-token.made", {"name": "ci", "scopes": ["write"]}, 201, name="ci")
        # What it does is its own.
        server, entry = self.entry(lambda: ask("POST", "/agents/register", {"server_name": "by-token"}, token["token"], 201),
                                   "server.registered")
        self.by_session(entry, method="token ci", credential=token["id"], object=server["server_id"], name="by-token")
        self.mine("DELETE", "/api-tokens/" + token["id"], "api-token.removed", want=204, object=token["id"], name="ci")
        self.none(lambda: ask("DELETE", "/api-tokens/" + token["id"], None, self.user.token, 404))

    def test_servers(self):
        made = self.mine("POST", "/agents/register", "server.registered", {"server_name": "web"}, 201, name="web")
        server = made["server_id"]
        path = "/servers/" + server
        again = self.mine("POST", path + "/claim-token", "server.new-claim-token", {}, 201, object=server, name="web")
        claimed, entry = self.entry(lambda: ask("POST", "/agents/claim", {"claim_token": again["claim_token"]}, want=200), "server.claimed")
        self.by_session(entry, method="claim token", credential="", object=server, name="web")
        agent = serverd.Agent(self.user, claimed)

        async def report():
            async with agent.connect() as ws:
                await agent.start(ws)
                await ws.send(update("disk", "WARNING", "text", cursor="1"))
                await ws.recv()

        asyncio.run(report())
        self.mine("PATCH", path, "server.changed", {"name": "web-2"}, 200, object=server, name="web-2")
        self.mine("PUT", path + "/public-page", "public-page.made", {}, 200, object=server)
        self.mine("DELETE", path + "/public-page", "public-page.removed", want=204, object=server)
        self.mine("POST", path + "/services/disk/acknowledgement", "acknowledgement.made", {"reason": "known"}, 200, object=server, name="disk")
        self.mine("DELETE", path + "/services/disk/acknowledgement", "acknowledgement.removed", want=204, object=server, name="disk")
        self.none(lambda: ask("DELETE", path + "/services/disk/acknowledgement", None, self.user.token, 404))
        self.mine("DELETE", path, "server.removed", want=204, object=server, name="web-2")

    def test_notifications(self):
        url = "https://example.org/a-secret-path"
        channel = self.mine("POST", "/notifications/channels", "channel.made",
                            {"type": "webhook", "name": "hook", "config": {"url": url}}, 201, name="hook")["id"]
        path = "/notifications/channels/" + channel
        self.mine("PATCH", path, "channel.changed", {"name": "hook 2"}, 200, object=channel, name="hook 2")
        self.mine("POST", path + "/test", "channel.tested", {}, 200, object=channel)
        self.mine("DELETE", path, "channel.removed", want=204, object=channel, name="hook 2")
        silence = self.mine("POST", "/silences", "silence.made", {"service": "disk", "reason": "work"}, 201, name="disk")["id"]
        self.mine("PATCH", "/silences/" + silence, "silence.changed", {"reason": "more work"}, 200, object=silence)
        self.mine("DELETE", "/silences/" + silence, "silence.removed", want=204, object=silence)
        self.mine("PATCH", "/notifications/settings", "notifications.changed", {"damping": 2}, 200)
        self.none(lambda: ask("PATCH", "/notifications/settings", {"timezone": "Nowhere"}, self.user.token, 400))

    def test_without_an_entry_there_is_no_act(self):
        """The entry is part of the act's statement."""
        sql("ALTER TABLE audit_log ADD CONSTRAINT refuse CHECK (event <> 'server.registered' OR name <> 'unwanted')")
        try:
            ask("POST", "/agents/register", {"server_name": "unwanted"}, self.user.token, 500)
        finally:
            sql("ALTER TABLE audit_log DROP CONSTRAINT refuse")
        self.assertEqual(get("/servers", self.user.token), [])

    def test_many_acts_are_counted_together(self):
        sql(f"INSERT INTO audit_log (event, account, address) SELECT 'made-up', '{self.id}', '::1' FROM generate_series(1, 1000)")
        for reason in "abc":
            ask("POST", "/silences", {"service": "disk", "reason": reason}, self.user.token, 201)
        [entry] = rows(f"account = '{self.id}' AND event = 'silence.made'")
        self.assertEqual((entry["count"], entry["object"], entry["address"]), ("3", "", ADDRESS))


if __name__ == "__main__":
    serverd.main()
