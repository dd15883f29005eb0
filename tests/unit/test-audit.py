#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The audit log: each act leaves one entry that tells who, from where and how; refusals leave few; nothing in it is secret.

Usage: test-audit.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import json
import os
import re
import tempfile
import time
import unittest

import serverd
from serverd import PASSWORD, User, get, message, pages, post, request, sql, update, wait_until
from sinks import Browser, MailSink

ADDRESS = "203.0.113.7"
OTHER_PASSWORD = "battery staple"
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/ssi-serverd/api/openapi.json")

# Routes that leave no entry, and why.
EXEMPT = {
    "POST /qr": "it draws a picture",
    "POST /instances/join": "test-join.py asks it, which has a host to join",
    "POST /instances/renew": "test-join.py asks it, as the host that has joined",
    "PUT /admin/sign-up": "test-administrators.py asks it, which has an instance without the setting",
}

mails = None

# Which routes have left which events: what Routes looks at.
seen = {}

COLUMNS = ("id", "event", "outcome", "account", "email", "actor", "address", "method", "credential", "object", "name", "count")


def rows(where="true"):
    return [dict(zip(COLUMNS, row)) for row in
            serverd.backend.sql.rows(f"SELECT {', '.join(COLUMNS)} FROM audit_log WHERE {where} ORDER BY id")]


def newest():
    return int(sql("SELECT coalesce(max(id), 0) FROM audit_log"))


def operations():
    """(a pattern of the path, "METHOD /path") of all that change something."""
    with open(SOURCE, encoding="utf-8") as f:
        paths = json.load(f)["paths"]
    return [(method.upper(), re.compile("/api/v1" + re.sub(r"{\w+}", "[^/]+", path.removeprefix("/api/v1")) + "$"),
             f"{method.upper()} {path.removeprefix('/api/v1')}")
            for path, item in paths.items() for method in item if method in ("post", "put", "patch", "delete")]


def ask(method, path, body=None, token=None, want=None, address=ADDRESS):
    ask.last = next(name for m, pattern, name in operations() if m == method and pattern.match("/api/v1" + path))
    return request(method, "/api/v1" + path, body, token, want=want, fields={"X-Forwarded-For": address})[1]


