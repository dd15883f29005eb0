# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two real ssi-serverd on one real PostgreSQL, and what tests need to speak to them: REST, WebSocket, event stream.

A test file calls main(), which makes `backend` and runs the file's tests.
"""

import asyncio
import contextlib
import glob
import json
import os
import pwd
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

import websockets

import pq
from ports import free_port

backend = None

# Everything secret that was ever answered.
secrets = set()
SECRETS = ("access_token", "refresh_token", "claim_token", "api_key", "token", "code")

PASSWORD = "correct horse"
TIME = "2025-09-02T16:06:37Z"


class Backend:
    """PostgreSQL and two instances of the server, in a temporary folder."""

    def __init__(self, program, migrations):
        # Of another architecture, it is emulated.
        self.command = [*shlex.split(os.environ.get("MESON_EXE_WRAPPER", "")), program]
        self.migrations = migrations
        self.dir = tempfile.mkdtemp(prefix="ssi-test-api-")
        self.user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if self.user:
            os.chown(self.dir, self.user.pw_uid, self.user.pw_gid)
        self.programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.log = open(os.path.join(self.dir, "log"), "a+")
        self.servers, self.settings = [None, None], {}
        self.sql = pq.Connection(f"host={self.dir} user=ssi dbname=postgres")
        self.ports = [free_port(), free_port()]
        subprocess.run([os.path.join(os.path.dirname(os.path.abspath(__file__)), "postgres-cluster"), self.dir], check=True, stdout=self.log,
                       stderr=self.log)

    def start(self):
        self.start_database()
        for i in (0, 1):
            self.start_server(i)

    def as_user(self):
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": [], "cwd": "/"} if self.user else {}

    def start_database(self):
        for _ in range(100):
            self.database = subprocess.Popen([self.programs + "/postgres", "-D", self.dir + "/data", "-k", self.dir,
                                              "-c", "listen_addresses=",
                                              "-c", "shared_preload_libraries=auto_explain"], stdout=self.log, stderr=self.log,
                                             **self.as_user())
            while self.database.poll() is None:
                try:
                    self.sql.rows("SELECT 1")
                    return
                except RuntimeError:
                    time.sleep(0.02)
        raise RuntimeError("PostgreSQL does not start")

    def stop_database(self):
        self.sql.close()
        self.database.send_signal(signal.SIGINT)
        self.database.wait()

    def kill_database(self):
        self.sql.close()
        self.database.kill()
        self.database.wait()
        self.start_database()

    @contextlib.contextmanager
    def explained(self):
        """Yields a list that holds the plans of the statements within, afterwards."""
        plans = []
        self.log.seek(0, os.SEEK_END)
        start = self.log.tell()
        sql("ALTER SYSTEM SET auto_explain.log_min_duration = 0")
        sql("SELECT pg_reload_conf()")
        wait_until(lambda: sql("SHOW auto_explain.log_min_duration") == "0")
        time.sleep(0.2)  # the other connections read the setting when they are next idle
        try:
            yield plans
        finally:
            sql("ALTER SYSTEM RESET auto_explain.log_min_duration")
            sql("SELECT pg_reload_conf()")
            self.log.flush()
            self.log.seek(start)
            plans += self.log.read().split("Query Text: ")[1:]
            self.log.seek(0, os.SEEK_END)

    def dump(self):
        return subprocess.run([self.programs + "/pg_dump", "-h", self.dir, "-U", "ssi", "--inserts", "postgres"],
                              check=True, capture_output=True, text=True).stdout

    def start_server(self, i, url=None, want=200):
        tls = os.path.join(self.dir, "tls")
        os.makedirs(tls, exist_ok=True)
        env = dict({"SSI_RATE_LIMIT": "0"}, **os.environ, SSI_DATABASE_URL=url or f"host={self.dir} user=ssi dbname=postgres",
                   SSI_MIGRATIONS_DIR=self.migrations)
        env.update(self.settings)
        env.setdefault("SSI_PUSH_KEY", os.path.join(self.dir, "vapid.pem"))
        self.servers[i] = subprocess.Popen([*self.command, f"--listen=127.0.0.1:{self.ports[i]}", f"--tls-dir={tls}",
                                            f"--key-dir={self.dir}/keys{i}",
                                            f"--web-dir={self.dir}"], env=env, stdout=self.log, stderr=self.log)
        wait_until(lambda: request("GET", "/readyz", i=i)[0] == want)

    def stop_server(self, i):
        self.servers[i].terminate()
        return self.servers[i].wait(20)

    def stop(self):
        codes = []
        for s in filter(None, self.servers):
            s.terminate()
            codes.append(s.wait(20))
        self.stop_database()
        self.log.seek(0)
        log = self.log.read()
        self.log.close()
        shutil.rmtree(self.dir)
        return codes, log


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not come true")
        time.sleep(0.05)


def sql(query):
    """The rows in lines and their columns between |, as psql prints them."""
    return "\n".join("|".join(row) for row in backend.sql.rows(query)).strip()


def request(method, path, body=None, token=None, i=0, want=None, fields=None):
    headers = {"Authorization": "Bearer " + token} if token else {}
    headers.update(fields or {})
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    r = urllib.request.Request(f"http://127.0.0.1:{backend.ports[i]}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(r, timeout=30) as f:
            status, text, fields = f.status, f.read(), f.headers
    except urllib.error.HTTPError as e:
        status, text, fields = e.code, e.read(), e.headers
    except OSError:
        status, text, fields = 0, b"", {}
    is_json = "json" in (fields["Content-Type"] or "") if text else False
    answer = json.loads(text) if is_json else text or None
    if isinstance(answer, dict):
        secrets.update(answer[key] for key in SECRETS if key in answer)
    if want is not None:
        assert status == want, (method, path, body, status, answer)
    if status >= 400:
        assert fields["Content-Type"].startswith("application/problem+json"), fields
        assert answer["type"].startswith("urn:ssi:problem:") and answer["status"] == status, answer
    return status, answer, fields


def post(path, body, token=None, want=None, i=0):
    return request("POST", "/api/v1" + path, body, token, i, want)


def get(path, token, want=200, i=0):
    return request("GET", "/api/v1" + path, None, token, i, want)[1]


def pages(path, token):
    """The pages of a list, as long as there is a next one."""
    path = "/api/v1" + path
    while path:
        _, page, headers = request("GET", path, token=token, want=200)
        yield page
        path = headers["Link"].split(">")[0][1:] if headers["Link"] else None


class User:
    count = 0

    def __init__(self):
        User.count += 1
        self.email = f"user{User.count}-{os.getpid()}@example.org"
        if post("/users/register", {"email": self.email, "password": PASSWORD})[0] == 202:
            sql(f"UPDATE users SET confirmed = true WHERE email = '{self.email}'")
        self.tokens = self.login()
        self.token = self.tokens["access_token"]

    def login(self):
        return post("/users/login", {"email": self.email, "password": PASSWORD}, want=200)[1]

    def id(self):
        return sql(f"SELECT public_id FROM users WHERE email = '{self.email}'")

    def server(self, name="web-server-01"):
        made = post("/agents/register", {"server_name": name}, self.token, want=201)[1]
        claimed = post("/agents/claim", {"claim_token": made["claim_token"]}, want=200)[1]
        return Agent(self, claimed)

    def stream(self, i=0):
        return Stream(self.token, i)


class Stream:
    def __init__(self, token, i):
        self.events = queue.Queue()
        r = urllib.request.Request(f"http://127.0.0.1:{backend.ports[i]}/api/v1/stream",
                                   headers={"Authorization": "Bearer " + token})
        self.response = urllib.request.urlopen(r, timeout=30)
        threading.Thread(target=self.read, daemon=True).start()
        assert self.events.get(timeout=60)[0] == "ready"

    def read(self):
        event = None
        try:
            for line in self.response:
                line = line.decode().rstrip("\n")
                if line.startswith("event:"):
                    event = line[6:].strip()
                elif line.startswith("data:"):
                    self.events.put((event, json.loads(line[5:]), time.monotonic()))
        except (OSError, ValueError):
            pass
        self.events.put(("end", None, time.monotonic()))

    def wait(self, event, condition=lambda data: True, seconds=60):
        while True:
            kind, data, at = self.events.get(timeout=seconds)
            if kind == event and condition(data):
                return data, at


class Agent:
    def __init__(self, user, claimed):
        self.user, self.id, self.key, self.server = user, claimed["agent_id"], claimed["api_key"], claimed["server_id"]

    def connect(self, i=0):
        return websockets.connect(f"ws://127.0.0.1:{backend.ports[i]}/api/v1/agent/connect", ping_interval=None)

    def auth(self, version=None):
        return message("auth", agent_id=self.id, api_key=self.key, **({"version": version} if version else {}))

    async def start(self, ws, version=None):
        await ws.send(self.auth(version))
        answer = json.loads(await asyncio.wait_for(ws.recv(), 20))
        assert answer["type"] == "auth_ok", answer
        return answer["payload"]["resume_after"]

    def events(self, name):
        return [e for page in pages(f"/servers/{self.server}/services/{name}/events?limit=1000", self.user.token)
                for e in page][::-1]

    def state(self, i=0):
        return get(f"/servers/{self.server}", self.user.token, i=i)["state"]


def message(kind, **payload):
    return json.dumps({"type": kind, "payload": payload})


def update(name, status="OK", text="", **more):
    return message("status_update", service_name=name, timestamp=TIME, status=status, message=text, **more)


async def closed_with(ws):
    """What the backend said last, and the code of its close."""
    last = None
    try:
        while True:
            last = json.loads(await asyncio.wait_for(ws.recv(), 15))
    except websockets.ConnectionClosed as e:
        return last, e.code


def main(settings=None, make=Backend):
    """Usage: SSI-SERVERD MIGRATIONS [unittest arguments]. settings: a function of the backend that gives more of them. make: makes
    the backend."""
    global backend
    backend = make(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]))
    backend.settings = settings(backend) if settings else {}
    try:
        backend.start()
        result = unittest.main(argv=[sys.argv[0]] + sys.argv[3:], exit=False, verbosity=2).result
    finally:
        stop_codes, server_log = backend.stop()
    reports = [line for line in server_log.splitlines() if "Sanitizer" in line or "runtime error" in line]
    if not result.wasSuccessful() or reports or any(stop_codes):
        sys.stderr.write(server_log[-20000:])
        sys.stderr.write(f"exit codes {stop_codes}\n")
        # Once more, because whoever runs this shows the end alone.
        for test, why in result.failures + result.errors:
            sys.stderr.write(f"\n{test}\n{why}")
        sys.stderr.write("".join(f"{line}\n" for line in reports[:5]))
        sys.exit(1)
