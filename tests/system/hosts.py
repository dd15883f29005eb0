# SPDX-License-Identifier: LGPL-2.1-or-later
"""Throwaway hosts as Python objects: commands, the journal, REST and the database inside of them."""
import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import re
import secrets
import select
import socket
import struct
import subprocess
import termios
import threading
import time
from pathlib import Path

from programs import heed_signals

# Also of those that a program under test makes, as tools/demo.
os.environ.setdefault("SSI_TESTHOST_FEW_PACKAGES", "1")

TOP = Path(__file__).resolve().parents[2]
TESTHOST = str(TOP / "tests" / "testhost")
RELEASE = os.environ.get("SSI_TEST_RELEASE", "")
BUILD = Path(os.environ.get("SSI_BUILD_DIR", str(TOP / "build")) + (f"-{RELEASE}" if RELEASE else ""))  # as tests/testhost has it
STATE = Path(os.environ.get("SSI_TESTHOST_DIR", "/run/ssi-testhost"))

DAEMONS = ("ssid.service", "ssi-uplinkd.service", "ssi-serverd.service", "ssi-serverd.socket", "ssi-postgres.service",
           "ssi-serverd@2.service", "ssi-serverd-api.service", "ssi-serverd-ingest.service",
           "ssi-server-ca.service")
SANITIZER = re.compile(r"(Address|Leak|UndefinedBehavior|Thread)Sanitizer|: runtime error: ")
POSTGRES_ERROR = re.compile(r"\b(ERROR|FATAL|PANIC):")
# What the running test's markers declare, for every host.
declared = []


# Tests that run beside others wait longer before they give up.
PATIENCE = 3 if "PYTEST_XDIST_WORKER" in os.environ else 1


def wait_until(fn, timeout=10, interval=0.05, what=None):
    """Calls fn until it returns something true, and returns that. An AssertionError in fn counts as not yet. Asks less and less often: most
    ask by a program in a host."""
    timeout *= PATIENCE
    end = time.monotonic() + timeout
    reason = None
    while True:
        try:
            value = fn()
            if value:
                return value
        except (AssertionError, OSError, http.client.HTTPException) as e:
            reason = e
        if time.monotonic() >= end:
            raise AssertionError(f"not within {timeout} s: {what or getattr(fn, '__name__', fn)} ({reason or value!r})")
        time.sleep(interval)
        interval = min(interval * 1.5, max(interval, 0.3))