class Recorded(unittest.TestCase):
    """The one entry that an act leaves."""

    def entry(self, act, event, outcome="done"):
        before = newest()
        answer = act()
        entries = [e for e in rows(f"id > {before}") if e["outcome"] == outcome]
        self.assertEqual([e["event"] for e in entries], [event])
        seen.setdefault(ask.last, set()).add(event)
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
        _, entry = self.entry(lambda: ask("POST", "/users/register", credentials, want=202), "account.made")
        account = entry["account"]
        self.assertEqual((entry["account"], entry["email"], entry["actor"], entry["address"]), (account, email, "", ADDRESS))

        token = {"token": self.mailed(email, "verify-email")}
        _, entry = self.entry(lambda: ask("POST", "/users/verify-email", token, want=204), "account.confirmed")
        self.assertEqual((entry["account"], entry["method"], entry["actor"]), (account, "mail link", account))

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

    def mailed(self, address, page):
        """The token of the link to this page."""
        def found():
            return re.findall(rf"https://ssi\.example\.org/{page}#token=(\S+)", "".join(
                mail.get_body(("plain",)).get_content() for mail in mails.to(address)))

        wait_until(found)
        token = found()[-1]
        serverd.secrets.add(token)
        return token

    def test_reset(self):
        email = {"email": self.user.email}
        _, entry = self.entry(lambda: ask("POST", "/users/password-reset", email, want=202), "mail.asked")
        self.assertEqual((entry["account"], entry["actor"], entry["name"]), (self.id, "", "reset"))
        token = self.mailed(self.user.email, "reset-password")
        body = {"token": token, "password": OTHER_PASSWORD}
        _, entry = self.entry(lambda: ask("POST", "/users/password-reset/confirm", body, want=200), "password.reset")
        self.assertEqual((entry["account"], entry["address"], entry["method"]), (self.id, ADDRESS, "mail link"))
        self.none(lambda: ask("POST", "/users/password-reset/confirm", body, want=400))
        # Nobody learns here either whether there is such an account.
        self.none(lambda: ask("POST", "/users/password-reset", {"email": "nobody-" + self.user.email}, want=202))

    def test_confirmation_is_asked_for(self):
        self.mine("POST", "/users/verify-email/send", "mail.asked", {}, 202, name="verify")

    def test_times(self):
        self.mine("PATCH", "/account", "account.changed", {"clock": 12}, 200)
        self.none(lambda: ask("PATCH", "/account", {"clock": 13}, self.user.token, 400))

    def test_another_address(self):
        new = "new-" + self.user.email
        self.mine("POST", "/account/email", "email-change.asked", {"email": new}, 202, name=new)
        self.mine("DELETE", "/account/email", "email-change.cancelled", None, 204, name=new)
        self.none(lambda: ask("DELETE", "/account/email", None, self.user.token, 404))
        ask("POST", "/account/email", {"email": new}, self.user.token, 202)
        token = {"token": self.mailed(new, "confirm-address")}
        _, entry = self.entry(lambda: ask("POST", "/account/email/confirm", token, want=204), "email-change.confirmed")
        self.assertEqual((entry["account"], entry["email"], entry["name"], entry["method"]), (self.id, new, self.user.email, "mail link"))
        self.none(lambda: ask("POST", "/account/email/confirm", token, want=400))

    def test_push(self):
        key = get("/push/key", self.user.token)["public_key"]
        browser = Browser("https://push.example.org/secret-endpoint", key).subscription(label="Firefox")
        made = self.mine("POST", "/push/subscriptions", "push.subscribed", browser, 201, name="Firefox")["id"]
        self.mine("DELETE", "/push/subscriptions/" + made, "push.unsubscribed", want=204, object=made)

    def test_tokens(self):
        token = self.mine("POST", "/api-tokens", "api-token.made", {"name": "ci", "scopes": ["write"]}, 201, name="ci")
        # What it does is its own.
        server, entry = self.entry(lambda: ask("POST", "/agents/register", {"server_name": "by-token"}, token["token"], 201),
                                   "server.registered")
        self.by_session(entry, method="token ci", credential=token["id"], object=server["server_id"], name="by-token")
        self.mine("DELETE", "/api-tokens/" + token["id"], "api-token.removed", want=204, object=token["id"], name="ci")
        self.none(lambda: ask("DELETE", "/api-tokens/" + token["id"], None, self.user.token, 404))

    def test_administration(self):
        sql(f"UPDATE users SET administrator = true WHERE public_id = '{self.id}'")
        other = User()
        theirs = {"account": get("/users/me", other.token)["id"], "email": other.email}
        path = "/admin/accounts/" + theirs["account"]
        self.mine("PUT", path + "/administrator", "administrator.granted", {}, 204, **theirs)
        self.mine("DELETE", path + "/administrator", "administrator.revoked", want=204, **theirs)
        self.mine("PUT", path + "/lock", "account.locked", {}, 204, **theirs)
        self.mine("DELETE", path + "/lock", "account.unlocked", want=204, **theirs)
        self.mine("POST", path + "/password-reset", "mail.asked", {}, 202, **theirs)
        self.mine("DELETE", path, "account.removed", {"password": PASSWORD}, 204, **theirs)
        nobody = {"account": "", "email": ""}
        made = self.mine("POST", "/admin/invitations", "invitation.made", {}, 201, **nobody)
        self.mine("DELETE", "/admin/invitations/" + made["id"], "invitation.withdrawn", want=204, **nobody, object=made["id"])
        made = self.mine("POST", "/admin/announcements", "announcement.made", {"text": "tonight", "expires_in": 60}, 201, **nobody, name="tonight")
        self.mine("DELETE", "/admin/announcements/" + made["id"], "announcement.withdrawn", want=204, **nobody, object=made["id"])

    def test_teams(self):
        made, entry = self.entry(lambda: ask("POST", "/teams", {"name": "night"}, self.user.token, 201), "team.made")
        of_team = {"account": made["id"], "email": ""}
        self.by_session(entry, **of_team, object=made["id"], name="night")
        path = "/teams/" + made["id"]
        self.mine("PATCH", path, "team.renamed", {"name": "day"}, 204, **of_team, object=made["id"], name="day")

        invitation = self.mine("POST", path + "/invitations", "invitation.made", {"role": "viewer"}, 201, **of_team)
        self.mine("DELETE", f"{path}/invitations/{invitation['id']}", "invitation.withdrawn", want=204, **of_team, object=invitation["id"])
        guest = User()
        who = get("/users/me", guest.token)["id"]
        for _ in range(2):
            token = self.mine("POST", path + "/invitations", "invitation.made", {"role": "viewer"}, 201, **of_team)["token"]
            _, entry = self.entry(lambda token=token: ask("POST", "/teams/join", {"invitation": token}, guest.token, 200), "team.joined")
            self.assertEqual((entry["account"], entry["actor"], entry["object"], entry["name"]), (made["id"], who, who, guest.email + ": viewer"))
            if not rows("event = 'team.role-changed'"):
                self.mine("PATCH", f"{path}/members/{who}", "team.role-changed", {"role": "admin"}, 204, **of_team, object=who,
                          name=guest.email + ": admin")
                self.mine("DELETE", f"{path}/members/{who}", "team.member-removed", want=204, **of_team, object=who, name=guest.email)
        _, entry = self.entry(lambda: ask("POST", path + "/leave", {}, guest.token, 204), "team.member-removed")
        self.assertEqual((entry["account"], entry["actor"], entry["object"]), (made["id"], who, who))

        # Both teams have it in their log.
        server = ask("POST", "/agents/register", {"server_name": "web"}, self.user.token, 201)["server_id"]
        before = newest()
        ask("PUT", f"/servers/{server}/team", {"team": made["id"]}, self.user.token, 204)
        entries = [e for e in rows(f"id > {before}") if e["event"] == "server.moved"]
        seen.setdefault(ask.last, set()).add("server.moved")
        self.assertEqual({(e["account"], e["actor"], e["object"]) for e in entries}, {(self.id, self.id, server), (made["id"], self.id, server)})
        self.none(lambda: ask("DELETE", path, {}, self.user.token, 409))
        ask("DELETE", "/servers/" + server, None, self.user.token, 204)
        self.mine("DELETE", path, "team.removed", want=204, **of_team, object=made["id"], name="day")

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
        sql(f"UPDATE servers SET duplicate_since = now(), boot_id = 'one', duplicate_boot_id = 'two' WHERE public_id = '{server}'")
        self.mine("POST", path + "/duplicate", "server.host-kept", {"keep": "accepted"}, 204, object=server,
                  name="web-2: the accepted host, without a name")
        self.none(lambda: ask("POST", path + "/duplicate", {"keep": "accepted"}, self.user.token, 409))

        async def new_key():
            async with agent.connect() as ws:
                await agent.start(ws)
                await ws.send(message("rotate_key"))
                while json.loads(await ws.recv())["type"] != "new_key":
                    pass

        _, entry = self.entry(lambda: asyncio.run(new_key()), "server.new-key")
        self.by_session(entry, actor=server, address="127.0.0.1", method="agent key", credential="", object=server, name="web-2")
        self.mine("DELETE", path, "server.removed", want=204, object=server, name="web-2")

    def test_invitations(self):
        email = f"invited-{time.monotonic_ns()}@example.org"
        made = self.mine("POST", "/invitations", "invitation.made", {"email": email}, 201, name=email)
        body = {"email": email, "password": PASSWORD, "invitation": made["token"]}
        _, entry = self.entry(lambda: ask("POST", "/users/register", body, want=202), "account.made")
        self.assertEqual((entry["email"], entry["actor"], entry["method"]), (email, entry["account"], "invitation"))
        made = self.mine("POST", "/invitations", "invitation.made", {}, 201, name="")
        self.mine("DELETE", "/invitations/" + made["id"], "invitation.withdrawn", want=204, object=made["id"])
        self.none(lambda: ask("DELETE", "/invitations/" + made["id"], None, self.user.token, 404))

    def test_step_up(self):
        _, entry = self.entry(lambda: ask("POST", "/users/me/reauthenticate", {"password": PASSWORD}, self.user.token, 204),
                              "session.reauthenticated")
        self.by_session(entry, method="password", object=self.session)
        self.none(lambda: ask("POST", "/users/me/reauthenticate", {"password": "a wrong guess"}, self.user.token, 403))

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
        made_up = f"INSERT INTO audit_log (event, account, actor, address) SELECT 'made-up', '{self.id}', '%s', '::1' FROM generate_series(1, 1000)"
        sql(made_up % "srv-somebody")
        # What another did does not count.
        self.mine("POST", "/silences", "silence.made", {"service": "disk", "reason": "alone"}, 201)
        sql(f"DELETE FROM audit_log WHERE event = 'silence.made' AND account = '{self.id}'")
        sql(made_up % self.id)
        for reason in "abc":
            ask("POST", "/silences", {"service": "disk", "reason": reason}, self.user.token, 201)
        [entry] = rows(f"account = '{self.id}' AND event = 'silence.made'")
        self.assertEqual((entry["count"], entry["object"], entry["address"]), ("3", "", ADDRESS))


