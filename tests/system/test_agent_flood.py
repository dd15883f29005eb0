# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs whose output comes late to the journal, since there is much of it or since journald is slow: each is what it printed last,
and none is an execution error."""
import time

import pytest

from hosts import prints, script, wait_until

pytestmark = pytest.mark.other_release


def add_flood(host, add, name, lines):
    slug = name.lower()
    add(host, script(name, f'for ((i = 0; i < {lines}; i++)); do echo "line $i"; done; {prints("OK", "run $INVOCATION_ID")}'))
    # How journald limits the rate is not what is tried here. (An interval of 0 would leave journald's own.)
    host.write(f"/etc/systemd/system/ssi-{slug}.service.d/rate.conf", "[Service]\nLogRateLimitIntervalSec=1s\nLogRateLimitBurst=10000000\n")
    host.run("systemctl daemon-reload")
    return slug


def assert_all_told(host, slug, n):
    wait_until(lambda: len(host.events(slug)) >= n, timeout=30)
    assert host.sql(f"SELECT kind, status, error_kind FROM events WHERE service = '{slug}'") == [["result", "OK", ""]] * n
    assert len(set(host.events(slug))) == n


@pytest.mark.slow
def test_flood(stack, add):
    slug = add_flood(stack, add, "Flood", 3000)
    stack.run(f"for i in {{1..50}}; do systemctl start ssi-{slug}.service; done", timeout=300)
    assert_all_told(stack, slug, 50)


def test_journald_is_slow_at_the_end_of_a_run(stack, add):
    """It stands still for a second around the end, and has all that was printed to read when it goes on."""
    slug = add_flood(stack, add, "Stalled", 30)
    journald = stack.pid("systemd-journald.service")
    for i in range(10):
        run = stack.start(["systemctl", "start", f"ssi-{slug}.service"])
        if i % 2:
            time.sleep(0.02)
        stack.run(["kill", "-STOP", str(journald)])
        time.sleep(1)
        stack.run(["kill", "-CONT", str(journald)])
        run.wait(timeout=30)
    assert_all_told(stack, slug, 10)
