# SPDX-License-Identifier: LGPL-2.1-or-later
"""Suspended to memory for two hours, of which the machine's clock tells on waking up. It comes last: the clock stays ahead."""
import time

from hosts import prints, script
from machine import say

STAMP = "$(date +%s.%N)"
HOURS = 2
# Longer than the backend waits for a sign of life.
ASLEEP = 55


def test_suspend(machine, add):
    add(script("Second", prints("OK", STAMP), schedule="*:*:0/5", timeout="300"))
    add(script("Quarter", prints("OK", STAMP), schedule="*:0/15", timeout="300"))
    add(script("Nap", "sleep 40\n" + prints("OK", STAMP), timeout="150"))
    machine.wait_until(lambda: len(machine.results("second")) > 2)
    boot, gaps, errors, told = machine.boot_id(), machine.gaps(), machine.errors(), machine.server.told()
    quarters = len(machine.results("quarter"))

    # A run is under way all the time.
    machine.run("systemctl start --no-block ssi-nap.service; systemctl suspend")
    machine.wait_event("SUSPEND")
    say("the machine sleeps")
    machine.advance_rtc(HOURS * 3600)
    time.sleep(ASLEEP)
    assert machine.state() == "offline" and machine.results("nap") == []
    machine.wake_up()
    begun = time.monotonic()
    uptime, now = machine.run("cat /proc/uptime; date +%s").stdout.split()[0::2]
    say(f"awake; its clock is {float(now) - time.time():.0f} s ahead")
    assert abs(float(now) - time.time() - HOURS * 3600) < 30 and float(uptime) > HOURS * 3600
    machine.wait_state("online")
    say(f"the backend says online {time.monotonic() - begun:.0f} s after it woke up")

    # The timer that elapsed meanwhile runs at once, and once.
    machine.wait_until(lambda: len(machine.results("quarter")) > quarters)
    assert len(machine.results("quarter")) == quarters + 1
    late = float(machine.results("quarter")[-1]) - float(now)
    say(f"what was due while it slept ran {late:.0f} s after it woke up")
    assert late < 30
    # Its timeout is one of a clock that stood still.
    machine.wait_until(lambda: machine.results("nap"))
    n = len(machine.results("second"))
    machine.wait_until(lambda: len(machine.results("second")) > n + 3)

    machine.run("systemctl stop ssi-second.timer")
    kept = machine.kept("second")
    machine.wait_until(lambda: kept[-1] in machine.results("second"))
    assert machine.results("second") == kept == sorted(kept, key=float)
    before = [k for k in kept if float(k) < float(now) - HOURS * 1800]
    assert before and len(before) < len(kept), "results of both sides"
    assert machine.boot_id() == boot
    assert machine.gaps() == gaps, "a gap"
    assert machine.errors() == errors, "an error"
    assert machine.server.told() == told, "an alarm"
