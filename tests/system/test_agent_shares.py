# SPDX-License-Identifier: LGPL-2.1-or-later
"""What one local user makes ssid do takes little from the others, and never ends ssid."""
import json
import time
from pathlib import Path

import pytest

from hosts import prints, script, wait_until
from rawbus import DESTINATION, MEMBER, METHOD_CALL, METHOD_RETURN, SENDER, Bus, BusError

pytestmark = pytest.mark.other_release

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


def answers_to_root(host, process):
    """How often ssid answers root while the process runs."""
    n = 0
    with Bus(host) as bus:
        while process.poll() is None:
            bus.manager("ListServices")
            n += 1
            time.sleep(0.01)
    return n


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
        n = answers_to_root(host, process)
        counts = outcome(process)
        assert counts[""] >= 4 and counts[LIMITS] >= 100 and set(counts) == {LIMITS, ""}, counts
        assert bus.service("busy", "GetHistory", "u", 1000) == expected
    assert n >= 5, n


def answers_beside(host, member):
    """Gives what tells how many calls ssid answers to others while the next call of this method waits for its answer."""
    with Bus(host) as bus:
        ssid = bus.bus("GetNameOwner", "s", "org.ssi.Agent1")[0]
    monitor = Bus(host)
    monitor.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus.Monitoring", "BecomeMonitor", "asu", [], 0)

    def count():
        caller, n = None, 0
        with monitor:
            while True:
                kind, fields, _ = monitor.message()
                if kind == METHOD_CALL and fields.get(MEMBER) == member:
                    caller = fields[SENDER]
                elif kind == METHOD_RETURN and fields[SENDER] == ssid and caller:
                    if fields[DESTINATION] == caller:
                        return n
                    n += 1

    return count


def test_turns(host):
    """A flood of calls that are answered at once: others come after one or two of them, not after all that were sent before."""
    process = busy(host, "objects", 10, 100, 10)
    with Bus(host) as bus:
        # It has begun.
        wait_until(lambda: len([n for n in bus.bus("ListNames")[0] if n.startswith(":") and uid(bus, n) == 65534]) == 10)
        beside = []
        for _ in range(5):
            count = answers_beside(host, "GetService")
            assert outcome(busy(host, "get-service", 1, 1, who=OTHER)) == {"": 1}
            beside.append(count())
    counts = outcome(process)
    print(f"answers to others meanwhile: {beside}; {counts}")
    assert set(counts) == {LIMITS, ""} and counts[LIMITS] >= 500 and counts[""] >= 100, counts
    assert sorted(beside)[2] < 20, beside


def uid(bus, name):
    try:
        return bus.bus("GetConnectionUnixUser", "s", name)[0]
    except BusError:
        return None


@pytest.mark.parametrize("kind", ["properties", "introspect", "list", "uplink-properties", "uplink-introspect"])
def test_a_flood_of_each_kind(host, kind):
    """More than may wait is refused; the rest is answered in order, and root and another user are answered meanwhile."""
    process = busy(host, kind, 10, 100, 3)
    with Bus(host) as bus:
        while process.poll() is None:
            assert outcome(busy(host, kind, 1, 1, who=OTHER)) == {"": 1}
            assert bus.manager("GetService", "s", "busy") == ["/org/ssi/Agent1/service/busy"]
    counts = outcome(process)
    assert set(counts) == {LIMITS, ""} and counts[""] >= 128, counts


@pytest.mark.parametrize("kind", ["validate", "add", "test", "unknown", "uplink-register"])
def test_a_flood_of_large_calls(host, kind):
    """Each is answered; so are the small ones of others meanwhile."""
    process = busy(host, kind, 4, 8, 2)
    while process.poll() is None:
        assert outcome(busy(host, "properties", 1, 1, who=OTHER)) == {"": 1}
        assert outcome(busy(host, "uplink-properties", 1, 1, who=OTHER)) == {"": 1}
    counts = outcome(process)
    other = {"validate": "", "unknown": "org.freedesktop.DBus.Error.UnknownMethod"}.get(
        kind, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired")
    assert counts[other] >= 2 and set(counts) <= {LIMITS, other} and sum(counts.values()) % 32 == 0, counts


def test_one_connection_is_not_refused(host):
    """It may have as many calls under way as the bus allows it."""
    assert outcome(busy(host, "list", 1, 128)) == {"": 128}


def test_connections_that_come_and_go(host):
    """The bus is asked who they are, each time."""
    for _ in range(20):
        assert set(outcome(busy(host, "properties", 50, 2, who=OTHER))) == {""}


def test_messages_that_wait_for_polkit(host):
    for kind in ("long-name", "many-options"):
        assert outcome(busy(host, kind, 1, 8)) == {LIMITS: 8}
