#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may make an account: before the setup, closed, by invitation, open; the setup code; invitations without mail. (With mail:
test-notifications.py.)

Usage: test-sign-up.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import concurrent.futures
import contextlib
import itertools
import os
import unittest

import serverd
from serverd import PASSWORD, User, get, post, request, sql, wait_until

CODE = "c0de-of-the-setup"
numbers = itertools.count(1)
addresses = itertools.count(1)


def keep(value):
    sql("DELETE FROM settings WHERE key = 'sign_up'")
    if value:
        sql(f"INSERT INTO settings VALUES ('sign_up', '{value}')")


def fresh():
    return f"new{next(numbers)}@example.org"


def register(email=None, fields=None, i=0, want=None, **more):
    """The status, and the type of the problem if there is one."""
    status, answer, _ = request("POST", "/api/v1/users/register",
                                {"email": email or fresh(), "password": PASSWORD, **more}, i=i, fields=fields)
    kind = answer["type"].rpartition(":")[2] if status >= 400 else None
    assert want in (None, status, (status, kind)), (status, answer)
    return status, kind


def features(fields=None, i=0):
    return request("GET", "/api/v1/features", fields=fields, want=200, i=i)[1]["sign_up"]


@contextlib.contextmanager
def configured(**settings):
    """The second instance, with other settings."""
    def restart():
        server = serverd.backend.servers[1]
        server.terminate()
        server.wait(20)
        serverd.backend.start_server(1)

    os.environ.update(settings)
    restart()
    try:
        yield
    finally:
        for name in settings:
            del os.environ[name]
        restart()


class Case(unittest.TestCase):
    kept = None

    def setUp(self):
        keep(None)
        self.user = User()
        keep(self.kept)

    def tearDown(self):
        keep(None)

    def invite(self, want=201, **body):
        return post("/invitations", body, self.user.token, want=want)[1]


def invited_user(case):
    user = User.__new__(User)
    user.email = fresh()
    register(user.email, invitation=case.invite()["token"], want=201)
    user.token = user.login()["access_token"]
    return user


