# SPDX-License-Identifier: LGPL-2.1-or-later
"""A contributor's way: a clone, one command, and what is changed there shows up."""
import os
import re
import signal
import subprocess
import urllib.request

import pytest

from hosts import TOP, wait_until
from programs import program


@pytest.fixture
def clone(tmp_path):
    subprocess.run(["git", "clone", "-q", TOP, tmp_path / "ssi"], check=True)
    return tmp_path / "ssi"


def fetch(path):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:8080{path}", timeout=5) as answer:
        return answer.read().decode()


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_changes_arrive(clone, tmp_path):
    log = tmp_path / "log"

    def says(text, count=1):
        # No AssertionError, which would be waited for.
        if dev.poll() is not None:
            raise RuntimeError(f"tools/dev has ended:\n{log.read_text()[-4000:]}")
        return len(re.findall(text, log.read_text())) >= count

    with program([clone / "tools/dev"], log) as dev:
        wait_until(lambda: says("Ctrl-C ends the demo"), timeout=400, interval=0.5)

        assert fetch("/healthz") == '{"status":"ok"}'
        change(clone / "src/ssi-serverd/api/api.c", r'"{\"status\":\"ok\"}", strlen("{\"status\":\"ok\"}")', '"changed in C", strlen("changed in C")')
        wait_until(lambda: fetch("/healthz") == "changed in C", timeout=120, interval=0.5)
        wait_until(lambda: says("the host has it now", 1), timeout=60)

        change(clone / "web/app.css", "{", "{ --changed-in-web: 1;")
        wait_until(lambda: "--changed-in-web" in fetch("/app.css"), timeout=120, interval=0.5)
        wait_until(lambda: says("the host has it now", 2), timeout=60)

        change(clone / "src/ssid/main.c", "int main(", "#error not C\nint main(")
        wait_until(lambda: says("the build failed"), timeout=120)
        assert "--changed-in-web" in fetch("/app.css")
        change(clone / "src/ssid/main.c", "#error not C\n", "")
        wait_until(lambda: says("the host has it now", 3), timeout=120)
        dev.send_signal(signal.SIGINT)
        assert dev.wait(timeout=120) == 130
    assert not [p for p in os.listdir("/run") if p.startswith("ssi-demo.")]
