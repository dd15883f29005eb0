# SPDX-License-Identifier: LGPL-2.1-or-later
"""ssi-serverd on a Database, its metrics, its seeded agents, and the load generator."""
import base64
import hashlib
import http.client
import json
import os
import random
import re
import secrets
import socket
import ssl
import subprocess
import time
from pathlib import Path

from .measure import cpu, family, smaps

TOP = Path(__file__).resolve().parents[3]


def free_port(below=None):
    """One that nobody listens on; below a bound when what is to listen there takes no higher one."""
    while True:
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", random.randrange(20000, below) if below else 0))
                return s.getsockname()[1]
            except OSError:
                pass


class Backend:
    """`with Backend(bench, db) as b`. With a host (tests/system/hosts.py), server and load run in its network, which is
    how an agent in it reaches them; the database stays on this machine's disk. Several on one database have a name each; build:
    of another version, in a folder of its sources."""

    def __init__(self, bench, db, tls=False, host=None, name="", build=None):
        self.bench, self.db, self.tls, self.host = bench, db, tls, host
        self.name, self.build, self.sources = name, build or bench.build, build.parent if build else TOP
        self.port = free_port() if not host else 8443 if tls else 8080
        # Its processes are nsenter's own: it executes what follows.
        self.prefix = ["nsenter", f"--net=/proc/{host.leader}/ns/net", "--"] if host else []
        self.process = self.socket = None
        self.loads = []

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exc):
        for p in self.loads:
            if p.poll() is None:
                p.kill()
                p.wait()
        self.stop()
        if self.socket:
            self.socket.close()

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        tls_dir = os.path.join(self.db.dir, "tls")
        os.makedirs(tls_dir, exist_ok=True)
        env = dict(os.environ, SSI_DATABASE_URL=self.db.conninfo(), SSI_RATE_LIMIT="0", SSI_SIGN_UP="open", SSI_QUOTA_RESULTS="unlimited",
                   SSI_QUOTA_SERVERS="unlimited", SSI_QUOTA_SERVICES="unlimited", SSI_QUOTA_STORAGE="unlimited",
                   SSI_MIGRATIONS_DIR=str(self.sources / "src/ssi-serverd/db/migrations"))
        argv = [str(self.build / "src/ssi-serverd/ssi-serverd"), f"--tls-dir={tls_dir}", f"--key-dir={self.db.dir}/keys{self.name}",
                f"--web-dir={self.db.dir}"]
        # Only a loopback address may be plain.
        address = "0.0.0.0" if self.tls else "127.0.0.1"
        if self.host:
            argv = [*self.prefix, *argv, f"--listen={address}:{self.port}"]
        else:
            # The socket outlives the server, as ssi-serverd.socket does (sd_listen_fds(3)).
            if not self.socket:
                self.socket = socket.create_server((address, self.port), backlog=4096)
            # Unlike sh, bash takes descriptors above 9.
            argv = ["/bin/bash", "-c", f'exec 3<&{self.socket.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "bash", *argv]
        self.process = subprocess.Popen(argv, env=env, stdout=self.db.log, stderr=self.db.log, start_new_session=True,
                                        pass_fds=[self.socket.fileno()] if self.socket else [])
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.request("GET", "/readyz")[0] == 200:
                    return self
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.05)
        self.db.log.seek(0)
        raise RuntimeError("ssi-serverd does not get ready:\n" + self.db.log.read()[-2000:])

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    # -- HTTP ----------------------------------------------------------------------------------------------------

    def connect(self, timeout=30):
        s = self.host.connect(self.port, timeout=timeout) if self.host else \
            socket.create_connection(("127.0.0.1", self.port), timeout)
        return ssl._create_unverified_context().wrap_socket(s, server_hostname="localhost") if self.tls else s

    def request(self, method, path, body=None, token=None):
        c = http.client.HTTPConnection("localhost", self.port)
        c.sock = self.connect()
        try:
            headers = {"Connection": "close", **({"Authorization": f"Bearer {token}"} if token else {})}
            data = None
            if body is not None:
                data = json.dumps(body)
                headers["Content-Type"] = "application/json"
            c.request(method, path, data, headers)
            r = c.getresponse()
            text = r.read()
            return r.status, json.loads(text) if text and "json" in (r.headers["Content-Type"] or "") else text
        finally:
            c.close()

    def metrics(self):
        text = self.request("GET", "/metrics")[1].decode()
        return {m[1]: float(m[2]) for m in re.finditer(r"^(\S+) (\S+)$", text, re.M)}

    def user(self):
        """A new user's token."""
        who = {"email": f"bench-{secrets.token_hex(4)}@example.org", "password": secrets.token_urlsafe(16)}
        assert self.request("POST", "/api/v1/users/register", who)[0] == 201
        status, answer = self.request("POST", "/api/v1/users/login", who)
        assert status == 200, answer
        return answer["access_token"]

    # -- agents --------------------------------------------------------------------------------------------------

    def seed(self, count):
        """Claimed servers with keys of their own, straight into the database."""
        rows, pairs = [], []
        for i in range(count):
            key = "ssi_key_" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
            digest = hashlib.blake2b(key.encode(), digest_size=32).hexdigest()
            rows.append(f"srv-bench{i}\tagt-bench{i}\tbench-{i}\t\\\\x{digest}")
            pairs.append(f"agt-bench{i} {key}")
        self.db.sql("INSERT INTO users (public_id, email, password_hash) VALUES ('usr-bench', 'bench@example.org', '');\n"
                    "CREATE TEMP TABLE t (public_id text, agent_id text, name text, api_key_hash bytea);\n"
                    "COPY t FROM STDIN;\n" + "\n".join(rows) + "\n\\.\n"
                    "INSERT INTO servers (public_id, agent_id, user_id, name, api_key_hash, claimed_at)"
                    " SELECT t.public_id, agent_id, u.id, t.name, api_key_hash, now() FROM t, users u"
                    " WHERE u.public_id = 'usr-bench';\nANALYZE;")
        Path(self.db.dir, "agents").write_text("\n".join(pairs) + "\n")

    def load(self, *options, background=False):
        argv = [*self.prefix, str(self.bench.build / "tests/bench/load"), f"--port={self.port}",
                *(["--tls"] if self.tls else []), *options, os.path.join(self.db.dir, "agents" + self.name)]
        p = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.loads.append(p)
        return p if background else self.finish(p)

    @staticmethod
    def finish(p):
        out = p.communicate()[0]
        if not out:
            raise RuntimeError(f"load ended with {p.returncode}")
        return json.loads(out)

    def connected(self):
        return int(self.db.sql("SELECT count(*) FROM servers WHERE connected"))

    # -- what it has cost ----------------------------------------------------------------------------------------

    def counters(self):
        return {**self.db.counters(), "server_cpu": cpu([self.pid]), "database_cpu": cpu(family(self.db.pid)),
                "events": int(self.db.sql("SELECT count(*) FROM events")), "metrics": self.metrics(),
                "pss": smaps(self.pid), "rss": smaps(self.pid, "Rss")}

    def forget_history(self):
        """So that one measurement does not pay for the checkpoints of the one before."""
        self.db.sql("TRUNCATE events; TRUNCATE transitions; VACUUM ANALYZE services; VACUUM ANALYZE servers; CHECKPOINT")


def commit_quantile(before, after, q):
    """Of ssi_ingest_commit_seconds between two readings of the metrics: the bucket's upper end in ms."""
    name = "ssi_ingest_commit_seconds_bucket"
    buckets = sorted((float(m[1]), after[k] - before.get(k, 0)) for k in after
                     if (m := re.fullmatch(name + r'\{le="([^"]+)"\}', k)))
    if not buckets or buckets[-1][1] == 0:
        return None
    return next((le * 1000 for le, n in buckets if n >= buckets[-1][1] * q), None)
