# SPDX-License-Identifier: LGPL-2.1-or-later
"""What one local user makes ssid do takes little from the others, and never ends ssid."""
import json
import time
from pathlib import Path

import pytest

from hosts import prints, script, wait_until
from rawbus import Bus

pytestmark = pytest.mark.essential

HERE = Path(__file__).resolve().parent
LIMITS = "org.freedesktop.DBus.Error.LimitsExceeded"
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
OTHER = ["setpriv", "--reuid", "other", "--regid", "other", "--clear-groups"]


@pytest.fixture(scope="module")
def host(agent):
    agent.add_user("other")
    for name in ("busy.py", "rawbus.py"):
        agent.write(f"/tmp/busy/{name}", (HERE / name).read_text())
    body = f'for ((i = 0; i < 2000; i++)); do echo "line $i"; done; {prints("OK", "busy")}'
    agent.run(["ssictl", "add", agent.write("/tmp/busy.bash", script("Busy", body))])
    agent.run("for i in {1..30}; do systemctl start ssi-busy.service; done", timeout=120)
    with Bus(agent) as bus:
        wait_until(lambda: len(bus.service("busy", "GetHistory", "u", 1000)[0]) == 30, timeout=30)
    yield agent
    agent.run(["ssictl", "remove", "busy"])


@pytest.fixture(autouse=True)
def same_ssid(host):
    pid = host.pid("ssid.service")
    yield
    assert host.pid("ssid.service") == pid


def busy(host, kind, connections, calls, seconds=0, who=NOBODY):
    return host.start([*who, "/usr/bin/python3", "-B", "/tmp/busy/busy.py", kind, str(connections), str(calls), str(seconds)], stdout=-1)


def outcome(process):
    out = process.communicate(timeout=180)[0]
    assert process.returncode == 0
    return json.loads(out)


def longest_wait(host, process):
    """Root's, of ListServices, while the process runs."""
    longest = 0.0
    with Bus(host) as bus:
        while process.poll() is None:
            begin = time.monotonic()
            bus.manager("ListServices")
            longest = max(longest, time.monotonic() - begin)
            time.sleep(0.01)
    return longest


def test_validations(host):
    """Two at a time of one user; another's are done meanwhile."""
    process = busy(host, "validate", 1, 12)
    other = outcome(busy(host, "validate", 1, 1, who=OTHER))
    counts = outcome(process)
    assert other == {"": 1}
    assert counts[LIMITS] >= 6 and counts[""] >= 2 and set(counts) == {LIMITS, ""}, counts


def test_the_memory_of_a_validation(host):
    """Root has the same limits."""
    text = script("Costly", "f(){ " + "a;" * 500_000 + "}")
    with Bus(host) as bus:
        valid, problems, _ = bus.manager("ValidateScript", "ss", "x", text)
        assert not valid and "too much memory" in problems[0][2], problems
        # It is not the size.
        valid, problems, _ = bus.manager("ValidateScript", "ss", "x", script("Large", "a b c d\n" * 125_000))
        assert valid, problems


def test_histories(host):
    """Four at a time of one user, in order; the others hardly wait."""
    with Bus(host) as bus:
        expected = bus.service("busy", "GetHistory", "u", 1000)
        process = busy(host, "history", 10, 30)
        longest = longest_wait(host, process)
        counts = outcome(process)
        assert counts[""] >= 4 and counts[LIMITS] >= 100 and set(counts) == {LIMITS, ""}, counts
        assert bus.service("busy", "GetHistory", "u", 1000) == expected
    assert longest < 2, longest


def test_messages_that_wait_for_polkit(host):
    for kind in ("long-name", "many-options"):
        assert outcome(busy(host, kind, 1, 8)) == {LIMITS: 8}
