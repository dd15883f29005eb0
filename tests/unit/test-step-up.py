#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What outlives a session, or makes another, needs a recent proof of who asks: docs/adr/0049.

Usage: test-step-up.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import unittest

import serverd
from serverd import PASSWORD, User, get, post, request, sql

# Each makes something that still works when the session has ended.
GUARDED = (("/api-tokens", {"name": "x", "scopes": ["read"]}), ("/users/login-codes", {}), ("/invitations", {}))


def problem(answer):
    return answer[1]["type"].removeprefix("urn:ssi:problem:")


def age(user, seconds):
    """As if the user had last authenticated so long ago."""
    sql(f"UPDATE login_sessions SET authenticated_at = authenticated_at - interval '{seconds} s' "
        f"WHERE user_id = (SELECT id FROM users WHERE email = '{user.email}')")


class StepUp(unittest.TestCase):
    def setUp(self):
        # Accounts may invite.
        sql("INSERT INTO settings VALUES ('sign_up', 'open') ON CONFLICT (key) DO UPDATE SET value = excluded.value")
        self.addCleanup(sql, "DELETE FROM settings WHERE key = 'sign_up'")

    def refused(self, token):
        for path, body in GUARDED:
            answer = post(path, body, token, want=403)
            self.assertEqual(problem(answer), "reauthentication-required", path)
            self.assertIn("/api/v1/users/me/reauthenticate", answer[1]["detail"])

    def allowed(self, token, i=0):
        for path, body in GUARDED:
            post(path, body, token, want=201, i=i)

    def confirm(self, token, password=PASSWORD, want=204):
        return post("/users/me/reauthenticate", {"password": password}, token, want=want)

    def test_old_session(self):
        user = User()
        self.allowed(user.token)
        age(user, 590)
        self.allowed(user.token)
        age(user, 20)
        self.refused(user.token)
        # All else goes on, and what only takes away needs no password.
        get("/users/me", user.token)
        tokens = get("/api-tokens", user.token)
        request("DELETE", "/api/v1/api-tokens/" + tokens[0]["id"], token=user.token, want=204)
        self.confirm(user.token)
        # Known to every instance.
        self.allowed(user.token, i=1)

    def test_refreshing_proves_nothing(self):
        user = User()
        age(user, 700)
        fresh = post("/users/refresh", {"refresh_token": user.tokens["refresh_token"]}, want=200)[1]
        self.refused(fresh["access_token"])

    def test_sessions_from_before(self):
        user = User()
        sql(f"UPDATE login_sessions SET authenticated_at = NULL WHERE user_id = (SELECT id FROM users WHERE email = '{user.email}')")
        self.refused(user.token)
        self.confirm(user.token)
        self.allowed(user.token)

    def test_each_session_for_itself(self):
        user = User()
        other = user.login()["access_token"]
        age(user, 700)
        self.confirm(other)
        self.allowed(other)
        self.refused(user.token)

    def test_a_code_is_no_password(self):
        user = User()
        code = post("/users/login-codes", {}, user.token, want=201)[1]["code"]
        second = post("/users/login-code", {"code": code}, want=200)[1]["access_token"]
        self.refused(second)
        self.confirm(second)
        self.allowed(second)

    def test_wrong_password(self):
        user = User()
        age(user, 700)
        self.assertEqual(problem(self.confirm(user.token, "not this one", 403)), "bad-credentials")
        self.refused(user.token)
        self.assertEqual(problem(post("/users/me/reauthenticate", {}, user.token, want=400)), "invalid-request")

    def test_guesses_are_log_ins(self):
        user = User()
        codes = {self.confirm(user.token, "not this one", None)[0] for _ in range(12)}
        self.assertEqual(codes, {403, 429})
        # They are counted in one place, so the account does not get twice as many guesses.
        self.assertEqual(problem(post("/users/login", {"email": user.email, "password": PASSWORD}, want=429)), "too-many-requests")

    def test_ended_session(self):
        user = User()
        post("/users/logout", {"refresh_token": user.tokens["refresh_token"]}, want=204)
        self.confirm(user.token, want=401)

    def test_api_tokens_cannot(self):
        user = User()
        token = post("/api-tokens", {"name": "x", "scopes": ["write"]}, user.token, want=201)[1]["token"]
        for path, body in (*GUARDED, ("/users/me/reauthenticate", {"password": PASSWORD})):
            answer = post(path, body, token, want=403)
            # Another scope would not help.
            self.assertEqual(problem(answer), "session-required", path)
            self.assertIn("log in", answer[1]["detail"])
            self.assertIsNone(answer[2]["WWW-Authenticate"])


if __name__ == "__main__":
    serverd.main()
