# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is on disk is what the API tells, whoever changed it: without a restart, and the same after one."""
import pytest

from hosts import prints, script, wait_until
from rawbus import Bus, BusError, Variant

BIN, UNITS = "/usr/local/bin/ssi", "/etc/systemd/system"
NO_SUCH = "org.ssi.Agent1.Error.NoSuchService"


@pytest.fixture
def bus(agent):
    with Bus(agent) as b:
        yield b


@pytest.fixture
def edited(agent, bus, add):
    add(agent, script("Edited", prints("OK", "x"), timeout="90s"))
    agent.run("systemctl start ssi-edited.service")
    wait_until(lambda: bus.properties("edited")["Status"] == "OK")
    yield "edited"
    agent.run(f"rm -rf {UNITS}/ssi-edited.*.d; systemctl daemon-reload; systemctl reset-failed 'ssi-edited*'", check=False)


def names(bus):
    return [s[0] for s in bus.manager("ListServices")[0]]


def same_after_a_restart(agent):
    """Calls the function again with a fresh ssid and a connection that has not seen the old one."""
    agent.run("systemctl restart ssid.service")
    return Bus(agent)


def left(agent, slug):
    files = agent.run(f"find {BIN} {UNITS} -name '*{slug}*' ! -name '*.d'").stdout
    return files + agent.run(f"systemctl list-units --all --plain --no-legend 'ssi-{slug}*'").stdout


@pytest.mark.parametrize("path", [f"{UNITS}/ssi-edited.service", f"{BIN}/edited"])
def test_a_part_is_removed_by_hand(agent, bus, edited, path):
    """Then it is no service any more; the rest is removed, or mended, as if it were."""
    agent.run(["rm", path])
    wait_until(lambda: edited not in names(bus))
    with pytest.raises(BusError) as e:
        bus.manager("GetService", "s", edited)
    assert e.value.name == NO_SUCH
    with same_after_a_restart(agent) as again:
        assert edited not in names(again)
        assert left(agent, edited)
        again.manager("AddService", "ssa{sv}", "x", script("Edited", prints("OK", "mended")), {})
        assert again.properties(edited)["Enabled"]
        agent.run(["rm", path])
        wait_until(lambda: edited not in names(again))
        again.manager("RemoveService", "s", edited)
        wait_until(lambda: left(agent, edited) == "", what=lambda: left(agent, edited))
        with pytest.raises(BusError) as e:
            again.manager("RemoveService", "s", edited)
        assert e.value.name == NO_SUCH


def test_all_is_removed_by_hand(agent, bus, edited):
    """And the timer's stamp, which then stays, does not make a later service run at once."""
    agent.run(f"rm {BIN}/edited {UNITS}/ssi-edited.*; systemctl stop ssi-edited.timer; systemctl daemon-reload")
    wait_until(lambda: edited not in names(bus))
    assert "edited" in agent.run("ls /var/lib/systemd/timers").stdout
    agent.run("touch -d '-3 days' /var/lib/systemd/timers/stamp-ssi-edited.timer")
    before = len(agent.lines(edited))
    bus.manager("AddService", "ssa{sv}", "x", script("Edited", prints("OK", "new")), {})
    agent.run("systemctl is-active ssi-edited.timer")
    with Bus(agent) as again:
        assert again.properties(edited)["NextRunUSec"] > 0
    assert len(agent.lines(edited)) == before


def test_the_timer_is_removed_by_hand(agent, bus, edited):
    assert bus.properties(edited)["Enabled"]
    agent.run(f"rm {UNITS}/ssi-edited.timer")
    wait_until(lambda: not bus.properties(edited)["Enabled"])
    agent.run("systemctl daemon-reload")
    wait_until(lambda: bus.properties(edited)["NextRunUSec"] == 0)
    with same_after_a_restart(agent) as again:
        p = again.properties(edited)
        assert not p["Enabled"] and p["Status"] == "OK"
        again.service(edited, "Run")
        with pytest.raises(BusError) as e:
            again.service(edited, "Enable")
        assert e.value.name == "org.ssi.Agent1.Error.ChangeFailed" and "--replace" in e.value.message
        again.manager("AddService", "ssa{sv}", "x", script("Edited", prints("OK", "x")), [("replace", Variant("b", True))])
        p = again.properties(edited)
        assert p["Enabled"] and p["NextRunUSec"] > 0


