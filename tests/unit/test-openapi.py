#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Walks the OpenAPI document against the live server: valid input, each field missing, of the wrong type, huge or hostile;
and every route without a token, with a bad one, with somebody else's and with too small a scope.

Usage: test-openapi.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import base64
import http.client
import json
import os
import subprocess
import time
import unittest
import urllib.parse

import jsonschema
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

import serverd
from serverd import PASSWORD, User, post, request, update

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/ssi-serverd/api/openapi.json")
HOSTILE = ["' OR 1=1 --", "\"; DROP TABLE users; --", "{read}", "\\x00", "%s%n", "../../etc/passwd", "\u202e\ufeff", "<script>",
           "💥" * 10, "null", "x" * 5000]
WRONG = {"string": [5, True, [], {}, None], "integer": ["1", 1.5, [], -1, 10 ** 30], "array": ["x", 5, {}, [[]], [None]],
         "boolean": ["true", 1, [], {}]}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def expired(token):
    """The same token, signed by the instance's own key, but for yesterday."""
    with open(serverd.backend.dir + "/keys0/access-token.pem", "rb") as f:
        key = serialization.load_pem_private_key(f.read(), None)
    head, body, _ = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["exp"] = int(time.time()) - 1
    signed = head + "." + b64(json.dumps(claims).encode())
    r, s = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return signed + "." + b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def administer(user):
    serverd.sql(f"UPDATE users SET administrator = true WHERE email = '{user.email}'")


class Operation:
    def __init__(self, document, path, method, spec):
        def resolve(x):
            while "$ref" in x:
                x = x["$ref"].removeprefix("#/").split("/")
                x = document[x[0]][x[1]][x[2]]
            return x

        self.path, self.method, self.access, self.spec = path, method.upper(), spec["x-access"], spec
        parameters = [resolve(p) for p in spec.get("parameters", [])]
        self.in_path = [p["name"] for p in parameters if p["in"] == "path"]
        self.query = [p for p in parameters if p["in"] == "query"]
        self.body = None
        if "requestBody" in spec:
            self.body = resolve(spec["requestBody"]["content"]["application/json"]["schema"])
        self.responses = {int(k): resolve(v) for k, v in spec["responses"].items()}
        self.good = min(self.responses)
        # What has to be sent and what it does is another test's subject; who may is looked at here all the same.
        self.elsewhere = "x-tested-by" in spec

    def __str__(self):
        return self.method + " " + self.path


