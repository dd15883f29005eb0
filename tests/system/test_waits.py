# SPDX-License-Identifier: LGPL-2.1-or-later
"""Nobody waits for ever: whatever keeps the end of a run from being told, ssictl says so and ends with 6."""
import time

import pytest

from hosts import NOW, prints, script, wait_until

TIMED_OUT = 6
# Each waits for a minute or so.
pytestmark = pytest.mark.slow

STUBBORN = "trap '' TERM; while :; do sleep 1; done"


@pytest.fixture(scope="module")
def host(boot_for_module):
    return boot_for_module("--agent")


def start(host, *args):
    return host.start(["ssictl", *args], stdout=-1, stderr=-1)


def end(process, timeout):
    """(exit status, what it said, seconds) — of one that ends by itself."""
    began = time.monotonic()
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out + err, time.monotonic() - began


@pytest.mark.other_release
def test_the_journal_says_nothing(host, add):
    add(host, script("Unheard", prints("OK", "unheard"), timeout="1"))
    path = host.write("/tmp/tried.bash", script("Tried", prints("OK", "tried")))
    host.run("systemctl kill --signal=STOP systemd-journald.service")
    try:
        run, tried = start(host, "run", "unheard"), start(host, "test", path)
        status, said, took = end(run, 120)
        assert status == TIMED_OUT and "did not report the end of unheard within its timeout" in said and "systemctl status ssi-unheard.service" in said, said
        assert took > 25
        status, said, _ = end(tried, 30)
        assert status == 1 and "the journal does not say how it ended" in said, said
    finally:
        host.run("systemctl kill --signal=CONT systemd-journald.service")


@pytest.mark.other_release
def test_systemd_does_not_end_it(host, add):
    """Or says so of one that it does not start in the first place: a service's timeout and some time to spare, no more."""
    add(host, script("Stubborn", STUBBORN, timeout="1"))
    add(host, script("Endless", f'sleep 40; echo "{NOW}, OK, endless"', timeout="1"), filename="endless.bash")
    folder = "/run/systemd/system"
    host.write(f"{folder}/ssi-stubborn.service.d/stop.conf", "[Service]\nTimeoutStartSec=1\nTimeoutStopSec=infinity\n")
    host.write(f"{folder}/ssi-endless.service.d/start.conf", "[Service]\nTimeoutStartSec=infinity\n")
    # For transient units, too; the next one to be started is the test's.
    host.write(f"{folder}/service.d/start.conf", "[Service]\nTimeoutStartSec=infinity\n")
    host.run("systemctl daemon-reload; sleep 1")
    try:
        path = host.write("/tmp/tried.bash", script("Tried", "sleep 300", timeout="1"))
        stubborn, endless, tried = start(host, "run", "stubborn"), start(host, "run", "endless"), start(host, "test", path)
        status, said, took = end(stubborn, 120)
        assert status == TIMED_OUT and "did not report the end of stubborn within its timeout" in said, said
        assert took > 25
        status, said, _ = end(tried, 20)
        assert status == TIMED_OUT and "The script has not ended, though its timeout has passed" in said, said
        assert not host.run("systemctl list-units --plain --no-legend 'ssi_test_*'").stdout.strip()
        # No timeout is no limit, while it runs.
        assert end(endless, 30)[:2] == (0, "endless: OK, endless\n")
    finally:
        host.run(f"systemctl kill --signal=KILL ssi-stubborn.service; rm -r {folder}/ssi-*.service.d {folder}/service.d; "
                 "systemctl daemon-reload")


def test_an_agent_that_hangs(host, add):
    """As it does for some time before its watchdog sees it. The waiting is ssictl's own, whatever the release, and takes one and a half minutes."""
    add(host, script("Hung", f'sleep 60; echo "{NOW}, OK, hung"', timeout="20"))
    path = host.write("/tmp/tried.bash", script("Tried", "sleep 60", timeout="20"))
    host.write("/run/systemd/system/ssid.service.d/no-watchdog.conf", "[Service]\nWatchdogSec=0\n")
    host.run("systemctl daemon-reload; systemctl restart ssid.service")
    waiting = [start(host, "run", "hung"), start(host, "test", path), start(host, "log", "-f", "hung")]
    wait_until(lambda: host.show("ssi-hung.service", "ActiveState")["ActiveState"] == "activating" and
               host.run("systemctl list-units --plain --no-legend 'ssi_test_*'").stdout.strip(), what="both run")
    time.sleep(1)
    assert all(p.poll() is None for p in waiting)
    host.run("systemctl kill --signal=STOP ssid.service")
    try:
        for p in waiting:
            status, said, _ = end(p, 90)
            assert status == TIMED_OUT and "The agent does not answer" in said, (status, said)
    finally:
        host.run("systemctl kill --signal=CONT ssid.service; rm -r /run/systemd/system/ssid.service.d; systemctl daemon-reload; "
                 "systemctl restart ssid.service")
