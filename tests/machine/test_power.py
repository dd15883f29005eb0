# SPDX-License-Identifier: LGPL-2.1-or-later
"""A reboot, and the plug pulled."""
import time

import pytest

from hosts import prints, script
from machine import say

# The time is their number: it goes on across boots.
STAMP = "$(date +%s.%N)"
# Emulated, a run can take long while the machine boots.
TICK = script("Tick", prints("OK", STAMP), schedule="*:*:0/5", timeout="300")
BUSY = script("Busy", prints("OK", STAMP), timeout="300")
# Under way when the machine goes. One has not said anything, one has said its status.
SILENT = script("Silent", "sleep 900\n" + prints("OK", STAMP), timeout="1000")
SAID = script("Said", prints("WARNING", STAMP) + "\nsleep ${SECONDS_TO_SLEEP:-900}", timeout="1000")


def run_without_end(machine):
    machine.run(["systemd-run", "--quiet", "--unit=driver", "bash", "-c", "while :; do systemctl start ssi-busy.service; sleep 1; done"])


def lost(machine, slug):
    """Results that went with the power: the backend has them, the journal has not."""
    results = machine.results(slug)
    kept = set(machine.kept(slug))
    return [r for r in results if r not in kept]


def settle(machine, *slugs):
    """Ends what goes on, waits until the backend has the last that the journal has, and compares."""
    machine.run("systemctl stop driver.service ssi-tick.timer", check=False)
    for slug in slugs:
        kept = machine.kept(slug)
        assert kept
        machine.wait_until(lambda: kept[-1] in machine.results(slug), what=f"the last of {slug} arrives")
        stored = machine.results(slug)
        assert len(set(stored)) == len(stored), f"{slug}: {[s for s in set(stored) if stored.count(s) > 1]} came twice"
        assert stored == sorted(stored, key=float), f"{slug}: out of order"
        missing = [k for k in kept if k not in stored]
        assert not missing, f"{slug}: of {len(kept)} in the journal, the backend lacks {missing}"
        say(f"{slug}: {len(kept)} in the journal, {len(stored)} in the backend, {len(lost(machine, slug))} of them lost from the journal")


@pytest.fixture(scope="module")
def services(machine):
    machine.run(["ssictl", "add", *(machine.write(f"/root/{n}.bash", text) for n, text in enumerate((TICK, BUSY, SILENT, SAID)))])
    yield
    machine.run("ssictl remove tick busy silent said")


def begin(machine):
    """Results come without end, and two runs are under way."""
    busy, tick, said = (len(machine.results("busy")), len(machine.results("tick")), len(machine.kept("said")))
    machine.run("systemctl start --no-block ssi-silent.service ssi-said.service ssi-tick.timer")
    run_without_end(machine)
    machine.wait_until(lambda: len(machine.results("busy")) > busy + 3 and len(machine.results("tick")) > tick + 2, what="results come")
    machine.wait_until(lambda: len(machine.kept("said")) > said)


def runs_again(machine):
    """The runs that were cut short are no errors, and the next ones count. What one had said before may count, too."""
    assert machine.results("silent") == []
    folder = "/run/systemd/system/ssi-said.service.d"
    machine.write(f"{folder}/short.conf", "[Service]\nEnvironment=SECONDS_TO_SLEEP=0\n")
    machine.run(f"systemctl daemon-reload; systemctl start ssi-said.service; rm -r {folder}; systemctl daemon-reload")
    kept = machine.kept("said")
    machine.wait_until(lambda: kept[-1] in machine.results("said"))
    said = machine.results("said")
    assert said == sorted(set(said), key=float) and set(said) <= set(kept)


def test_reboot(machine, services):
    begin(machine)
    boot, told, gaps, errors = machine.boot_id(), machine.server.told(), machine.gaps(), machine.errors()
    begun = time.monotonic()
    machine.run("systemctl reboot", check=False)
    machine.wait_state("rebooting")
    say(f"the backend says rebooting after {time.monotonic() - begun:.1f} s")
    machine.wait_event("RESET", 300)
    assert machine.state() == "rebooting"
    say(f"the machine has gone down after {time.monotonic() - begun:.0f} s")
    machine.wait_up()
    machine.wait_state("online")
    say(f"the backend says online after {time.monotonic() - begun:.0f} s")
    assert machine.boot_id() != boot
    settle(machine, "tick", "busy")
    assert lost(machine, "tick") == lost(machine, "busy") == []
    assert machine.gaps() == gaps, "a gap"
    # What the reboot cut short, too.
    assert machine.server.told() == told and machine.errors() == errors


def test_power_cut_in_the_midst_of_results(machine, services):
    begin(machine)
    boot, gaps, errors = machine.boot_id(), machine.gaps(), machine.errors()
    # What follows stays in memory, though the backend has it: results, and more lines than the next boot will write.
    machine.run("journalctl --sync; echo 0 >/proc/sys/vm/dirty_writeback_centisecs; seq 1500 | systemd-cat -t noise")
    n = len(machine.results("busy"))
    machine.wait_until(lambda: len(machine.results("busy")) > n + 6)
    machine.cut_power()
    say("the power is cut")
    machine.power_on()
    machine.wait_state("online")
    assert machine.boot_id() != boot
    settle(machine, "tick", "busy")
    assert lost(machine, "busy"), "nothing was lost, so this shows nothing"
    assert machine.gaps() == gaps + 1, "what the journal has lost is told as a gap"
    runs_again(machine)
    assert machine.errors() == errors, "an error"


def test_power_cut_while_the_backend_is_away(machine, services):
    """What only the journal has is sent after the boot; a machine that stays away is told of."""
    begin(machine)
    gaps, errors, told = machine.gaps(), machine.errors(), machine.server.told()
    lost_before = lost(machine, "tick"), lost(machine, "busy")
    machine.server.run("systemctl stop ssi-serverd.socket ssi-serverd.service")
    n = len(machine.kept("busy"))
    machine.wait_until(lambda: len(machine.kept("busy")) > n + 6)
    away = machine.kept("busy")[n:]
    machine.run("journalctl --sync")
    machine.cut_power()
    machine.server.run("systemctl start ssi-serverd.socket ssi-serverd.service")
    machine.wait_state("offline")
    machine.wait_until(lambda: machine.server.told() == [*told, ("state", None, "offline")], what="it is told of")
    machine.power_on()
    machine.wait_state("online")
    machine.wait_until(lambda: machine.server.told() == [*told, ("state", None, "offline"), ("state", None, "online")])
    settle(machine, "tick", "busy")
    assert set(away) <= set(machine.results("busy")), "what only the journal had"
    assert (lost(machine, "tick"), lost(machine, "busy")) == lost_before
    assert machine.gaps() == gaps, "a gap"
    runs_again(machine)
    assert machine.errors() == errors, "an error"