class Host:
    """One throwaway host. `with Host("name", "--agent") as h:` boots and ends it."""

    def __init__(self, name, *options):
        self.name = name
        self.options = options
        self.expected = []
        self.cursor = None
        # Whether a test has done something with it since its journal was read last.
        self.touched = True

    # -- life ----------------------------------------------------------------------------------------------------

    def up(self):
        subprocess.run([TESTHOST, "up", self.name, *self.options], check=True, timeout=180, stdin=subprocess.DEVNULL)
        return self

    def down(self):
        subprocess.run([TESTHOST, "down", self.name], check=True, timeout=180, stdin=subprocess.DEVNULL)

    def stop_daemons(self):
        """Ends the daemons in order, which is when the leak check runs. `down` kills."""
        self.run("systemctl stop ssid.service ssi-uplinkd.service 'ssi-serverd*.socket' 'ssi-serverd*.service' "
                 "ssi-server-ca.service", check=False)

    def __enter__(self):
        return self.up()

    def __exit__(self, *exc):
        self.down()

    @property
    def leader(self):
        """The process id of the host's PID 1, as seen from here."""
        self.touched = True
        return int((STATE / self.name / "leader").read_text())

    # -- commands ------------------------------------------------------------------------------------------------

    def _argv(self, cmd, user):
        self.touched = True
        argv = ["bash", "-c", cmd] if isinstance(cmd, str) else [str(a) for a in cmd]
        return (["runuser", "-u", user, "--"] if user else []) + argv

    def run(self, cmd, user=None, input=None, check=True, timeout=60):
        """Runs a command (a list, or a string for bash) in the host. Gives a CompletedProcess with text."""
        r = subprocess.run([TESTHOST, "exec", self.name, *self._argv(cmd, user)], text=True, capture_output=True,
                           timeout=timeout * PATIENCE, **({"input": input} if input is not None else {"stdin": subprocess.DEVNULL}))
        if check and r.returncode != 0:
            raise AssertionError(f"{cmd!r} in {self.name} gave {r.returncode}\n{r.stdout}{r.stderr}")
        return r

    def start(self, cmd, user=None, **kwargs):
        """Starts a command in the host that runs beside the test; a Popen. It dies when the Popen is killed."""
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen([TESTHOST, "exec", self.name, *self._argv(cmd, user)], text=True, **kwargs)

    def terminal(self, cmd, user=None, columns=80, **kwargs):
        """Starts a command in the host on a terminal of its own; a Terminal."""
        return Terminal([TESTHOST, "exec", self.name, *self._argv(cmd, user)], columns, **kwargs)

    def write(self, path, content, mode="0644"):
        """Writes a file in the host: through its root as seen from here, which costs no process."""
        root = Path(f"/proc/{self.leader}/root")
        file = root / path.lstrip("/")
        # A link would be followed on this machine.
        if any(p.is_symlink() for p in (file, *file.parents) if p != root and root in p.parents):
            assert isinstance(content, str)
            self.run(f'mkdir -p "$(dirname {path})" && cat > {path} && chmod {mode} {path}', input=content)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
            file.chmod(int(mode, 8))
        return path

    def show(self, unit, *properties):
        """systemd's properties of a unit, as a dict."""
        out = self.run(["systemctl", "show", unit, "--property", ",".join(properties)]).stdout
        return dict(line.split("=", 1) for line in out.splitlines())

    def pid(self, unit):
        return int(self.show(unit, "MainPID")["MainPID"])

    def add_user(self, name):
        self.run(f"id {name} >/dev/null 2>&1 || useradd --create-home --shell /bin/bash {name}")
        return name

    @contextlib.contextmanager
    def about_to_go_down(self):
        """logind says that the host goes down, as long as this lasts. poweroff.target refuses to start, so that it takes that back."""
        units, logind = "/run/systemd/system/poweroff.target.d", "/run/systemd/logind.conf.d"
        manager = "org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager"

        def says(name, value):
            return self.run(f"busctl get-property {manager} {name}").stdout == f"{value}\n"

        self.write(f"{units}/refuse.conf", "[Unit]\nRefuseManualStart=yes\n")
        self.write(f"{logind}/patient.conf", "[Login]\nInhibitDelayMaxSec=120\n")
        self.run("systemctl daemon-reload; systemctl kill --signal=HUP systemd-logind.service")
        inhibitor = self.start("exec systemd-inhibit --what=shutdown --mode=delay sleep 120")
        try:
            wait_until(lambda: says("InhibitDelayMaxUSec", "t 120000000") and "sleep" in self.run("systemd-inhibit --list --no-legend").stdout)
            self.run(f"busctl call {manager} PowerOff b false")
            yield
        finally:
            inhibitor.kill()
            inhibitor.wait()
            wait_until(lambda: says("PreparingForShutdown", "b false"))
            self.run(f"rm -r {units} {logind}; systemctl daemon-reload; systemctl kill --signal=HUP systemd-logind.service")

    # -- journal -------------------------------------------------------------------------------------------------

    def journal(self, *matches, after=None, fields=()):
        """Entries as dicts. Matches are FIELD=VALUE or "+", as journalctl takes them."""
        # Not --after-cursor: where the cursor's own entry does not match, it skips the first one that does.
        args = ["journalctl", "-q", "--no-pager", "-o", "json", "--all"]
        if after:
            args.append(f"--cursor={after}")
        if fields:
            args.append("--output-fields=" + ",".join(fields))
        out = self.run(args + list(matches)).stdout
        entries = [json.loads(line) for line in out.splitlines()]
        return [e for e in entries if e["__CURSOR"] != after]

    def journal_end(self):
        out = self.run("journalctl --sync; journalctl -q --no-pager -n 1 -o json --output-fields=PRIORITY").stdout
        return json.loads(out)["__CURSOR"] if out.strip() else None

    def lines(self, slug, after=None):
        """What the service's runs printed, in the journal's order: only what its unit really printed."""
        self.run("journalctl --sync")
        entries = self.journal(f"_SYSTEMD_UNIT=ssi-{slug}.service", "_TRANSPORT=stdout", after=after,
                               fields=("MESSAGE", "_SYSTEMD_INVOCATION_ID"))
        return [e["MESSAGE"] for e in entries]

    # -- errors --------------------------------------------------------------------------------------------------

    def expect_error(self, regex):
        """Declares that a daemon logs an error like this during the present test."""
        self.expected.append(re.compile(regex))

    def unexpected_errors(self):
        """What the daemons have logged since the last call: errors, and the sanitizers' reports."""
        matches = []
        for unit in DAEMONS:
            matches += [f"_SYSTEMD_UNIT={unit}", "+", f"UNIT={unit}", "+"]
        after = f"--after-cursor='{self.cursor}'" if self.cursor else ""
        out = self.run("journalctl --sync; journalctl -q --no-pager --all -o json "
                       f"--output-fields=MESSAGE,PRIORITY,_SYSTEMD_UNIT,UNIT {after} {' '.join(matches[:-1])}").stdout
        self.touched = False
        bad, report = [], 0
        for e in map(json.loads, out.splitlines()):
            self.cursor = e["__CURSOR"]
            message, unit = str(e.get("MESSAGE", "")), e.get("_SYSTEMD_UNIT", "")
            is_report = bool(SANITIZER.search(message))
            if is_report:
                report = 60
            error = is_report or int(e.get("PRIORITY", 6)) <= 3 or \
                (unit == "ssi-postgres.service" and POSTGRES_ERROR.search(message))
            if error and any(r.search(message) for r in self.expected + declared) and not is_report:
                continue
            if error or report > 0:
                bad.append(f"{self.name} {e.get('UNIT') or unit}: {message}")
            report -= 1
        return bad

    def deaths(self):
        """What the whole journal says of sanitizers, failed assertions and daemons that died of themselves."""
        return self.run("journalctl -q --no-pager -o short-precise -g "
                        "'(Address|Leak|UndefinedBehavior)Sanitizer|: runtime error: |code=dumped|status=6/ABRT|Assertion'",
                        check=False).stdout.splitlines()

    # -- network -------------------------------------------------------------------------------------------------

    def in_network(self, make):
        """What make() gives, called inside the host's network namespace: a socket stays where it was made."""
        result = []

        def attempt():
            try:
                fd = os.open(f"/proc/{self.leader}/ns/net", os.O_RDONLY)
                try:
                    if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) < 0:
                        raise OSError(ctypes.get_errno(), "setns")
                finally:
                    os.close(fd)
                result.append(make())
            except OSError as e:
                result.append(e)

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        if isinstance(result[0], OSError):
            raise result[0]
        return result[0]

    def connect(self, port, address="127.0.0.1", timeout=10):
        """A TCP connection made inside the host."""
        return self.in_network(lambda: socket.create_connection((address, port), timeout))

    def request(self, method, path, body=None, token=None, port=8080):
        """One HTTP request from inside the host: (status, parsed JSON or None)."""
        http_ = http.client.HTTPConnection("localhost", port)
        http_.sock = self.connect(port)
        try:
            headers = {"Accept": "application/json", "Connection": "close"}
            if token:
                headers["Authorization"] = f"Bearer {token}"
            data = None
            if body is not None:
                data = json.dumps(body).encode()
                headers["Content-Type"] = "application/json"
            elif method in ("POST", "PATCH", "PUT"):
                data = b""
            http_.request(method, path, body=data, headers=headers)
            r = http_.getresponse()
            text = r.read()
            return r.status, json.loads(text) if text else None
        finally:
            http_.close()

    # -- the database --------------------------------------------------------------------------------------------

    def sql(self, query):
        """Rows of the private PostgreSQL, as lists of text. Local use: the query is not escaped."""
        out = self.run(["runuser", "-u", "ssi-postgres", "--", "psql", "-X", "-q", "-A", "-t", "-F", "\x1f", "-R", "\x1e",
                        "-v", "ON_ERROR_STOP=1", *self._psql_target(), "-c", query]).stdout
        out = out.rstrip("\n")
        return [row.split("\x1f") for row in out.split("\x1e")] if out else []

    def _psql_target(self):
        return ["-h", "/run/ssi-postgres", "-d", "ssi"]

    def events(self, slug, kind="result"):
        """The messages of a service's events, in the order in which they were committed."""
        return [row[0] for row in self.sql(
            f"SELECT message FROM events WHERE service = '{slug}' AND kind = '{kind}' ORDER BY id")]


