#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The headers of every kind of answer: pages and files, the API, errors, pictures, the event stream, refused requests, TLS.

Usage: test-headers.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import http.client
import os
import ssl
import subprocess
import unittest

import serverd
from ports import free_port
from serverd import User, post, request, wait_until

# In each answer, and what stands in it.
ALWAYS = {
    "Content-Security-Policy": ("default-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'", "object-src 'none'"),
    "X-Content-Type-Options": ("nosniff",),
    "Referrer-Policy": ("no-referrer",),
    "Cross-Origin-Opener-Policy": ("same-origin",),
    "Cross-Origin-Resource-Policy": ("same-origin",),
    "Permissions-Policy": ("camera=()", "geolocation=()", "microphone=()"),
}
# What nobody needs to know, and what we do not have.
NEVER = ("Server", "X-Powered-By", "Via", "Set-Cookie", "Access-Control-Allow-Credentials")


def connect():
    return http.client.HTTPConnection("127.0.0.1", serverd.backend.ports[0], timeout=30)


class Headers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for name, text in (("index.html", "<!doctype html>"), ("app.js", "let a;"), ("favicon.svg", "<svg/>")):
            with open(os.path.join(serverd.backend.dir, name), "w") as f:
                f.write(text)
        cls.user = User()
        server = cls.user.server().server
        cls.page = request("PUT", f"/api/v1/servers/{server}/public-page", {}, cls.user.token, want=200)[1]["page"]
        cls.read_only = post("/api-tokens", {"name": "x", "scopes": ["read"]}, cls.user.token, want=201)[1]["token"]

    def ask(self, method, path, status, body=None, token="", c=None, **fields):
        """The headers of the answer, whose body is read unless it has no end."""
        c = c or connect()
        headers = {"Authorization": f"Bearer {token or self.user.token}", "Content-Type": "application/json"}
        headers.update({k.replace("_", "-"): v for k, v in fields.items()})
        c.request(method, path, body, headers, encode_chunked="Transfer-Encoding" in headers)
        r = c.getresponse()
        if not (r.headers["Content-Type"] or "").startswith("text/event-stream"):
            r.read()
        c.close()
        self.assertEqual(r.status, status, path)
        return r.headers

    def check(self, path, headers, embeddable=False):
        for name, parts in ALWAYS.items():
            if embeddable and name == "Cross-Origin-Resource-Policy":
                parts = ("cross-origin",)
            self.assertEqual(len(headers.get_all(name, [])), 1, (path, name))
            for part in parts:
                self.assertIn(part, headers[name], (path, name))
        self.assertNotIn("unsafe-", headers["Content-Security-Policy"])
        for name in NEVER:
            self.assertIsNone(headers[name], (path, name))
        kind = headers["Content-Type"] or ""
        if kind.startswith("text/") or "+xml" in kind:
            self.assertIn("; charset=utf-8", kind, path)

    def test_pages_and_files(self):
        tag = self.ask("GET", "/app.js", 200)["ETag"]
        for path, status, kind, fields in (
                ("/", 200, "text/html; charset=utf-8", {}), ("/servers/x", 200, "text/html; charset=utf-8", {}),
                ("/app.js", 200, "text/javascript; charset=utf-8", {}), ("/favicon.svg", 200, "image/svg+xml; charset=utf-8", {}),
                ("/app.js", 304, None, {"If_None_Match": tag})):
            headers = self.ask("GET", path, status, **fields)
            self.check(path, headers)
            self.assertEqual((headers["Content-Type"], headers["Cache-Control"], headers["Content-Disposition"]), (kind, "no-cache", None))
        self.check("HEAD /", self.ask("HEAD", "/", 200))

    def test_answers_of_the_api(self):
        """None is stored, and a browser that is led to one does not show it."""
        for method, path, status, body, fields in (
                ("GET", "/api/v1/users/me", 200, None, {}),
                ("GET", "/api/v1/openapi.json", 200, None, {}),
                ("GET", self.page, 200, None, {}),
                ("POST", "/api/v1/agents/register", 201, '{"server_name": "x"}', {}),
                ("POST", "/api/v1/users/login", 400, "{", {}),
                ("POST", "/api/v1/users/login", 401, '{"email": "nobody@example.org", "password": "x"}', {}),
                ("GET", "/api/v1/servers", 401, None, {"token": "made-up"}),
                ("POST", "/api/v1/agents/register", 403, "{}", {"token": self.read_only}),
                ("GET", "/api/v1/servers/srv-none", 404, None, {}),
                ("GET", "/api/v1/nothing", 404, None, {}),
                ("PUT", "/api/v1/users/me", 405, "{}", {}),
                ("POST", "/api/v1/users/login", 411, iter([b"{}"]), {"Transfer_Encoding": "chunked"}),
                ("POST", "/api/v1/users/login", 413, " " * 70000, {}),
                ("POST", "/api/v1/users/login", 415, "{}", {"Content_Type": "text/plain"})):
            headers = self.ask(method, path, status, body, **fields)
            self.check(path, headers)
            self.assertEqual(headers["Content-Disposition"], 'attachment; filename="api.json"', (path, status))
            self.assertEqual(headers["Content-Type"], "application/json" if status < 400 else "application/problem+json", (path, status))
            self.assertEqual(headers["Cache-Control"], "no-store", path)
            # Pages of others may read what is public anyway.
            self.assertEqual(headers["Access-Control-Allow-Origin"], "*" if path == self.page else None, path)
        headers = self.ask("POST", "/api/v1/users/logout", 204, '{"refresh_token": "unknown"}')
        self.check("logout", headers)
        self.assertEqual((headers["Content-Type"], headers["Cache-Control"]), (None, "no-store"))

    def test_others(self):
        for method, path, status, body in (
                ("GET", "/api/v1/stream", 200, None), ("POST", "/api/v1/qr", 200, '{"text": "x"}'), ("GET", "/healthz", 200, None),
                ("GET", "/readyz", 200, None), ("GET", "/metrics", 200, None), ("GET", "/.well-known/change-password", 302, None),
                ("GET", "/.well-known/security.txt", 404, None), ("GET", "/nothing.js", 404, None), ("DELETE", "/app.js", 405, None)):
            headers = self.ask(method, path, status, body)
            self.check(path, headers)
            self.assertEqual(headers["Cache-Control"], "no-store", path)
            self.assertIsNone(headers["Content-Disposition"], path)
        badge = self.page + "/badge.svg"
        self.check(badge, self.ask("GET", badge, 200), embeddable=True)

    def test_requests_that_are_refused(self):
        for fields in ({"Host": "a b"}, {"Content_Length": "+1"}, {"Content_Length": "1", "Transfer_Encoding": "chunked"}):
            self.check(fields, self.ask("GET", "/healthz", 400, **fields))

    def test_tls(self):
        """Who was here once, comes by TLS alone."""
        port, home = free_port(), serverd.backend.dir
        env = dict(os.environ, SSI_DATABASE_URL=f"host={home} user=ssi dbname=postgres", SSI_MIGRATIONS_DIR=serverd.backend.migrations,
                   SSI_PUSH_KEY=home + "/vapid.pem")
        server = subprocess.Popen([*serverd.backend.command, f"--listen=0.0.0.0:{port}", f"--tls-dir={home}/tls", f"--key-dir={home}/keys0",
                                   f"--web-dir={home}"], env=env, stdout=serverd.backend.log, stderr=serverd.backend.log)

        def secure():
            return http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=ssl.create_default_context(cafile=home + "/tls/ca.pem"))

        def answers():
            try:
                self.ask("GET", "/readyz", 200, c=secure())
                return True
            except (OSError, AssertionError):
                return False

        try:
            wait_until(answers)
            for path, status in (("/", 200), ("/app.js", 200), ("/api/v1/users/me", 200), ("/api/v1/nothing", 404), ("/api/v1/stream", 200)):
                headers = self.ask("GET", path, status, c=secure())
                self.check(path, headers)
                self.assertEqual(headers["Strict-Transport-Security"], "max-age=31536000", path)
        finally:
            server.terminate()
            self.assertEqual(server.wait(20), 0)


if __name__ == "__main__":
    serverd.main()
