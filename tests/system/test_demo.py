# SPDX-License-Identifier: LGPL-2.1-or-later
"""tools/demo shows what it promises, and leaves nothing behind however it ends."""
import contextlib
import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from hosts import TOP, wait_until
from programs import program

DEMO = str(TOP / "tools" / "demo")
PORTS = (8080, 8443)


def listening(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def traces(pid, tmp_path):
    found = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"ssi-demo.{pid}" in line]
    found += [str(p) for p in Path("/run").glob("ssi-demo.*") if p.name == f"ssi-demo.{pid}"]
    found += [str(p) for p in Path("/sys/fs/cgroup").glob("*/ssi-testhost-demo")]
    found += [str(p) for p in tmp_path.iterdir()]
    for p in Path("/proc").glob("[0-9]*"):
        try:
            if f"SSI_TESTHOST_DIR=/run/ssi-demo.{pid}\0" in (p / "environ").read_text(errors="replace") \
                    and (p / "status").read_text().find("State:\tZ") < 0:
                found.append(f"{p} {(p / 'cmdline').read_text()!r}")
        except OSError:
            pass
    return found + [f"port {port}" for port in PORTS if listening(port)]


@pytest.fixture
def demo(tmp_path):
    """Starts the demo."""
    if any(listening(port) for port in PORTS):
        pytest.skip("ports 8080 and 8443 are in use")
    log = tmp_path.parent / (tmp_path.name + ".log")
    with contextlib.ExitStack() as stack:
        def start(*args):
            process = stack.enter_context(program([DEMO, *args], log, env={**os.environ, "TMPDIR": str(tmp_path)}))
            process.log = log
            return process

        yield start
    log.unlink()


def test_check(demo, tmp_path):
    process = demo("--check")
    assert process.wait(240) == 0, process.log.read_text()
    out = process.log.read_text()
    assert re.search(r"^\d+ services, each with a status$", out, re.M)
    for name in ("system-updates", "package-updates", "disk-space", "memory", "failed-units"):
        assert re.search(rf"^ *{name} +(OK|UPDATE|WARNING|FAILURE) ", out, re.M), name
    assert traces(process.pid, tmp_path) == []


def test_ends_cleanly_when_it_is_told_to(demo, tmp_path):
    process = demo()
    wait_until(lambda: "Ctrl-C ends" in process.log.read_text() or process.poll() is not None, timeout=240)
    assert process.poll() is None, process.log.read_text()
    assert traces(process.pid, tmp_path)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert traces(process.pid, tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["Booting", "Registering"])
def test_ends_cleanly_at_any_moment(demo, tmp_path, number, moment):
    process = demo()
    wait_until(lambda: moment in process.log.read_text() or process.poll() is not None, timeout=240)
    time.sleep(0.3)
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert traces(process.pid, tmp_path) == []


def test_a_taken_port_is_named(demo, tmp_path):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 8443))
        s.listen()
        process = demo("--check")
        assert process.wait(60) == 1
        assert "port 8443 is in use" in process.log.read_text()
    assert traces(process.pid, tmp_path) == []
