"""A reboot, and the plug pulled."""
import time

from hosts import prints, script
from machine import say

# The time is their number: it goes on across boots.
STAMP = "$(date +%s.%N)"
TICK = script("Tick", prints("OK", STAMP), schedule="*:*:0/5")
BUSY = script("Busy", prints("OK", STAMP))
# Under way when the machine goes. One has not said anything, one has said its status.
SILENT = script("Silent", "sleep 900\n" + prints("OK", STAMP), timeout="1000")
SAID = script("Said", prints("WARNING", STAMP) + "\nsleep ${SECONDS_TO_SLEEP:-900}", timeout="1000")


def run_without_end(machine):
    machine.run(["systemd-run", "--quiet", "--unit=driver", "bash", "-c", "while :; do systemctl start ssi-busy.service; sleep 1; done"])


def settle(machine, *slugs):
    """Ends what goes on, and waits until the backend has the last that the journal has. Gives what was lost with the power: results
    that the backend has and the journal has not, per service."""
    machine.run("systemctl stop driver.service ssi-tick.timer", check=False)
    lost = {}
    for slug in slugs:
        kept = machine.kept(slug)
        assert kept
        machine.wait_until(lambda: kept[-1] in machine.results(slug), what=f"the last of {slug} arrives")
        stored = machine.results(slug)
        assert len(set(stored)) == len(stored), f"{slug}: {[s for s in set(stored) if stored.count(s) > 1]} came twice"
        assert stored == sorted(stored, key=float), f"{slug}: out of order"
        missing = [k for k in kept if k not in stored]
        assert not missing, f"{slug}: of {len(kept)} in the journal, the backend lacks {missing}"
        lost[slug] = [s for s in stored if s not in kept]
        say(f"{slug}: {len(kept)} in the journal, {len(stored)} in the backend, {len(lost[slug])} of them lost from the journal")
    return lost


def begin(machine, add):
    for text in (TICK, BUSY, SILENT, SAID):
        add(text)
    machine.run("systemctl start --no-block ssi-silent.service ssi-said.service")
    run_without_end(machine)
    machine.wait_until(lambda: len(machine.results("busy")) > 5 and len(machine.results("tick")) > 2, what="results come")
    machine.wait_until(lambda: machine.kept("said"))


def end_of_said(machine):
    """The next run of it shows that the one that was cut short has ended, with what it had said."""
    cut_short = machine.kept("said")
    assert cut_short[-1] not in machine.results("said")
    folder = "/run/systemd/system/ssi-said.service.d"
    machine.write(f"{folder}/short.conf", "[Service]\nEnvironment=SECONDS_TO_SLEEP=0\n")
    machine.run(f"systemctl daemon-reload; systemctl start ssi-said.service; rm -r {folder}; systemctl daemon-reload")
    machine.wait_until(lambda: len(machine.results("said")) == len(cut_short) + 1)
    assert machine.results("said") == machine.kept("said")
    assert machine.kept("said")[:-1] == cut_short


def test_reboot(machine, add):
    begin(machine, add)
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
    lost = settle(machine, "tick", "busy")
    assert lost == {"tick": [], "busy": []}
    assert machine.gaps() == gaps, "a gap"
    assert machine.errors() == errors, "an error"
    assert machine.server.told() == told, "an alarm"


def test_power_cut_in_the_midst_of_results(machine, add):
    begin(machine, add)
    boot, gaps, errors = machine.boot_id(), machine.gaps(), machine.errors()
    # What follows stays in memory, though the backend has it: results, and more lines than the next boot will write.
    machine.run("journalctl --sync; echo 0 >/proc/sys/vm/dirty_writeback_centisecs; seq 1500 | systemd-cat -t noise")
    n = len(machine.results("busy"))
    machine.wait_until(lambda: len(machine.results("busy")) > n + 10)
    machine.cut_power()
    say("the power is cut")
    machine.power_on()
    machine.wait_state("online")
    assert machine.boot_id() != boot
    lost = settle(machine, "tick", "busy")
    assert lost["busy"], "nothing was lost, so this shows nothing"
    assert machine.gaps() == gaps + 1, "what the journal has lost is told as a gap"
    end_of_said(machine)
    assert machine.results("silent") == []
    assert machine.errors() == errors, "an error"


def test_power_cut_while_the_backend_is_away(machine, add):
    """What only the journal has is sent after the boot; a machine that stays away is told of."""
    begin(machine, add)
    gaps, errors, told = machine.gaps(), machine.errors(), machine.server.told()
    machine.server.run("systemctl stop ssi-serverd.socket ssi-serverd.service")
    n = len(machine.kept("busy"))
    machine.wait_until(lambda: len(machine.kept("busy")) > n + 10)
    machine.run("journalctl --sync")
    machine.cut_power()
    machine.server.run("systemctl start ssi-serverd.socket ssi-serverd.service")
    machine.wait_state("offline")
    machine.wait_until(lambda: machine.server.told() == [*told, ("state", None, "offline")], what="it is told of")
    machine.power_on()
    machine.wait_state("online")
    machine.wait_until(lambda: machine.server.told() == [*told, ("state", None, "offline"), ("state", None, "online")])
    lost = settle(machine, "tick", "busy")
    assert len(machine.results("busy")) > n + 10
    assert lost == {"tick": [], "busy": []} and machine.gaps() == gaps
    end_of_said(machine)
    assert machine.results("silent") == []
    assert machine.errors() == errors, "an error"