class Readers(unittest.TestCase):
    def test_an_account_reads_its_own(self):
        user, other = User(), User()
        made = post("/api-tokens", {"name": "reader", "scopes": ["read"]}, user.token, want=201)[1]
        writer = post("/api-tokens", {"name": "writer", "scopes": ["servers:register"]}, user.token, want=201)[1]
        entries = get("/audit", user.token)
        self.assertEqual([e["event"] for e in entries], ["api-token.made", "api-token.made", "login", "account.made"])
        self.assertEqual((entries[1]["name"], entries[1]["object"], entries[1]["count"], entries[1]["email"]),
                         ("reader", made["id"], 1, user.email))
        self.assertEqual(get("/audit", made["token"]), entries)
        get("/audit", writer["token"], want=403)
        self.assertEqual([e["event"] for e in get("/audit", other.token)], ["login", "account.made"])
        # The other way round: a change made by another address of the same list.
        self.assertEqual([e for page in pages("/audit?limit=1", user.token) for e in page], entries)
        self.assertEqual([e["event"] for e in get("/audit?event=account", user.token)], ["account.made"])
        self.assertEqual(get("/audit?event=acc", user.token), [])
        self.assertEqual(get("/audit?to=2020-01-01T00:00:00Z", user.token), [])
        self.assertEqual(get("/audit?from=2020-01-01T00:00:00Z", user.token), entries)
        for query in ("limit=0", "after=x", "from=yesterday"):
            get("/audit?" + query, user.token, want=400)

    def test_an_account_of_the_same_address_sees_nothing_of_its_forerunner(self):
        user = User()
        post("/notifications/channels", {"type": "webhook", "name": "x", "config": {"url": "https://example.org/"}}, user.token, want=201)
        request("DELETE", "/api/v1/users/me", {"password": PASSWORD}, user.token, want=204)
        before = len(rows(f"email = '{user.email}'"))
        self.assertEqual(before, 4)
        post("/users/register", {"email": user.email, "password": PASSWORD}, want=202)
        sql(f"UPDATE users SET confirmed = true WHERE email = '{user.email}'")
        self.assertEqual([e["event"] for e in get("/audit", user.login()["access_token"])], ["login", "account.made"])
        self.assertEqual(len(rows(f"email = '{user.email}'")), before + 2)


    def test_a_restore_hides_nothing(self):
        """The log as it was before a restore, and a backup that lacks some of it, become one."""
        user = User()
        where = f"email = '{user.email}'"
        sql("INSERT INTO audit_log (event, outcome, email, address, count, fold)"
            f" VALUES ('login.refused', 'refused', '{user.email}', '192.0.2.0/32', 7, 'refusal 1 {user.email}')")
        before = [(e["event"], e["count"], e["object"]) for e in rows(where)]
        sql("CREATE TABLE audit_carried AS SELECT to_jsonb(l) - 'name' AS entry FROM audit_log l ORDER BY id")
        sql(f"DELETE FROM audit_log WHERE {where} AND event = 'login'")
        sql(f"UPDATE audit_log SET count = 1 WHERE {where} AND outcome <> 'done'")
        total = sql("SELECT count(*) FROM audit_carried")
        sql("SELECT audit_carry()")
        self.assertEqual(sorted((e["event"], e["count"], e["object"]) for e in rows(where)), sorted(before))
        self.assertEqual(sql("SELECT count(*) FROM audit_log"), total)
        self.assertEqual(sql("SELECT to_regclass('audit_carried')"), "")

    def test_a_restore_alters_nothing(self):
        """Where the file says something else of an entry, the log as it was before is right; what the file adds is counted."""
        user = User()
        where = f"email = '{user.email}'"
        sql("INSERT INTO audit_log (event, outcome, email, address, count, fold)"
            f" VALUES ('login.refused', 'refused', '{user.email}', '192.0.2.0/32', 7, 'refusal 2 {user.email}')")
        before = [{k: v for k, v in e.items() if k != "id"} for e in rows(where)]
        sql("CREATE TABLE audit_carried AS SELECT to_jsonb(l) AS entry FROM audit_log l ORDER BY id")
        sql("""INSERT INTO audit_carried VALUES ('{"at": "2026-01-01T00:00:00Z", "last_at": "2026-01-01T00:00:00Z", "count": 1, "event":
            "restore.done", "outcome": "done", "actor": "uid 0", "address": "bus", "method": "bus"}')""")
        sql(f"UPDATE audit_log SET actor = 'usr-other', address = '192.0.2.66', method = 'token x', name = 'altered', credential = NULL WHERE {where}")
        sql("INSERT INTO audit_log (event, account, address) VALUES ('login', 'usr-forged', '192.0.2.66')")
        sql("SELECT audit_carry()")
        self.assertEqual(sorted(map(str, before)), sorted(str({k: v for k, v in e.items() if k != "id"}) for e in rows(where)))
        self.assertEqual([e["name"] for e in rows("event = 'restore.done'")], ["from the backup alone: 1 entries"])
        sql("DELETE FROM audit_log WHERE event = 'restore.done' OR account = 'usr-forged'")


