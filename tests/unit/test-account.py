#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What users change in their own account: the address, how times are shown; and all of their data.

Usage: test-account.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import json
import os
import re
import socket
import tempfile
import time
import unittest

import serverd
from serverd import PASSWORD, User, get, post, request, sql, update, wait_until
from sinks import MailSink

OTHER_PASSWORD = "battery staple"

mails = None


def memory():
    """What the first instance has, in bytes."""
    with open(f"/proc/{serverd.backend.servers[0].pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def problem(answer):
    return answer[1]["type"].removeprefix("urn:ssi:problem:")


def texts(address):
    return [mail.get_body(("plain",)).get_content() for mail in mails.to(address)]


def mailed(address, page, n=1):
    """The token of the n-th link to this page that was mailed to this address."""
    def found():
        return re.findall(rf"https://ssi\.example\.org/{page}#token=(\S+)", "".join(texts(address)))

    wait_until(lambda: len(found()) >= n)
    token = found()[n - 1]
    serverd.secrets.add(token)
    return token


def delete(path, token, want):
    return request("DELETE", "/api/v1" + path, token=token, want=want)


def login(email, password=PASSWORD, want=200):
    return post("/users/login", {"email": email, "password": password}, want=want)[1]


def change(user, email, want=202):
    return post("/account/email", {"email": email}, user.token, want=want)


def confirm(token, want=204):
    return post("/account/email/confirm", {"token": token}, want=want)


def reset(token, want=200):
    return post("/users/password-reset/confirm", {"token": token, "password": OTHER_PASSWORD}, want=want)


def moved(user, email):
    change(user, email)
    confirm(mailed(email, "confirm-address"))


class Address(unittest.TestCase):
    def setUp(self):
        self.user = User()
        self.old, self.new = self.user.email, "new-" + self.user.email

    def pending(self):
        return get("/account", self.user.token)["email_change"]

    def address(self):
        return get("/account", self.user.token)["email"]

    def test_confirmed(self):
        account = get("/account", self.user.token)
        self.assertEqual((account["email"], account["email_change"], account["id"]),
                         (self.old, None, get("/users/me", self.user.token)["id"]))
        change(self.user, self.new)
        self.assertEqual((self.address(), self.pending()["email"]), (self.old, self.new))
        token = mailed(self.new, "confirm-address")
        self.assertIn(f"address of your account to {self.new}.", texts(self.old)[-1])
        # Who reads the mail at the new address does not learn which account it is.
        self.assertNotIn(self.old, texts(self.new)[-1])
        stream = serverd.Stream(self.user.token, 1)
        confirm(token)
        stream.wait("sessions")
        self.assertEqual((self.address(), self.pending()), (self.new, None))
        self.assertEqual(problem(confirm(token, 400)), "bad-mail-token")
        login(self.old, want=401)
        login(self.new)
        wait_until(lambda: f"The address of your account is {self.new} now." in texts(self.old)[-1])
        # A mail channel to it needs no confirmation of its own.
        made = post("/notifications/channels", {"type": "email", "name": "mail", "config": {"address": self.new}}, self.user.token, want=201)[1]
        self.assertTrue(made["verified"])

    def test_a_recent_proof(self):
        sql("UPDATE login_sessions SET authenticated_at = now() - interval '11 minutes'")
        self.assertEqual(problem(change(self.user, self.new, 403)), "reauthentication-required")
        post("/users/me/reauthenticate", {"password": PASSWORD}, self.user.token, want=204)
        change(self.user, self.new)

    def test_what_is_no_address(self):
        for email in ("", "x", "ü@example.org", "a@b\n", 5, None, "x" * 255):
            self.assertEqual(problem(change(self.user, email, 400)), "invalid-request")
        for email in (self.old, self.old.upper()):
            self.assertIn("already", change(self.user, email, 400)[1]["detail"])
        self.assertEqual(sql("SELECT count(*) FROM email_changes WHERE email LIKE '%" + self.old + "'"), "0")

    def test_given_up(self):
        change(self.user, self.new)
        token = mailed(self.new, "confirm-address")
        delete("/account/email", self.user.token, 204)
        self.assertIsNone(self.pending())
        delete("/account/email", self.user.token, 404)
        confirm(token, 400)
        self.assertEqual(self.address(), self.old)

    def test_the_last_one_counts(self):
        change(self.user, self.new)
        first = mailed(self.new, "confirm-address")
        other = "other-" + self.old
        change(self.user, other)
        confirm(first, 400)
        confirm(mailed(other, "confirm-address"))
        self.assertEqual(self.address(), other)

    def test_expiry(self):
        change(self.user, self.new)
        token = mailed(self.new, "confirm-address")
        sql("UPDATE email_tokens SET expires_at = now() - interval '1 s' WHERE purpose = 'change'")
        confirm(token, 400)
        sql("UPDATE email_changes SET expires_at = now() - interval '1 s'")
        self.assertIsNone(self.pending())
        self.assertEqual(self.address(), self.old)

    def test_nothing_tells_of_an_account(self):
        """An address that has an account and one that has none: the same answers, to who asks."""
        other = User()
        taken = change(self.user, other.email)
        wait_until(lambda: any("it has one already" in text for text in texts(other.email)))
        self.assertEqual(self.pending()["email"], other.email)
        free = change(self.user, self.new)
        mailed(self.new, "confirm-address")
        self.assertEqual(taken[:2], free[:2])
        self.assertNotIn("confirm-address", "".join(texts(other.email)))
        self.assertEqual(self.pending()["email"], self.new)

    def test_taken_in_the_meantime(self):
        change(self.user, self.new)
        token = mailed(self.new, "confirm-address")
        post("/users/register", {"email": self.new.upper(), "password": PASSWORD}, want=202)
        sql(f"UPDATE users SET confirmed = true WHERE email = '{self.new.upper()}'")
        self.assertEqual(problem(confirm(token, 409)), "email-taken")
        self.assertEqual(self.address(), self.old)

    def test_an_account_that_nobody_confirmed_gives_way(self):
        post("/users/register", {"email": self.new, "password": OTHER_PASSWORD}, want=202)
        moved(self.user, self.new)
        login(self.new)

    def test_mails_are_limited(self):
        codes = [change(self.user, f"{n}-{self.old}", None)[0] for n in range(6)]
        self.assertEqual(codes, [202] * 5 + [429])
        users = [User() for _ in range(4)]
        codes = [change(user, self.new, None)[0] for user in users]
        self.assertEqual(codes, [202] * 3 + [429])

    def test_guesses_are_limited(self):
        fields = {"X-Forwarded-For": "198.51.100.91"}
        codes = [request("POST", "/api/v1/account/email/confirm", {"token": f"guess {n}"}, fields=fields)[0] for n in range(51)]
        self.assertEqual((codes[0], codes[-1]), (400, 429))

    # ---- The old address ----

    def test_undone(self):
        moved(self.user, self.new)
        token = post("/api-tokens", {"name": "kept by a thief", "scopes": ["read"]}, self.user.token, want=201)[1]["token"]
        done = reset(mailed(self.old, "reset-password"))[1]
        self.assertEqual(done["withdrawn"], {"api_tokens": 1})
        get("/users/me", self.user.token, 401)
        get("/users/me", token, 401)
        login(self.new, want=401)
        session = login(self.old, OTHER_PASSWORD)["access_token"]
        self.assertEqual(get("/account", session)["email"], self.old)
        # Both mails had a link, and each works once.
        self.assertEqual(problem(reset(mailed(self.old, "reset-password", 2), 400)), "bad-mail-token")
        self.assertEqual([e["name"] for e in get("/audit?event=password.reset", session)], [self.old])

    def test_stopped_before_it_is_confirmed(self):
        change(self.user, self.new)
        token = mailed(self.new, "confirm-address")
        reset(mailed(self.old, "reset-password"))
        confirm(token, 400)
        self.assertIsNone(get("/account", login(self.old, OTHER_PASSWORD)["access_token"])["email_change"])

    def test_whoever_moved_the_account_cannot_keep_it(self):
        """A new password, its reset, further changes and an account at the old address leave the owner's link as it is."""
        moved(self.user, self.new)
        post("/users/me/password", {"current_password": PASSWORD, "new_password": OTHER_PASSWORD, "withdraw_tokens": True},
             self.user.token, want=204)
        post("/users/password-reset", {"email": self.new}, want=202)
        reset(mailed(self.new, "reset-password"))
        self.user.token = login(self.new, OTHER_PASSWORD)["access_token"]
        further = "further-" + self.old
        moved(self.user, further)
        post("/users/register", {"email": self.old, "password": PASSWORD}, want=202)
        reset(mailed(self.old, "reset-password"))
        session = login(self.old, OTHER_PASSWORD)["access_token"]
        self.assertEqual(get("/account", session)["email"], self.old)
        # Nor does a link to one of theirs bring it back to them.
        reset(mailed(self.new, "reset-password", 2), 400)

    def test_an_account_that_was_confirmed_at_the_old_address(self):
        moved(self.user, self.new)
        token = mailed(self.old, "reset-password")
        post("/users/register", {"email": self.old, "password": PASSWORD}, want=202)
        post("/users/verify-email", {"token": mailed(self.old, "verify-email", 2)}, want=204)
        self.assertEqual(problem(reset(token, 409)), "email-taken")
        self.assertEqual(self.address(), self.new)

    def test_links_of_the_old_address_end(self):
        post("/users/password-reset", {"email": self.old}, want=202)
        token = mailed(self.old, "reset-password")
        moved(self.user, self.new)
        reset(token, 400)
        get("/users/me", self.user.token)

    def test_a_new_password_stops_it(self):
        change(self.user, self.new)
        token = mailed(self.new, "confirm-address")
        post("/users/me/password", {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}, self.user.token, want=204)
        self.assertIsNone(self.pending())
        confirm(token, 400)

    def test_without_mail(self):
        backend = serverd.backend
        backend.stop_server(1)
        url = os.environ.pop("SSI_SMTP_URL")
        try:
            backend.start_server(1)
            answer = post("/account/email", {"email": self.new}, self.user.token, want=409, i=1)
            self.assertEqual(problem(answer), "mail-not-configured")
            self.assertIn("ssictl server set-email", answer[1]["detail"])
        finally:
            os.environ["SSI_SMTP_URL"] = url
            backend.stop_server(1)
            backend.start_server(1)


class Export(unittest.TestCase):
    def export(self, user, want=200):
        return request("GET", "/api/v1/account/export", token=user.token, want=want)

    def again(self):
        sql("UPDATE users SET exported_at = exported_at - interval '5 minutes'")

    def test_all_of_it(self):
        user, other = User(), User()
        agent, theirs = user.server("mine"), other.server("theirs")

        async def report(agent, *names):
            async with agent.connect() as ws:
                await agent.start(ws)
                for n, name in enumerate(names):
                    await ws.send(update(name, "WARNING", "text", cursor=str(n + 1)))
                    await ws.recv()

        asyncio.run(report(agent, "disk", "load"))
        asyncio.run(report(theirs, "not-mine"))
        post(f"/servers/{agent.server}/services/disk/acknowledgement", {"reason": "known"}, user.token, want=200)
        post("/silences", {"server_id": agent.server, "reason": "work"}, user.token, want=201)
        post("/notifications/channels", {"type": "webhook", "name": "hook", "config": {"url": "https://example.org/a-secret-path"}}, user.token, want=201)
        post("/api-tokens", {"name": "ci", "scopes": ["read"]}, user.token, want=201)
        post("/invitations", {}, user.token, want=201)
        old = user.login()
        post("/users/logout", {"refresh_token": old["refresh_token"]}, want=204)

        data = self.export(user)[1]
        self.assertEqual((data["format"], data["complete"], data["account"]["email"]), (1, True, user.email))
        self.assertEqual({key: len(data[key]) for key in data if isinstance(data[key], list)} | {"audit": 0},
                         {"sessions": 2, "api_tokens": 1, "invitations": 1, "servers": 1, "services": 2, "acknowledgements": 1, "silences": 1,
                          "channels": 1, "browsers": 0, "audit": 0})
        self.assertEqual([s["ended_at"] is None for s in data["sessions"]], [True, False])
        self.assertEqual([(s["server_id"], s["service"]["name"]) for s in data["services"]], [(agent.server, "disk"), (agent.server, "load")])
        self.assertEqual([e["event"] for e in data["audit"]][-1], "account.exported")
        text = json.dumps(data)
        for secret in ("a-secret-path", "theirs", "not-mine", other.email, *serverd.secrets):
            self.assertNotIn(str(secret), text)
        for secret in sql("SELECT password_hash FROM users UNION SELECT token_hash::text FROM refresh_tokens").split():
            self.assertNotIn(secret, text)

    def test_who_may_and_how_often(self):
        user = User()
        self.export(user)
        limited = self.export(user, 429)
        self.assertEqual(limited[2]["Retry-After"], "300")
        self.again()
        self.export(user)
        sql("UPDATE login_sessions SET authenticated_at = now() - interval '11 minutes'")
        self.assertEqual(problem(self.export(user, 403)), "reauthentication-required")
        self.assertEqual(len([e for e in get("/audit", user.token) if e["event"] == "account.exported"]), 2)

    def test_more_than_a_page(self):
        """Every row once, where the pages are cut."""
        user = User()
        account = get("/users/me", user.token)["id"]
        server = user.server().server
        sql(f"INSERT INTO silences (public_id, user_id, reason, ends_at) SELECT 'sil-' || u.id || '-' || n, u.id, 'r', 'infinity'"
            f" FROM users u, generate_series(1, 200) n WHERE u.public_id = '{account}'")
        sql(f"INSERT INTO services (server_id, name) SELECT s.id, 'check-' || n FROM servers s, generate_series(1, 250) n WHERE s.public_id = '{server}'")
        sql(f"INSERT INTO audit_log (event, account, address) SELECT 'made-up', '{account}', '::1' FROM generate_series(1, 999)")
        data = self.export(user)[1]
        self.assertEqual([len({s["id"] for s in data["silences"]}), len(data["silences"])], [200, 200])
        self.assertEqual([len({s["service"]["name"] for s in data["services"]}), len(data["services"])], [250, 250])
        self.assertEqual(len([e for e in data["audit"] if e["event"] == "made-up"]), 999)

    def test_a_reader_who_does_not_read(self):
        """It costs the backend a page, not the whole."""
        user = User()
        account = get("/users/me", user.token)["id"]
        sql(f"INSERT INTO audit_log (event, account, address, name) SELECT 'made-up', '{account}', '::1', repeat('x', 2000) FROM generate_series(1, 20000)")
        before = memory()
        s = socket.create_connection(("127.0.0.1", serverd.backend.ports[0]))
        s.sendall(f"GET /api/v1/account/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\n\r\n".encode())
        wait_until(lambda: sql(f"SELECT count(*) FROM audit_log WHERE account = '{account}' AND event = 'account.exported'") == "1")
        time.sleep(2)
        grown = memory() - before
        got = b""
        while chunk := s.recv(1 << 20):
            got += chunk
        s.close()
        self.assertTrue(got.endswith(b'"complete": true}\n\r\n0\r\n\r\n'), got[-80:])
        self.assertGreater(len(got), 40_000_000)
        self.assertLess(grown, 20_000_000)

    def test_a_reader_who_goes_away(self):
        user = User()
        account = get("/users/me", user.token)["id"]
        sql(f"INSERT INTO audit_log (event, account, address, name) SELECT 'made-up', '{account}', '::1', repeat('x', 2000) FROM generate_series(1, 20000)")
        with socket.create_connection(("127.0.0.1", serverd.backend.ports[0])) as s:
            s.sendall(f"GET /api/v1/account/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\n\r\n".encode())
            s.recv(1000)
        get("/users/me", user.token)


class Times(unittest.TestCase):
    def setUp(self):
        self.user, self.messages = User(), 0

    def change(self, body, want=200):
        return request("PATCH", "/api/v1/account", body, self.user.token, want=want)[1]

    def test_settings(self):
        def times(account):
            return account["time_zone"], account["language"], account["clock"]

        self.assertEqual(times(get("/account", self.user.token)), (None, "en", 24))
        for zone in ("Europe/Athens", "America/Port-au-Prince", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "UTC"):
            self.assertEqual(times(self.change({"time_zone": zone})), (zone, "en", 24))
        self.assertEqual(times(self.change({"language": "en-GB", "clock": 12})), ("UTC", "en-GB", 12))
        stream = serverd.Stream(self.user.token, 1)
        self.assertEqual(times(self.change({"time_zone": None})), (None, "en-GB", 12))
        stream.wait("sessions")
        self.assertEqual(times(self.change({})), (None, "en-GB", 12))
        for body in ({"time_zone": "Europe/Nowhere"}, {"time_zone": "Nowhere5"}, {"time_zone": "Europe/Nowhere5"}, {"time_zone": ""},
                     {"time_zone": "EST5EDT"}, {"time_zone": 5}, {"time_zone": "x/" * 50}, {"time_zone": "Europe/../Athens"},
                     {"language": "de"}, {"language": ""}, {"language": None}, {"clock": 13}, {"clock": "12"}, {"clock": None}):
            self.assertEqual(self.change(body, 400)["type"], "urn:ssi:problem:invalid-request", body)
        self.assertEqual(times(get("/account", self.user.token)), (None, "en-GB", 12))

    def told(self, settings):
        """The time in the mail of a change at noon in UTC."""
        self.change(settings)
        account = get("/account", self.user.token)["id"]
        sql("INSERT INTO notification_outbox (public_id, queue, user_id, channel_id, payload)"
            " SELECT notification_id(), 'test ' || u.id, u.id, c.id, jsonb_build_object('kind', 'status', 'old', 'OK', 'new', 'FAILURE',"
            " 'server', 'web', 'service', 'disk', 'message', 'full', 'severity', 3, 'at', '2026-07-01T12:00:00Z')"
            f" FROM users u JOIN notification_channels c ON c.user_id = u.id WHERE u.public_id = '{account}'")
        # Nobody has told the notifier.
        request("PATCH", "/api/v1/notifications/settings", {"damping": 1}, self.user.token, want=200)
        self.messages += 1

        def found():
            return re.findall("Changed from OK to FAILURE at (.*)\\.\\s", "".join(texts(self.user.email)))

        wait_until(lambda: len(found()) == self.messages)
        return found()[-1]

    def test_messages(self):
        sql(f"INSERT INTO verified_emails (user_id, email) SELECT id, email FROM users WHERE email = '{self.user.email}'")
        post("/notifications/channels", {"type": "email", "name": "mail", "config": {"address": self.user.email}}, self.user.token, want=201)
        for settings, words in (({}, "2026-07-01T12:00:00Z"),
                                ({"time_zone": "Europe/Athens"}, "2026-07-01 15:00:00 (Europe/Athens)"),
                                ({"language": "en-GB", "clock": 12}, "01/07/2026 03:00:00 PM (Europe/Athens)"),
                                ({"language": "en-US", "clock": 24, "time_zone": "UTC"}, "07/01/2026 12:00:00 (UTC)")):
            self.assertEqual(self.told(settings), words)
        # A zone that is gone is no reason to say nothing.
        sql(f"UPDATE users SET time_zone = 'Europe/Atlantis' WHERE email = '{self.user.email}'")
        self.assertEqual(self.told({}), "2026-07-01T12:00:00Z")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ssi-test-account-") as folder:
        mails = MailSink(folder, "ssi", "password")
        os.environ.update(SSI_PUBLIC_URL="https://ssi.example.org", SSI_SMTP_URL=f"smtp://ssi:password@localhost:{mails.port}",
                          SSI_SMTP_CA=mails.ca, SSI_SMTP_FROM="SSI <ssi@example.org>", SSI_ALLOW_PRIVATE_TARGETS="yes",
                          SSI_SIGN_UP="open")
        try:
            serverd.main()
        finally:
            mails.stop()