class Terminal:
    """A command on a pseudo-terminal, which controls its session. `with` ends it."""

    def __init__(self, argv, columns, rows=24, env=None):
        self.text = ""
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        preexec_fn=self._take_terminal,
                                        env={**os.environ, "TERM": "xterm", **(env or {})})
        os.close(slave)

    @staticmethod
    def _take_terminal():
        heed_signals()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)

    def read(self, timeout):
        """Reads what is there within the time; False at the end."""
        if not select.select([self.master], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            data = b""
        self.text += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def expect(self, string, timeout=20):
        end = time.monotonic() + timeout
        while string not in self.text:
            assert time.monotonic() < end and self.read(0.2), f"no {string!r} in {self.text!r}"

    def send(self, string):
        os.write(self.master, string.encode())

    def echoes(self):
        """Whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def finish(self, timeout=30):
        """Waits for the end. The exit code."""
        end = time.monotonic() + timeout
        while self.read(0.2):
            assert time.monotonic() < end, f"does not end: {self.text!r}"
            if self.process.poll() is not None and not select.select([self.master], [], [], 0)[0]:
                break
        return self.process.wait(timeout=10)


class Account:
    """A user of the backend in a host, through REST alone."""

    def __init__(self, host, email=None):
        self.host = host
        self.email = email or f"user-{secrets.token_hex(4)}@example.org"
        self.password = secrets.token_urlsafe(16)
        status, answer = host.request("POST", "/api/v1/users/register", {"email": self.email, "password": self.password})
        assert status == 201, answer
        self.token = None
        self.token_until = 0

    def login(self):
        status, answer = self.host.request("POST", "/api/v1/users/login",
                                           {"email": self.email, "password": self.password})
        assert status == 200, answer
        self.token = answer["access_token"]
        self.token_until = time.monotonic() + answer["expires_in"] - 60

    def request(self, method, path, body=None):
        if not self.token or time.monotonic() > self.token_until:
            self.login()
        return self.host.request(method, path, body, self.token)

    def get(self, path):
        status, answer = self.request("GET", path)
        assert status == 200, (status, answer)
        return answer

    def new_server(self, name="web-server-01", labels=("test",)):
        """Registers a server: {agent_id, server_id, claim_token, …}."""
        status, answer = self.request("POST", "/api/v1/agents/register", {"server_name": name, "labels": list(labels)})
        assert status == 201, answer
        return answer

    def services(self, server_id):
        return {s["name"]: s for s in self.get(f"/api/v1/servers/{server_id}/services")}


def script(name, body, schedule="*-*-* 04:00:00", timeout="20", description="A script of the tests", version="1.0"):
    """A service-script. By default it never fires by itself while a test runs (or hardly ever)."""
    return f"""#!/bin/bash

# name: {name}
# description: {description}
# version: {version}
# schedule: {schedule}
# timeout: {timeout}

{body}
"""


NOW = '$(date "+%Y-%m-%d %H:%M:%S")'


def prints(status, message):
    """A line of a script that prints a status line."""
    return f'echo "{NOW}, {status}, {message}"'


def crowd(host, n, run=True):
    """Installs n services that have all run once (or not), written as copies of one that was added."""
    host.run(["ssictl", "add", host.write("/tmp/model.bash", script("Model", prints("OK", "of $0")))])
    host.run(f"""
set -e
cd /etc/systemd/system
systemctl stop ssid.service
for ((i = 1; i < {n}; i++)); do
        sed "s/^# name: .*/# name: Model $i/" /usr/local/bin/ssi/model >/usr/local/bin/ssi/model-$i
        for kind in service timer; do
                sed -e "s,ssi/model,ssi/model-$i," -e "s/=Model/=Model $i/" -e "s/ssi-model/ssi-model-$i/" \
                        -e "s/SSI_SERVICE=model/SSI_SERVICE=model-$i/" ssi-model.$kind >ssi-model-$i.$kind
        done
done
chmod 755 /usr/local/bin/ssi/model-*
systemctl daemon-reload
{"" if run else "systemctl start ssid.service; exit"}
systemctl start ssi-model.service
for kind in service timer; do
        for ((i = 1; i < {n}; i++)); do echo ssi-model-$i.$kind; done | xargs -n 50 systemctl start
done
""", timeout=300)