class Refusals(unittest.TestCase):
    def refused(self, where):
        wait_until(lambda: rows("outcome <> 'done' AND " + where))
        return rows("outcome <> 'done' AND " + where)

    def login(self, email, address, password="a wrong guess"):
        return request("POST", "/api/v1/users/login", {"email": email, "password": password}, fields={"X-Forwarded-For": address})[0]

    def test_wrong_password_and_throttle(self):
        user = User()
        account = get("/users/me", user.token)["id"]
        while self.login(user.email, "192.0.2.1") == 401:
            pass
        self.login(user.email, "192.0.2.1")
        found = self.refused(f"account = '{account}'")
        self.assertEqual({(e["event"], e["email"], e["actor"], e["method"], e["address"]) for e in found},
                         {("login.refused", user.email, "", "password", "192.0.2.1/32")})
        # It is told apart from too many: those do not look at the account any more.
        self.refused("outcome = 'throttled' AND event = 'login.refused' AND address = '192.0.2.1/32'")
        # The owner sees it.
        self.assertEqual(get("/audit?event=login.refused", user.token)[0]["address"], "192.0.2.1/32")

    def test_what_was_made_up(self):
        """Each kind, with its network and without what was typed: people type passwords everywhere."""
        typed = "hunter2-in-the-wrong-field"
        for n, (path, body, event, method, token) in enumerate((
                ("/users/login", {"email": typed + "@example.org", "password": "x" * 10}, "login.refused", "password", None),
                ("/users/login-code", {"code": typed}, "login.refused", "login code", None),
                ("/users/refresh", {"refresh_token": typed}, "session.refused", "refresh token", None),
                ("/users/verify-email", {"token": typed}, "mail-link.refused", "mail link", None),
                ("/users/password-reset/confirm", {"token": typed, "password": OTHER_PASSWORD}, "mail-link.refused", "mail link", None),
                ("/agents/claim", {"claim_token": typed}, "server.claim-refused", "claim token", None),
                ("/silences", {}, "api-token.refused", "token", "ssi_api_" + typed)), 10):
            with self.subTest(path):
                address = f"192.0.2.{n}"
                status = request("POST", "/api/v1" + path, body, token, fields={"X-Forwarded-For": address})[0]
                self.assertIn(status, (400, 401))
                [entry] = self.refused(f"address = '{address}/32'")
                self.assertEqual((entry["event"], entry["method"], entry["account"], entry["outcome"]), (event, method, "", "refused"))
        self.assertNotIn(typed, serverd.backend.dump())

    def test_password_asked_again(self):
        user = User()
        account = get("/users/me", user.token)["id"]
        post("/users/me/password", {"current_password": "wrong", "new_password": OTHER_PASSWORD}, user.token, want=403)
        request("DELETE", "/api/v1/users/me", {"password": "wrong"}, user.token, want=403)
        found = self.refused(f"account = '{account}'")
        self.assertEqual({e["event"] for e in found}, {"password.refused"})

    def test_scope(self):
        user = User()
        token = post("/api-tokens", {"name": "reader", "scopes": ["read"]}, user.token, want=201)[1]["token"]
        post("/silences", {"service": "x", "reason": "x"}, token, want=403)
        [entry] = self.refused(f"account = '{get('/users/me', user.token)['id']}'")
        self.assertEqual(entry["event"], "api-token.no-scope")

    def test_taken(self):
        user = User()
        request("POST", "/api/v1/users/register", {"email": user.email, "password": PASSWORD}, fields={"X-Forwarded-For": "192.0.2.50"}, want=202)
        self.assertEqual(self.refused("address = '192.0.2.50/32'")[0]["event"], "account.refused")

    def test_a_flood_leaves_few_rows(self):
        before, typed = newest(), 600
        for n in range(typed):
            request("POST", "/api/v1/users/login-code", {"code": "made up"}, fields={"X-Forwarded-For": f"2001:db8:{n:x}::1"}, i=n % 2, want=401)
        # One network knocks as often as it is let.
        for n in range(60):
            request("POST", "/api/v1/users/login-code", {"code": "made up"}, fields={"X-Forwarded-For": "192.0.2.60"})
        # What is still only counted is written when they stop.
        for i in (0, 1):
            serverd.backend.servers[i].terminate()
            self.assertEqual(serverd.backend.servers[i].wait(20), 0)
            serverd.backend.start_server(i)
        found = [e for e in rows(f"id > {before}") if e["method"] == "login code"]
        self.assertEqual(sum(int(e["count"]) for e in found), typed + 60)
        # Of 600 networks: 64 places in each instance a minute, and one row for all others.
        self.assertLess(len(found), 2 * 2 * 70)
        self.assertIn("several", {e["address"] for e in found})
        # Who acts is recorded all the same.
        user = User()
        self.assertEqual(len(get("/audit", user.token)), 2)


