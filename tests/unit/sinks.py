# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where notifications go in tests: an HTTP receiver that can misbehave, a browser behind a push service, a mail server."""

import base64
import email
import email.policy
import http.server
import json
import os
import queue
import ssl
import subprocess
import threading
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ports import free_port


def wait_until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not come true: {what}"
        time.sleep(0.02)


class Request:
    def __init__(self, handler, body):
        self.path, self.headers, self.body = handler.path, handler.headers, body
        self.method = handler.command

    @property
    def json(self):
        return json.loads(self.body)


class HttpSink:
    """Takes POST and PUT. `answers` says how the next requests fare, one each; afterwards all are well: a status, "hang"
    (no answer until the client gives up), "close" (the connection, without an answer) or "redirect"."""

    def __init__(self):
        self.taken, self.refused = [], []
        self.answers = queue.Queue()
        self.port = None
        self.up()

    def up(self):
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                request = Request(self, self.rfile.read(int(self.headers["Content-Length"])))
                try:
                    answer = sink.answers.get_nowait()
                except queue.Empty:
                    answer = 200
                if answer == 200:
                    sink.taken.append(request)
                else:
                    sink.refused.append((answer, request))
                if answer == "hang":
                    self.connection.settimeout(30)
                    self.rfile.read(1)
                if answer in ("hang", "close"):
                    self.close_connection = True
                    return
                self.send_response(302 if answer == "redirect" else answer)
                if answer == "redirect":
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_PUT = do_POST

            def log_message(self, *args):
                pass

        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port or 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self):
        self.server.shutdown()
        self.server.server_close()

    def url(self, path="/hook"):
        return f"http://127.0.0.1:{self.port}{path}"

    def wait(self, n, seconds=60):
        """Waits for n different messages."""
        wait_until(lambda: len({(r.path, r.headers["Idempotency-Key"] or r.headers["Topic"]) for r in self.taken}) >= n,
                   f"{n} messages, not {len(self.taken)}", seconds)
        return self.taken


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Browser:
    """A subscription, by RFC 8291 and 8292."""

    def __init__(self, endpoint, server_key):
        self.endpoint, self.server_key = endpoint, server_key
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.point = self.key.public_key().public_bytes(serialization.Encoding.X962,
                                                        serialization.PublicFormat.UncompressedPoint)
        self.auth = os.urandom(16)

    def subscription(self, **more):
        return {"endpoint": self.endpoint, "keys": {"p256dh": b64(self.point), "auth": b64(self.auth)}, **more}

    def read(self, request):
        """The message of a request to its push service, which is checked as a push service would."""
        self.check_sender(request.headers["Authorization"])
        assert request.headers["Content-Encoding"] == "aes128gcm" and int(request.headers["TTL"]) > 0
        assert len(request.body) <= 4096
        salt, size, n = request.body[:16], int.from_bytes(request.body[16:20], "big"), request.body[20]
        point, sealed = request.body[21:21 + n], request.body[21 + n:]
        assert size >= len(sealed)
        secret = self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
        ikm = self.hkdf(self.auth, secret, b"WebPush: info\0" + self.point + point, 32)
        key = self.hkdf(salt, ikm, b"Content-Encoding: aes128gcm\0", 16)
        nonce = self.hkdf(salt, ikm, b"Content-Encoding: nonce\0", 12)
        text = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")
        assert text[-1] == 2
        return json.loads(text[:-1])

    @staticmethod
    def hkdf(salt, secret, info, n):
        return HKDF(hashes.SHA256(), n, salt, info).derive(secret)

    def check_sender(self, header):
        scheme, _, rest = header.partition(" ")
        fields = dict(part.strip().split("=", 1) for part in rest.split(","))
        assert scheme == "vapid" and fields["k"] == self.server_key, header
        signed, _, signature = fields["t"].rpartition(".")
        signature = unb64(signature)
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unb64(fields["k"]))
        public.verify(utils.encode_dss_signature(int.from_bytes(signature[:32], "big"),
                                                 int.from_bytes(signature[32:], "big")),
                      signed.encode(), ec.ECDSA(hashes.SHA256()))
        claims = json.loads(unb64(signed.split(".")[1]))
        assert claims["aud"] == self.endpoint[:self.endpoint.index("/", 8)], claims
        assert 0 < claims["exp"] - time.time() <= 24 * 3600, claims
        assert claims["sub"].startswith(("mailto:", "https:")), claims


class MailSink:
    """A mail server that wants TLS and a password. `refuse` makes it answer 451."""

    def __init__(self, folder, user, password):
        self.mails, self.refuse, self.logins = [], False, 0
        self.user, self.password = user, password
        self.ca = os.path.join(folder, "mail.pem")
        key = os.path.join(folder, "mail.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", self.ca, "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, key)
        self.port = free_port()
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port, tls_context=context, require_starttls=True,
                                     authenticator=self.authenticate, auth_required=True, enable_SMTPUTF8=True)
        self.controller.start()

    def authenticate(self, server, session, envelope, mechanism, data):
        good = mechanism in ("LOGIN", "PLAIN") and session.ssl is not None and \
            (data.login.decode(), data.password.decode()) == (self.user, self.password)
        self.logins += good
        return AuthResult(success=good)

    async def handle_DATA(self, server, session, envelope):
        if self.refuse:
            return "451 not now"
        self.mails.append((envelope, email.message_from_bytes(envelope.content, policy=email.policy.default)))
        return "250 taken"

    def stop(self):
        self.controller.stop()

    def to(self, address):
        """Each once: one whose delivery took too long for the sender comes again, with the same id."""
        return list({m["Message-ID"]: m for e, m in self.mails if e.rcpt_tos == [address]}.values())

    def wait(self, address, n=1, seconds=60):
        wait_until(lambda: len(self.to(address)) >= n, f"{n} mails to {address}, not {len(self.to(address))}", seconds)
        return self.to(address)[n - 1]


__all__ = ["Browser", "HttpSink", "InvalidSignature", "MailSink", "wait_until"]