def test_the_script_is_edited_by_hand(agent, bus, edited):
    agent.run(f"sed -i -e 's/# version: .*/# version: 7.7/' -e 's/# description: .*/# description: by hand/' {BIN}/edited")
    wait_until(lambda: bus.properties(edited)["ScriptVersion"] == "7.7")
    p = bus.properties(edited)
    assert p["Description"] == "by hand" and p["Metadata"] == {"description": "by hand", "version": "7.7"}
    agent.run(f"sed -i '/# version:/d' {BIN}/edited")
    wait_until(lambda: bus.properties(edited)["Metadata"] == {"description": "by hand"})
    assert bus.properties(edited)["ScriptVersion"] == ""
    agent.run(f"sed -i 's/^# description:/# version: 7.7\\n&/' {BIN}/edited")
    with same_after_a_restart(agent) as again:
        assert again.properties(edited)["ScriptVersion"] == "7.7" and again.properties(edited)["Metadata"] == p["Metadata"]
        assert "7.7" in again.service(edited, "GetScript")[0]


def test_the_units_are_edited_by_hand(agent, bus, edited):
    """In any form that systemd takes; as for systemd itself, it counts from the daemon-reload on."""
    former = bus.properties(edited)["NextRunUSec"]
    agent.run(f"sed -i 's/^TimeoutStartSec=.*/TimeoutStartSec=2min 3s/' {UNITS}/ssi-edited.service;"
              f" sed -i 's/^OnCalendar=.*/OnCalendar=*-01-01/' {UNITS}/ssi-edited.timer; systemctl daemon-reload")
    wait_until(lambda: bus.properties(edited)["TimeoutUSec"] == 123_000_000)
    wait_until(lambda: bus.properties(edited)["NextRunUSec"] > former + 7 * 86400 * 10**6)
    with same_after_a_restart(agent) as again:
        wait_until(lambda: again.properties(edited)["TimeoutUSec"] == 123_000_000)
        wait_until(lambda: again.properties(edited)["NextRunUSec"] > former + 7 * 86400 * 10**6)


def test_drop_ins_are_honoured_and_kept(agent, bus, edited):
    agent.write(f"{UNITS}/ssi-edited.service.d/slow.conf", "[Service]\nTimeoutStartSec=5min\n")
    agent.write(f"{UNITS}/ssi-edited.timer.d/late.conf", "[Timer]\nOnCalendar=\nOnCalendar=*-01-01\n")
    former = bus.properties(edited)["NextRunUSec"]
    agent.run("systemctl daemon-reload")
    wait_until(lambda: bus.properties(edited)["TimeoutUSec"] == 300_000_000)
    wait_until(lambda: bus.properties(edited)["NextRunUSec"] > former + 7 * 86400 * 10**6)

    # Known when AddService answers, not some time later.
    bus.manager("AddService", "ssa{sv}", "x", script("Edited", prints("OK", "x"), timeout="45s", version="2.0"),
                [("replace", Variant("b", True))])
    p = bus.properties(edited)
    assert p["ScriptVersion"] == "2.0"
    assert p["TimeoutUSec"] == 300_000_000
    assert p["NextRunUSec"] > former + 7 * 86400 * 10**6
    assert agent.run(f"ls {UNITS}/ssi-edited.service.d {UNITS}/ssi-edited.timer.d").stdout.split()[1::2]

    agent.run(f"rm -r {UNITS}/ssi-edited.service.d {UNITS}/ssi-edited.timer.d; systemctl daemon-reload")
    wait_until(lambda: bus.properties(edited)["TimeoutUSec"] == 45_000_000)
    wait_until(lambda: bus.properties(edited)["NextRunUSec"] < former + 7 * 86400 * 10**6)


def test_a_drop_in_changes_what_a_run_does(agent, bus, add):
    """TimeoutStartSec= of a drop-in ends the run."""
    add(agent, script("Dropped In", "sleep 30", timeout="60s"))
    agent.write(f"{UNITS}/ssi-dropped-in.service.d/short.conf", "[Service]\nTimeoutStartSec=300ms\n")
    agent.run("systemctl daemon-reload")
    try:
        agent.run("systemctl start ssi-dropped-in.service", check=False)
        wait_until(lambda: bus.properties("dropped-in")["LastRunResult"] == "timeout")
    finally:
        agent.run(f"rm -r {UNITS}/ssi-dropped-in.service.d")