FORWARDED = ({"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "127.0.0.1"}, {"X-Forwarded-Proto": "https"},
             {"x-forwarded-host": "ssi.example.org"}, {"Forwarded": "for=192.0.2.1"}, {"Via": "1.1 proxy"},
             {"X-Real-IP": "192.0.2.1"}, {"X-Forwarded-For": ""}, {"Forwarded": ""}, {"X-Forwarded-Port": "443"},
             {"X-Forwarded-Preferred-Username": "alice"}, {"X-Forwarded-TLS-Client-Cert": "x"}, {"CF-Connecting-IP": "192.0.2.1"},
             {"X-Envoy-External-Address": "192.0.2.1"}, {"True-Client-IP": "192.0.2.1"},
             # A proxy that says nothing, or something that nobody knows, but asks for its site; a page whose name leads here.
             {"Host": "ssi.example.org"}, {"Host": "localhost.example.org:8080"}, {"Host": "127.0.0.1.example.org"},
             {"Host": "ssi.example.org", "X-Forwarded-By-Moonlight": "1"}, {"Host": "192.0.2.1"}, {"Host": "[::2]"})
HERE = ({"Host": "localhost"}, {"Host": "LOCALHOST:8080"}, {"Host": "127.3.2.1:443"}, {"Host": "[::1]:8443"}, {"Host": "[::1]"})


class BeforeSetup(Case):
    def test_only_from_this_machine(self):
        register(want=201)
        self.assertEqual(features(), "open")
        for fields in FORWARDED:
            with self.subTest(fields):
                register(fields=fields, want=(403, "sign-up-closed"))
                # There is an account: nobody is asked for the setup.
                self.assertEqual(features(fields), "closed")
                # Log-ins through a proxy go on.
                request("POST", "/api/v1/users/login", {"email": self.user.email, "password": PASSWORD}, want=200,
                        fields=fields)

    def test_names_of_this_machine(self):
        for fields in HERE:
            with self.subTest(fields):
                register(fields=fields, want=201)
                self.assertEqual(features(fields), "open")

    def test_refused_before_anything_is_told(self):
        for email in (self.user.email, "not an address"):
            register(email, FORWARDED[0], want=(403, "sign-up-closed"))

    def test_accounts_may_not_invite(self):
        self.assertEqual(self.invite(want=403)["type"], "urn:ssi:problem:sign-up-closed")


class Closed(Case):
    kept = "closed"

    def test_nobody(self):
        register(want=(403, "sign-up-closed"))
        register(self.user.email, want=(403, "sign-up-closed"))
        register(i=1, want=(403, "sign-up-closed"))
        self.assertEqual(features(), "closed")
        self.invite(want=403)

    def test_the_configuration_decides(self):
        with configured(SSI_SIGN_UP="open"):
            register(fields=FORWARDED[0], i=1, want=201)
            self.assertEqual((features(i=1), features()), ("open", "closed"))
        keep("open")
        with configured(SSI_SIGN_UP="closed"):
            register(i=1, want=(403, "sign-up-closed"))
            register(fields=FORWARDED[0], want=201)

    def test_closed_while_the_password_is_hashed(self):
        """The mode is asked again by what makes the account."""
        for before, after, invitation in (("open", "closed", False), ("open", "invite", False), ("invite", "closed", True)):
            with self.subTest(before):
                keep(before)
                admission = {"invitation": self.invite()["token"]} if invitation else {}
                email = fresh()
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    sql("BEGIN")
                    # Reading goes on; what would make an account waits before it looks at anything.
                    sql("LOCK TABLE users IN SHARE MODE")
                    try:
                        answer = pool.submit(register, email, **admission)
                        wait_until(lambda: sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass") == "1")
                        keep(after)
                    finally:
                        sql("COMMIT")
                    self.assertEqual(answer.result(), (400, "bad-invitation") if invitation else (403, "sign-up-closed"))
                self.assertEqual(sql(f"SELECT count(*) FROM users WHERE email = '{email}'"), "0")

    def test_an_unknown_value_closes(self):
        keep("by-moonlight")
        register(want=(403, "sign-up-closed"))

    def test_an_accounts_invitation_waits_until_accounts_may_invite(self):
        keep("invite")
        token = self.invite()["token"]
        keep("closed")
        register(invitation=token, want=(403, "sign-up-closed"))
        keep("invite")
        register(invitation=token, want=201)

    def test_an_administrators_invitation_works(self):
        keep("invite")
        made = self.invite()
        sql(f"UPDATE invitations SET invited_by = NULL WHERE public_id = '{made['id']}'")
        keep("closed")
        register(invitation=made["token"], want=201)


class Invite(Case):
    kept = "invite"

    def test_needed(self):
        register(want=(403, "invitation-needed"))
        register(invitation="ssi_invite_unknown", want=(400, "bad-invitation"))
        self.assertEqual(features(), "invite")

    def test_used_once(self):
        made = self.invite()
        self.assertEqual(made["mailed"], False)
        email = fresh()
        register(email, invitation=made["token"], i=1, want=201)
        post("/users/login", {"email": email, "password": PASSWORD}, want=200)
        register(invitation=made["token"], want=(400, "bad-invitation"))
        self.assertIsNotNone(get("/invitations", self.user.token)[0]["used_at"])
        post("/users/login", {"email": email, "password": PASSWORD}, want=200)

    def test_used_once_by_many_at_once(self):
        token = self.invite()["token"]
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda i: register(invitation=token, i=i % 2)[0], range(6)))
        self.assertEqual(sorted(answers), [201] + 5 * [400])

    def test_expired(self):
        made = self.invite(expires_in=3600)
        sql(f"UPDATE invitations SET expires_at = now() - interval '1 s' WHERE public_id = '{made['id']}'")
        register(invitation=made["token"], want=(400, "bad-invitation"))

    def test_of_another_address(self):
        email = fresh()
        token = self.invite(email=email)["token"]
        register(invitation=token, want=(400, "bad-invitation"))
        register(email.upper(), invitation=token, want=201)

    def test_a_taken_address_leaves_it_valid(self):
        token = self.invite(email=self.user.email)["token"]
        register(self.user.email, invitation=token, want=(409, "email-taken"))
        token = self.invite()["token"]
        register(self.user.email, invitation=token, want=(409, "email-taken"))
        register(invitation=token, want=201)

    def test_withdrawn(self):
        made, other = self.invite(), invited_user(self)
        request("DELETE", f"/api/v1/invitations/{made['id']}", token=other.token, want=404)
        self.assertEqual(get("/invitations", other.token), [])
        request("DELETE", f"/api/v1/invitations/{made['id']}", token=self.user.token, want=204)
        request("DELETE", f"/api/v1/invitations/{made['id']}", token=self.user.token, want=404)
        register(invitation=made["token"], want=(400, "bad-invitation"))

    def test_the_token_is_not_kept(self):
        token = self.invite()["token"]
        self.assertNotIn(token, str(get("/invitations", self.user.token)) + serverd.backend.dump())

    def test_few_are_pending(self):
        made = [self.invite() for _ in range(20)]
        self.assertEqual(self.invite(want=409)["type"], "urn:ssi:problem:too-many-invitations")
        request("DELETE", f"/api/v1/invitations/{made[0]['id']}", token=self.user.token, want=204)
        self.invite()

    def test_what_is_asked_for(self):
        for body in ({"email": "nobody"}, {"email": 1}, {"expires_in": 0}, {"expires_in": 2592001}, {"expires_in": "1 d"}):
            with self.subTest(body):
                self.assertEqual(self.invite(want=400, **body)["type"], "urn:ssi:problem:invalid-request")
        for body in ({"invitation": 1}, {"invitation": ""}, {"setup_code": []}):
            with self.subTest(body):
                register(want=(400, "invalid-request"), **body)
        self.invite(email=None)

    def test_two_at_once_with_room_for_one(self):
        for _ in range(19):
            self.invite()
        key = sql(f"SELECT id FROM users WHERE email = '{self.user.email}'")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            sql(f"BEGIN; SELECT invitation_take_room({key}, 20)")
            try:
                answer = pool.submit(self.invite, None)
                wait_until(lambda: sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'") == "1")
                sql(f"INSERT INTO invitations (public_id, invited_by, expires_at) VALUES ('inv-first', {key}, now() + interval '1 h')")
            finally:
                sql("COMMIT")
            self.assertEqual(answer.result()["type"], "urn:ssi:problem:too-many-invitations")

    def test_not_with_an_api_token(self):
        token = post("/api-tokens", {"name": "t", "scopes": ["write"]}, self.user.token, want=201)[1]["token"]
        self.assertEqual(post("/invitations", {}, token, want=403)[1]["type"], "urn:ssi:problem:session-required")

    def test_a_new_password_withdraws_them(self):
        token = self.invite()["token"]
        post("/users/me/password", {"current_password": PASSWORD, "new_password": "another horse battery",
                                    "withdraw_tokens": True}, self.user.token, want=204)
        register(invitation=token, want=(400, "bad-invitation"))

    def test_guessing_is_limited(self):
        address = {"X-Forwarded-For": f"203.0.113.{next(addresses)}"}
        for _ in range(50):
            register(fields=address, invitation="ssi_invite_wrong", want=(400, "bad-invitation"))
        token = self.invite()["token"]
        register(fields=address, invitation=token, want=(429, "too-many-requests"))
        register(invitation=token, want=201)


class SetupCode(unittest.TestCase):
    def setUp(self):
        keep(None)
        sql("DELETE FROM users")

    def tearDown(self):
        keep(None)

    def test_makes_the_first_account(self):
        with configured(SSI_SETUP_CODE=CODE):
            # What comes over the loopback may come from a proxy beside the container.
            for fields in (None, FORWARDED[0]):
                register(i=1, fields=fields, want=(403, "sign-up-closed"))
                self.assertEqual(features(fields, i=1), "setup-code")
                register(i=1, fields=fields, setup_code=CODE + "r", want=(403, "bad-setup-code"))
            register(i=1, fields=FORWARDED[0], setup_code=CODE, want=201)
            self.assertEqual(features(i=1), "closed")
            register(i=1, setup_code=CODE, want=(403, "sign-up-closed"))
            register(i=1, want=(403, "sign-up-closed"))
        register(want=(403, "sign-up-closed"))

    def test_once(self):
        with configured(SSI_SETUP_CODE=CODE), concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: register(i=1, setup_code=CODE)[0], range(6)))
        self.assertEqual(sorted(answers), [201] + 5 * [403])
        self.assertEqual(sql("SELECT count(*) FROM users"), "1")

    def test_also_where_sign_up_is_closed(self):
        with configured(SSI_SETUP_CODE=CODE, SSI_SIGN_UP="closed"):
            self.assertEqual(features(i=1), "setup-code")
            register(i=1, setup_code=CODE, want=201)
            register(i=1, setup_code=CODE, want=(403, "sign-up-closed"))

    def test_not_where_there_are_accounts(self):
        User()
        with configured(SSI_SETUP_CODE=CODE):
            self.assertEqual(features(i=1), "closed")
            for more in ({}, {"setup_code": CODE}):
                self.assertNotIn("first account", str(register(i=1, want=(403, "sign-up-closed"), **more)))

    def test_guessing_is_limited(self):
        address = {"X-Forwarded-For": f"203.0.113.{next(addresses)}"}
        with configured(SSI_SETUP_CODE=CODE):
            for _ in range(50):
                register(i=1, fields=address, setup_code="wrong", want=(403, "bad-setup-code"))
            register(i=1, fields=address, setup_code=CODE, want=(429, "too-many-requests"))
            register(i=1, setup_code=CODE, want=201)
            network = address["X-Forwarded-For"] + "/32"
            wait_until(lambda: sql("SELECT count(*) FROM audit_log WHERE event = 'account.refused' AND method = 'setup code'"
                                   f" AND address = '{network}'") == "1")


class Upgrade(unittest.TestCase):
    """The migration, applied to a database that has accounts, and to one that has none."""

    def test_accounts_count_as_a_setup(self):
        with open(os.path.join(serverd.backend.migrations, "0011-sign-up.sql"), encoding="utf-8") as f:
            closes = next(s for s in f.read().split(";") if "INSERT INTO settings" in s)
        keep(None)
        sql("DELETE FROM users")
        sql(closes)
        self.assertEqual(sql("SELECT count(*) FROM settings WHERE key = 'sign_up'"), "0")
        User()
        sql(closes)
        register(want=(403, "sign-up-closed"))
        keep(None)


if __name__ == "__main__":
    serverd.main()
