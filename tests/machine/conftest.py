# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures. `server` is the backend, in a throwaway host of this machine; `machine` the emulated one, registered with it. All
tests share both, in the order of the files' names: whoever breaks the machine mends it.

After each test, both journals are read as in tests/system: an error that a daemon logged fails the test."""
import contextlib
import json
import os
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

from hosts import Account, Host, declared, wait_until  # noqa: E402
from machine import Machine, say  # noqa: E402

FOLDER = os.environ.get("SSI_MACHINE")
CA = "/etc/backend-ca.pem"
SINK = """import http.server
class Sink(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/tmp/told", "ab") as f:
            f.write(body + b"\\n")
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 9099), Sink).serve_forever()
"""
up = []


def pytest_configure(config):
    config.addinivalue_line("markers", "expect_error(regex): a daemon may log errors like this in this test")


@pytest.fixture(scope="session")
def server():
    """With an account, and a webhook that is told of everything: told() says of what."""
    host = Host(f"machine-{os.getpid()}", "--server")
    host.up()
    up.append(host)
    host.write("/etc/systemd/system/ssi-serverd.service.d/sink.conf", "[Service]\nEnvironment=SSI_ALLOW_PRIVATE_TARGETS=yes\n")
    host.run("systemctl daemon-reload; systemctl restart ssi-serverd.service")
    host.write("/tmp/sink.py", SINK)
    sink = host.start("exec /usr/bin/python3 /tmp/sink.py")
    wait_until(lambda: host.request("GET", "/readyz")[0] == 200, timeout=60)
    host.account = Account(host)
    status, answer = host.account.request("POST", "/api/v1/notifications/channels", {
        "type": "webhook", "name": "sink", "config": {"url": "http://127.0.0.1:9099/"}})
    assert status == 201, answer

    def told():
        lines = host.run("cat /tmp/told", check=False).stdout.splitlines()
        return [(m["kind"], m["service"], m["new"]) for m in map(json.loads, lines)]

    host.told = told
    yield host
    up.remove(host)
    sink.terminate()
    sink.wait()
    host.down()


@pytest.fixture(scope="session")
def machine(server):
    if not FOLDER:
        pytest.fail("SSI_MACHINE names no folder of make-image: start tests/machine/run")
    m = Machine(f"{server.name}-guest", FOLDER, server)
    m.lay_cable()
    try:
        say("the first boot")
        m.power_on()
        up.append(m)
        new = server.account.new_server("machine")
        m.server_id = new["server_id"]
        m.run(f"echo '10.84.0.1 {server.name}' >>/etc/hosts")
        m.write(CA, server.run("cat /var/lib/ssi-server/tls/ca.pem").stdout)
        m.run(["ssictl", "register", f"https://{server.name}:8443", new["claim_token"], "--ca", CA])
        m.wait_state("online")
    except BaseException:
        if m.process:
            print(m.tail())
        m.down()
        raise
    try:
        yield m
        up.remove(m)
        m.power_off()
    finally:
        m.down()


@pytest.fixture
def add(machine):
    """add(text): installs a service-script and removes it after the test."""
    added = []

    def add_(text):
        machine.run(["ssictl", "add", machine.write("/root/script.bash", text)])
        added.append(text.split("# name: ", 1)[1].split("\n", 1)[0].lower().replace(" ", "-"))

    yield add_
    if machine.process:
        for slug in added:
            machine.run(["ssictl", "remove", slug], check=False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    m = item.funcargs.get("machine")
    if call.when == "call" and outcome.get_result().failed and m and m.process:
        with contextlib.suppress(OSError, ValueError):
            print(m.tail())


@pytest.fixture(autouse=True)
def no_unexpected_errors(request):
    """See the top."""
    declared[:] = [re.compile(m.args[0]) for m in request.node.iter_markers("expect_error")]
    for host in up:
        host.expected = []
    yield
    bad = [error for host in up for error in host.unexpected_errors()]
    declared.clear()
    assert not bad, "unexpected errors of the daemons:\n" + "\n".join(bad)
