# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each daemon is killed while results flow: nothing is lost, nothing is repeated, the order stays."""
import pytest

from conftest import register
from hosts import NOW, script, wait_until

pytestmark = pytest.mark.essential

VICTIMS = ["ssi-serverd", "ssi-uplinkd", "ssid", "ssi-postgres"]


@pytest.fixture(scope="module")
def flow(boot_for_module):
    """A stack of our own in which a service runs about five times a second."""
    host = register(boot_for_module("--agent", "--server"))
    path = host.write("/tmp/tick.bash", script("Tick", f'echo "{NOW}, OK, run $INVOCATION_ID"'))
    host.run(["ssictl", "add", path])
    driver = host.start("while :; do systemctl start ssi-tick.service; sleep 0.2; done")
    yield host
    driver.kill()
    driver.wait()


def tick_messages(host):
    return [line.split(", ", 2)[2] for line in host.lines("tick")]


def is_back(host, victim, pid):
    """Started, too: one that is killed before is a failed start, which systemd reports as an error."""
    unit = f"{victim}.service"
    return host.pid(unit) not in (0, pid) and host.show(unit, "ActiveState")["ActiveState"] == "active"


def settled(host, timeout=90):
    """Waits until the database has caught up with the journal as it is now, and compares all of it."""
    messages = tick_messages(host)
    assert messages
    wait_until(lambda: messages[-1] in host.events("tick"), timeout=timeout, what="the last result is in the database")
    assert host.events("tick")[:len(messages)] == messages


@pytest.mark.other_release
@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.expect_error(r"FATAL: .*(starting up|not yet accepting|recovery mode|shutting down|terminating|interrupted)")
@pytest.mark.expect_error(r"database system was (interrupted|not properly shut down)")
@pytest.mark.expect_error(r"FATAL: .*connection to client lost")
def test_sigkill_while_results_flow(flow, victim):
    def results_flow():
        """Some more of them, since one can be killed before it has done anything."""
        seen = len(tick_messages(flow))
        wait_until(lambda: len(tick_messages(flow)) > seen + 2, timeout=30, what="results flow")

    for _ in range(3):
        results_flow()
        pid = flow.pid(f"{victim}.service")
        assert pid > 0
        flow.run(["kill", "-KILL", str(pid)])
        wait_until(lambda: is_back(flow, victim, pid), timeout=30, what=f"{victim} is back")
    results_flow()
    settled(flow)


@pytest.mark.expect_error(r"FATAL: .*(starting up|not yet accepting|recovery mode|shutting down|terminating|interrupted)")
@pytest.mark.expect_error(r"FATAL: .*connection to client lost")
def test_sigkill_all_at_once(flow):
    wait_until(lambda: all(is_back(flow, v, 0) for v in VICTIMS), timeout=30)
    pids = {v: flow.pid(f"{v}.service") for v in VICTIMS}
    flow.run(["kill", "-KILL", *map(str, pids.values())])
    wait_until(lambda: all(is_back(flow, v, pid) for v, pid in pids.items()), timeout=60)
    settled(flow)


def test_a_run_outlives_a_restart_of_the_agent(flow):
    path = flow.write("/tmp/long.bash", script("Long Run", f'sleep 3; echo "{NOW}, OK, run $INVOCATION_ID"'))
    flow.run(["ssictl", "add", path])
    flow.run("systemctl start --no-block ssi-long-run.service")
    wait_until(lambda: flow.show("ssi-long-run.service", "ActiveState")["ActiveState"] == "activating" and
               is_back(flow, "ssid", 0) and is_back(flow, "ssi-uplinkd", 0))
    flow.run(["kill", "-KILL", str(flow.pid("ssid.service")), str(flow.pid("ssi-uplinkd.service"))])
    wait_until(lambda: len(flow.events("long-run")) == 1, timeout=40)
    flow.run(["ssictl", "remove", "long-run"])