class Routes(unittest.TestCase):
    def test_every_act_has_an_event(self):
        """Of all routes that change something. The tests above have asked each of them."""
        self.assertEqual({name for _, _, name in operations()} - seen.keys(), set(EXEMPT))

    def test_nothing_secret_is_in_it(self):
        dump = "\n".join(line for line in serverd.backend.dump().splitlines() if "INTO public.audit_log" in line)
        self.assertGreater(dump.count("\n"), 100)
        serverd.backend.log.flush()
        with open(serverd.backend.log.name, encoding="utf-8", errors="replace") as f:
            log = f.read()
        self.assertIn("Audit: api-token.made (done) by usr-", log)
        for secret in serverd.secrets | {PASSWORD, OTHER_PASSWORD, "a-secret-path", "secret-endpoint", "a wrong guess"}:
            if isinstance(secret, str):
                self.assertNotIn(secret, dump)
                self.assertNotIn(secret, log)

    def test_old_entries_go(self):
        sql("INSERT INTO users (public_id, email, password_hash, confirmed, created_at)"
            " VALUES ('usr-forgotten', 'forgotten@example.org', 'x', false, now() - interval '8 days')")
        sql("INSERT INTO audit_log (event, address, at) VALUES ('ancient', '::1', now() - interval '366 days'),"
            " ('old', '::1', now() - interval '364 days')")
        serverd.backend.servers[0].terminate()
        serverd.backend.servers[0].wait(20)
        serverd.backend.start_server(0)
        wait_until(lambda: not rows("event = 'ancient'"))
        self.assertEqual(len(rows("event = 'old'")), 1)
        # So do accounts that nobody has confirmed, but not unnoticed.
        wait_until(lambda: rows("event = 'account.expired'"))
        self.assertEqual([e["account"] for e in rows("event = 'account.expired'")], ["usr-forgotten"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ssi-test-audit-") as folder:
        mails = MailSink(folder, "ssi", "password")
        os.environ.update(SSI_PUBLIC_URL="https://ssi.example.org", SSI_SMTP_URL=f"smtp://ssi:password@localhost:{mails.port}",
                          SSI_SMTP_CA=mails.ca, SSI_SMTP_FROM="SSI <ssi@example.org>", SSI_ALLOW_PRIVATE_TARGETS="yes",
                          SSI_SIGN_UP="open")
        try:
            serverd.main()
        finally:
            mails.stop()
