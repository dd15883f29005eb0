#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a host that joins sends, and gets: join tokens are used once, in time, and cannot be guessed; only their holder learns
anything. (With real hosts: test_server_join.py.)

Usage: test-join.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import concurrent.futures
import datetime
import hashlib
import itertools
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import serverd
from serverd import request, sql, wait_until

numbers = itertools.count(1)


def new_certificate(name):
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    cert = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=1))
    return cert.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False).sign(key, hashes.SHA256()).public_bytes(
        serialization.Encoding.PEM).decode()


CERTIFICATE = new_certificate("second")


def new_token(lifetime="1 hour"):
    """As CreateJoinToken stores it."""
    n = next(numbers)
    token = f"ssi_join_{n:043}"
    digest = hashlib.blake2b(token.encode(), digest_size=32).hexdigest()
    sql(f"INSERT INTO join_tokens (public_id, token_hash, expires_at) VALUES ('jtk-{n}', '\\x{digest}', now() + interval '{lifetime}')")
    return f"jtk-{n}", token


def join(token, want=None, address="192.0.2.1", **more):
    body = {"token": token, "host": "h" * 32, "hostname": "second", "schema": 9999, "own_database": True, **more}
    # A proxy on the loopback is believed.
    status, answer, _ = request("POST", "/api/v1/instances/join", body, fields={"X-Forwarded-For": address})
    kind = answer["type"].rpartition(":")[2] if status >= 400 else None
    assert want in (None, status, (status, kind)), (status, answer)
    return status, answer


def is_open(id_):
    return sql(f"SELECT used_at IS NULL FROM join_tokens WHERE public_id = '{id_}'") == "t"


class Joining(unittest.TestCase):
    def tearDown(self):
        sql("DELETE FROM join_tokens")

    def test_a_token_is_used_once(self):
        id_, token = new_token()
        _, answer = join(token, 200)
        self.assertEqual(sql("SELECT used_by FROM join_tokens"), "h" * 32)
        self.assertFalse(is_open(id_))
        # The host enters itself, once it reaches the database.
        self.assertEqual(sql("SELECT count(*) FROM backend_hosts"), "0")
        join(token, (401, "bad-join-token"))
        [entry] = sql("SELECT event, actor IS NULL, method, object, name FROM audit_log WHERE event = 'instance.joined'").splitlines()
        self.assertEqual(entry, "instance.joined|t|join token|" + "h" * 32 + "|second")
        wait_until(lambda: sql("SELECT outcome FROM audit_log WHERE event = 'instance.join-refused'") == "refused")

    def test_the_answer(self):
        _, answer = join(new_token()[1], 200)
        settings = answer["settings"]
        self.assertIn("SSI_DATABASE_URL", settings)
        self.assertEqual(settings["SSI_HISTORY_DAYS"], "7")
        self.assertEqual(settings["SSI_QUOTA_RESULTS"], "100000:2000000")
        # What is each host's own.
        for name in ("SSI_TLS_CERT", "SSI_TLS_KEY", "SSI_ACCESS_TOKEN_KEY", "SSI_PUSH_KEY", "SSI_LOG_LEVEL", "SSI_SETUP_CODE"):
            self.assertNotIn(name, settings)
        self.assertIn("PRIVATE KEY", answer["push_key"])
        self.assertIsNone(answer["certificate"])

    def test_of_two_at_once_one_joins(self):
        for _ in range(5):
            _, token = new_token()
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                statuses = sorted(pool.map(lambda _: join(token)[0], range(4)))
            self.assertEqual(statuses, [200, 401, 401, 401])

    def test_a_token_expires(self):
        _, token = new_token("-1 second")
        join(token, (401, "bad-join-token"))
        self.assertEqual(sql("SELECT count(*) FROM join_tokens WHERE used_at IS NOT NULL"), "0")

    def test_guesses_are_counted_by_network(self):
        id_, token = new_token()
        statuses = [join(f"ssi_join_guess{i}", address="198.51.100.9")[0] for i in range(60)]
        self.assertEqual(set(statuses), {401, 429})
        self.assertGreaterEqual(statuses.index(429), 40)
        # Not even with the right one from there; from elsewhere, it is as good as before.
        join(token, (429, "too-many-requests"), address="198.51.100.9")
        self.assertTrue(is_open(id_))
        join(token, 200, address="203.0.113.4")
        wait_until(lambda: "throttled" in sql("SELECT outcome FROM audit_log WHERE event = 'instance.join-refused'"))

    def test_what_cannot_work_uses_nothing_up(self):
        id_, token = new_token()
        join(token, (409, "local-database"), own_database=False)
        join(token, (409, "too-old"), schema=1)
        # No helper signs here.
        join(token, (409, "no-authority"), public_key="x", names=["b.example.org"], proof="x")
        join(token, (400, "invalid-request"), public_key="x", names=["*.example.org"], proof="x")
        join(token, (400, "invalid-request"), public_key="x", names=[], proof="x")
        join(token, (400, "invalid-request"), hostname="a\nb")
        self.assertTrue(is_open(id_))
        # Who has no token learns nothing of it.
        join("ssi_join_x", (401, "bad-join-token"), own_database=False, address="192.0.2.9")
        join(token, 200)


def renew(want, address="192.0.2.1", **more):
    body = {"host": "h" * 32, "certificate": CERTIFICATE, "public_key": "x", "proof": "x", **more}
    status, answer, _ = request("POST", "/api/v1/instances/renew", body, fields={"X-Forwarded-For": address})
    assert (status, answer["type"].rpartition(":")[2]) == want, (status, answer)


class Renewing(unittest.TestCase):
    """What the backend itself refuses; the rest is the helper's."""

    def tearDown(self):
        sql("DELETE FROM backend_hosts")

    def test_only_hosts_that_have_joined(self):
        renew((401, "not-renewable"))
        sql(f"INSERT INTO backend_hosts (host, hostname) VALUES ('{'h' * 32}', 'third')")
        # Another host's certificate, and none at all.
        renew((401, "not-renewable"))
        renew((401, "not-renewable"), certificate="x")
        sql("UPDATE backend_hosts SET hostname = 'second'")
        # No helper signs here.
        renew((409, "no-authority"))
        renew((400, "invalid-request"), proof="x" * 257)
        renew((400, "invalid-request"), host="")
        renew((401, "not-renewable"), host="i" * 32)
        wait_until(lambda: "refused" in sql("SELECT DISTINCT outcome FROM audit_log WHERE event = 'instance.renew-refused'").split())
        self.assertEqual(sql("SELECT count(*) FROM audit_log WHERE event = 'instance.renewed'"), "0")

    def test_guesses_are_counted_by_network(self):
        for _ in range(60):
            try:
                renew((401, "not-renewable"), address="198.51.100.77")
            except AssertionError:
                break
        renew((429, "too-many-requests"), address="198.51.100.77")


class Instances(unittest.TestCase):
    def test_each_says_where_it_runs(self):
        def rows():
            return sql("SELECT DISTINCT hostname <> '', version <> '', started_at < now(), length(host) > 0 FROM instances "
                       "WHERE host IS NOT NULL")

        wait_until(lambda: sql("SELECT count(*) FROM instances WHERE host IS NOT NULL") == "2")
        self.assertEqual(rows(), "t|t|t|t")
        self.assertEqual(sql("SELECT count(*) FROM access_token_keys WHERE host IS NULL"), "0")


if __name__ == "__main__":
    serverd.main()