class Walk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        status, cls.document, _ = request("GET", "/api/v1/openapi.json")
        assert status == 200
        cls.operations = [Operation(cls.document, path, method, spec) for path, item in cls.document["paths"].items()
                          for method, spec in item.items()]
        cls.walked = [op for op in cls.operations if not op.elsewhere]
        cls.user, cls.other, cls.subject = User(), User(), User()
        administer(cls.user)
        cls.agent = cls.user.server()

        async def report():
            async with cls.agent.connect() as ws:
                await cls.agent.start(ws)
                await ws.send(update("disk", "WARNING", "text", cursor="1", duration_ms=5))
                await ws.recv()

        asyncio.run(report())
        cls.page = request("PUT", f"/api/v1/servers/{cls.agent.server}/public-page", {}, cls.user.token, want=200)[1]["page"]
        cls.announcement = post("/admin/announcements", {"text": "x"}, cls.user.token, want=201)[1]["id"]
        cls.invitation = post("/invitations", {}, cls.user.token, want=201)[1]["id"]
        cls.tokens = {scope: post("/api-tokens", {"name": scope, "scopes": [scope]}, cls.user.token, want=201)[1]
                      for scope in ("read", "write", "servers:register")}

    def url(self, op, **values):
        known = {"account_id": self.subject.id(), "announcement_id": self.announcement, "server_id": self.agent.server, "name": "disk",
                 "session_id": "ses-unknown", "id": "unknown", "team_id": "team-unknown", "user_id": "usr-unknown",
                 "token_id": self.tokens["read"]["id"], "invitation_id": self.invitation, "token": self.page.split("/")[-1]}
        known.update(values)
        return op.path.format(**{k: urllib.parse.quote(v, safe="") for k, v in known.items()})

    def check(self, op, answer):
        """That the answer is one that the document knows."""
        status, body, headers = answer
        self.assertIn(status, op.responses, (str(op), body))
        for kind, content in op.responses[status].get("content", {}).items():
            self.assertEqual(headers["Content-Type"].split(";")[0], kind, str(op))
            if kind.endswith("json"):
                schema = dict(content["schema"], components=self.document["components"])
                jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(body)
        return status

    def valid_body(self, op):
        values = {"email": "walk@example.org", "password": PASSWORD, "refresh_token": "unknown", "claim_token": "unknown",
                  "current_password": PASSWORD, "new_password": PASSWORD, "name": "walked", "server_name": "walked",
                  "labels": ["a"], "scopes": ["read"], "expires_in": 60, "text": "walked", "code": "unknown", "withdraw_tokens": False}
        if op.elsewhere:
            return {} if op.method != "GET" else None
        # What is optional and valid only once is left out.
        return {k: values[k] for k in op.body["properties"] if k not in ("invitation", "setup_code", "team")} if op.body else {} if op.method in ("POST", "PUT") else None

    def test_routes(self):
        listed = subprocess.run([*serverd.backend.command, "--list-routes"], check=True, capture_output=True, text=True).stdout
        routes = {(m, "/".join("{%s}" % s[1:] if s.startswith(":") else s for s in p.split("/")), a, r)
                  for m, p, a, r in map(str.split, listed.splitlines())}
        self.assertEqual(routes, {(op.method, op.path, op.access, op.spec.get("x-ssi-role", "-")) for op in self.operations})
        with open(SOURCE) as f:
            self.assertEqual(json.load(f), self.document)

    def test_valid(self):
        user, subject = User(), User()
        administer(user)
        agent = user.server("walked")
        refresh = user.login()["refresh_token"]
        claim = post("/agents/register", {"server_name": "x"}, user.token, want=201)[1]["claim_token"]
        token = post("/api-tokens", {"name": "x", "scopes": ["read"]}, user.token, want=201)[1]["id"]
        invitation = post("/invitations", {}, user.token, want=201)[1]["id"]
        code = post("/users/login-codes", {}, user.login()["access_token"], want=201)[1]["code"]
        bodies = {"/api/v1/users/refresh": {"refresh_token": refresh}, "/api/v1/agents/claim": {"claim_token": claim},
                  "/api/v1/users/login-code": {"code": code},
                  "/api/v1/users/login": {"email": user.email, "password": PASSWORD},
                  "/api/v1/users/register": {"email": "new-" + user.email, "password": PASSWORD}}

        async def report():
            async with agent.connect() as ws:
                await agent.start(ws)
                await ws.send(update("disk", cursor="1"))
                await ws.recv()

        asyncio.run(report())
        page = request("PUT", f"/api/v1/servers/{agent.server}/public-page", {}, user.token, want=200)[1]["page"]
        ids = {"account_id": subject.id(), "server_id": agent.server, "token_id": token, "invitation_id": invitation, "token": page.split("/")[-1]}
        # What removes comes last, and what it is in after it.
        order = sorted(self.walked, key=lambda op: (op.method == "DELETE", -len(op.path) if op.method == "DELETE" else 0,
                                                        op.path == "/api/v1/users/me"))
        order.sort(key=lambda op: op.method == "DELETE" and op.path in ("/api/v1/sessions", "/api/v1/users/me"))
        for op in order:
            if str(op) == "GET /api/v1/stream":
                continue
            if op.path == "/api/v1/users/me" and op.method == "DELETE":
                user.token = user.login()["access_token"]
            if op.path.endswith("/announcements"):  # there are only so many
                serverd.sql("DELETE FROM announcements")
            if "announcement_id" in op.in_path:
                ids["announcement_id"] = post("/admin/announcements", {"text": "y"}, user.token, want=201)[1]["id"]
            if "invitation_id" in op.in_path:
                ids["invitation_id"] = post("/invitations", {}, user.token, want=201)[1]["id"]
            if "session_id" in op.in_path:
                user.login()
                ids["session_id"] = next(s["id"] for s in serverd.get("/sessions", user.token) if not s["current"])
            answer = request(op.method, self.url(op, **ids), bodies.get(op.path, self.valid_body(op)), user.token)
            self.assertEqual(self.check(op, answer), op.good, (str(op), answer[1]))

    def test_bodies(self):
        for op in filter(lambda op: op.body, self.walked):
            good = self.valid_body(op)
            url = self.url(op, server_id="srv-unknown")
            for name in op.body["required"]:
                body = dict(good)
                del body[name]
                self.assertEqual(self.check(op, request(op.method, url, body, self.user.token)), 400, (str(op), name))
            for name, schema in op.body["properties"].items():
                wrong = [w for w in WRONG[schema["type"]] if w is not None or name in op.body["required"]]
                if "maxLength" in schema:
                    wrong.append("x" * (schema["maxLength"] + 1))
                if schema.get("minLength"):
                    wrong.append("x" * (schema["minLength"] - 1))
                for value in wrong:
                    answer = request(op.method, url, dict(good, **{name: value}), self.user.token)
                    self.assertEqual(self.check(op, answer), 400, (str(op), name, value))
                if schema["type"] == "string" and "password" not in op.body["properties"] and "password" not in name:
                    for value in HOSTILE:
                        self.assertLess(self.check(op, request(op.method, url, dict(good, **{name: value}), self.user.token)),
                                        500, (str(op), name, value))

    def raw(self, op, data, **fields):
        c = http.client.HTTPConnection("127.0.0.1", serverd.backend.ports[0], timeout=30)
        headers = {"Authorization": "Bearer " + self.user.token, "Content-Type": "application/json", **fields}
        c.request(op.method, self.url(op, server_id="srv-unknown"), data, headers,
                  encode_chunked="Transfer-Encoding" in fields)
        r = c.getresponse()
        answer = r.status, json.loads(r.read()), r.headers
        c.close()
        return self.check(op, answer)

    def test_broken_bodies(self):
        for op in filter(lambda op: op.body, self.walked):
            for data in (b"", b"[]", b"null", b"{", b"{}x", b'{"a":' * 100, b'"\xff"', b'{"email":"\xff@b"}', b"\0" * 10):
                self.assertEqual(self.raw(op, data), 400, (str(op), data))
            self.assertEqual(self.raw(op, b"{}", **{"Content-Type": "text/plain"}), 415, str(op))
            self.assertEqual(self.raw(op, b" " * 70000), 413, str(op))
            self.assertEqual(self.raw(op, iter([b"{}"]), **{"Transfer-Encoding": "chunked"}), 411, str(op))

    def test_paths_and_queries(self):
        for op in self.walked:
            if op.path == "/api/v1/stream":
                continue
            body = self.valid_body(op)
            for name in op.in_path:
                for value in HOSTILE[:-1] + ["x" * 2000]:
                    status, answer, headers = request(op.method, self.url(op, **{name: value}), body, self.user.token)
                    self.assertIn(status, (400, 404), (str(op), name, value, answer))
            for p in op.query:
                for value in HOSTILE[:-1] + ["", "-1", "x" * 2000, "9" * 30]:
                    url = self.url(op) + f"?{p['name']}=" + urllib.parse.quote(value, safe="")
                    answer = request(op.method, url, body, self.user.token)
                    wanted = (200, 400) if p["name"] in ("q", "label", "event", "account") else (400,)
                    self.assertIn(self.check(op, answer), wanted, (str(op), p["name"], value))

    def test_who_may(self):
        late = expired(self.user.token)
        garbled = self.user.token[:-8] + "AAAAAAAA"
        tokens = serverd.get("/api-tokens", self.user.token)
        for op in self.operations:
            if op.access == "open" or op.path == "/api/v1/stream":
                continue
            body = self.valid_body(op)
            for token in (None, "", late, garbled, "ssi_api_" + "x" * 43, "Bearer"):
                self.assertEqual(self.check(op, request(op.method, self.url(op), body, token)), 401, (str(op), token))
            allowed = {"account": (), "recent": (), "read": ("read",), "write": ("write",), "servers:register": ("servers:register", "write"),
                       "administrator": (), "recent-administrator": ()}
            for scope, token in self.tokens.items():
                if scope not in allowed[op.access]:
                    answer = request(op.method, self.url(op), body, token["token"])
                    self.assertEqual((self.check(op, answer), answer[1]["type"]),
                                     (403, "urn:ssi:problem:" + ("insufficient-scope" if allowed[op.access] else "session-required")),
                                     (str(op), scope))
            if op.access.endswith("administrator"):
                answer = request(op.method, self.url(op), body, self.other.token)
                self.assertEqual((self.check(op, answer), answer[1]["type"]), (403, "urn:ssi:problem:administrator-required"), str(op))
            elif op.in_path and not op.elsewhere:
                mine = request(op.method, self.url(op, server_id="srv-unknown", token_id="tok-unknown",
                                                            invitation_id="inv-unknown"), body, self.other.token)
                theirs = request(op.method, self.url(op), body, self.other.token)
                self.assertEqual(self.check(op, theirs), 404, str(op))
                # Word for word what is said of something that does not exist.
                self.assertEqual(theirs[1], mine[1], str(op))
        # All of it is still there.
        self.assertEqual(serverd.get(f"/servers/{self.agent.server}", self.user.token)["services"], 1)
        self.assertEqual(len(serverd.get("/api-tokens", self.user.token)), len(tokens))


if __name__ == "__main__":
    os.environ["SSI_SIGN_UP"] = "open"
    serverd.main()
