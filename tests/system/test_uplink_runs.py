# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon with the network gets the results from ssid, and may not read the journal: docs/adr/0048."""

import pytest

from conftest import register
from hosts import NOW, script, wait_until
from rawbus import Bus, Variant

AGENT = "org.ssi.Agent1 /org/ssi/Agent1 org.ssi.Agent1.Manager"


@pytest.fixture(scope="module")
def flow(boot_for_module):
    """A stack in which a service runs five times a second."""
    host = register(boot_for_module("--agent", "--server"))
    path = host.write("/tmp/tick.bash", script("Tick", f'echo "{NOW}, OK, run $INVOCATION_ID"'))
    host.run(["ssictl", "add", path])
    driver = host.start("while :; do systemctl start ssi-tick.service; sleep 0.2; done")
    yield host
    driver.kill()
    driver.wait()


def has_caught_up(host):
    """Everything that the journal has said is in the database, once and in order."""
    said = [line.split(", ", 2)[2] for line in host.lines("tick")]
    wait_until(lambda: said[-1] in host.events("tick"), timeout=60, what="the last result is in the database")
    assert host.events("tick")[:len(said)] == said, "lost, repeated or out of order"


def reconnects(host):
    return host.run("journalctl -b --no-pager -u ssi-uplinkd | grep -c 'Connected to'").stdout.strip()


def test_no_journal(flow):
    r = flow.run("runuser -u ssi-uplink -- journalctl -n 1 --no-pager", check=False)
    assert "insufficient permissions" in r.stderr, (r.stdout, r.stderr)
    # Not even if its user is still in the group after an upgrade.
    pid = flow.run("systemctl show -P MainPID ssi-uplinkd.service").stdout.strip()
    group = flow.run("getent group systemd-journal | cut -d: -f3").stdout.strip()
    assert group not in flow.run(f"grep ^Groups: /proc/{pid}/status").stdout.split()
    for folder in ("/var/log/journal", "/run/log/journal"):
        seen = flow.run(f"nsenter --mount --target {pid} sh -c 'find {folder} -type f 2>/dev/null | wc -l'").stdout
        assert seen.strip() == "0", folder
    assert int(flow.run("find /var/log/journal /run/log/journal -type f | wc -l", check=False).stdout) > 0
    has_caught_up(flow)


def test_for_nobody_else(flow):
    r = flow.run(f"setpriv --reuid 65534 --regid 65534 --clear-groups busctl call {AGENT} FollowRuns 'a{{sv}}' 0", check=False)
    assert r.returncode != 0 and "Access denied" in r.stderr, r.stderr
    # Nor by the number of somebody else's.
    for number in range(1, 4):
        r = flow.run(f"busctl call {AGENT} ReadRuns u {number}", check=False)
        assert r.returncode != 0 and "call FollowRuns first" in r.stderr, r.stderr
    for after in ("x", "s=1", "x" * 600):
        r = flow.run(f"busctl call {AGENT} FollowRuns 'a{{sv}}' 1 after s {after}", check=False)
        assert r.returncode != 0 and "not a cursor" in r.stderr, (after, r.stderr)


def test_ssid_restarts(flow):
    """Nothing is lost, and the connection to the backend stays."""
    before = reconnects(flow)
    for command in ("restart", "kill --signal=KILL", "restart"):
        seen = len(flow.events("tick"))
        flow.run(f"systemctl {command} ssid.service")
        wait_until(lambda seen=seen: len(flow.events("tick")) > seen + 5, timeout=60)
    has_caught_up(flow)
    assert reconnects(flow) == before


def test_ssid_is_away(flow):
    """Whoever stops ssid means it: the uplink does not start it, and waits."""
    flow.run("systemctl stop ssid.service")
    flow.run("sleep 3")
    assert flow.run("systemctl is-active ssid.service", check=False).stdout.strip() == "inactive"
    flow.run("systemctl start ssid.service")
    has_caught_up(flow)


def test_what_is_rotated_away_during_a_pause_is_a_gap(flow):
    """A reader that does not ask for long: what it has missed meanwhile is told."""
    with Bus(flow) as bus:
        number = bus.manager("FollowRuns", "a{sv}", {"since": Variant("t", 2 ** 64 - 1)})[0]
        wait_until(lambda: bus.manager("ReadRuns", "u", number)[1].get("live"))
        seen = len(flow.lines("tick"))
        # More than wait for it.
        flow.run("for ((i = 0; i < 150; i++)); do systemctl start ssi-tick.service; done", timeout=180)
        wait_until(lambda: len(flow.lines("tick")) > seen + 150, timeout=120)
        flow.run("journalctl --rotate; sleep 1; journalctl --rotate; journalctl -q --vacuum-files=1")
        seen = len(flow.lines("tick"))
        wait_until(lambda: len(flow.lines("tick")) > seen + 3, timeout=30)
        gaps = []
        for _ in range(20):
            gaps += [notes["gap"] for _, notes in [bus.manager("ReadRuns", "u", number)] if "gap" in notes]
        assert len(gaps) == 1, gaps
        bus.manager("UnfollowRuns", "u", number)


def test_a_place_that_is_not_in_this_journal(flow):
    """Of a stranger who had the agent's key: the host goes on from now, and says that something is missing."""
    flow.run("systemctl stop ssi-uplinkd.service")
    flow.sql(f"UPDATE servers SET resume_cursor = 'c9' WHERE public_id = '{flow.server_id}'")
    seen = len(flow.events("tick"))
    flow.run("systemctl start ssi-uplinkd.service")
    wait_until(lambda: len(flow.events("tick")) > seen + 5, timeout=60)
    assert flow.sql(f"SELECT count(*) FROM events e JOIN servers s ON s.id = e.server_id"
                    f" WHERE s.public_id = '{flow.server_id}' AND e.kind = 'gap' AND e.gap_from IS NULL")[0][0] == "1"
