# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures. `stack` is a host with agent and server, registered, which tests share; `boot` makes hosts of one's own,
`boot_for_module` those of a file. SSI_TEST_RELEASE names the Debian release that they run, where it is not this machine's.

After each test, each host's journal is read: an error that a daemon logged, or a report of a sanitizer, fails the test
unless the test declared it with host.expect_error(regex) or @pytest.mark.expect_error(regex).
"""
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from hosts import Account, Host, declared, wait_until

hosts_up = []


def pytest_configure(config):
    config.addinivalue_line("markers", "expect_error(regex): a daemon may log errors like this in this test")
    config.addinivalue_line("markers", "essential: also runs on Debian 13 in each run: what it sees may differ there")
    config.addinivalue_line("markers", "other_release: also runs on the releases that tests/run --release names")
    config.addinivalue_line("markers", "slow: runs with tests/run --slow alone")


# Files that take longest come first, so that no worker is left alone with one at the end. Those whose tests mostly wait are shared out.
LONGEST = ("test_forged_signals", "test_waits", "test_presence", "test_server_join", "test_results", "test_agent_identity", "test_lifecycle", "test_demo",
           "test_kinds_of_hosts", "test_agent_scale", "test_faults", "test_agent_runs", "test_kill", "test_agent_flood", "test_server_instances",
           "test_root_cause", "test_uplink_runs")
SHARED_OUT = ("test_waits", "test_presence")


def share_out(items):
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
    for item in items:
        alone = f"::{item.name}" if item.path.stem in SHARED_OUT else ""
        item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}{alone}"))


# Before that of pytest-xdist, which reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    share_out(items)
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs root"))
    elif not shutil.which("systemd-nspawn"):
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs systemd-nspawn"))


def pytest_runtest_logreport(report):
    """Names what fails at once; what is said of it comes when all have ended."""
    if report.failed and not os.environ.get("PYTEST_XDIST_WORKER"):
        print(f"\n{report.nodeid} failed ({report.when})", flush=True)


@pytest.fixture(scope="session")
def _boot():
    """Boots hosts and ends those that are left at the end of the session."""
    count = 0

    def boot(*options):
        nonlocal count
        count += 1
        host = Host(f"t{os.getpid()}-{count}", *options)
        host.up()
        hosts_up.append(host)
        return host

    yield boot
    for host in list(hosts_up):
        end(host)


def end(host):
    hosts_up.remove(host)
    try:
        # ssi-serverd may end while the database works on a question.
        host.expect_error("FATAL:  connection to client lost")
        host.stop_daemons()
        bad = host.unexpected_errors()
    finally:
        host.down()
    assert not bad, "at the daemons' end:\n" + "\n".join(bad)


def boot_and_end(boot_):
    mine = []

    def make(*options):
        mine.append(boot_(*options))
        return mine[-1]

    yield make
    for host in mine:
        end(host)


@pytest.fixture
def boot(_boot):
    """boot("--agent", …): hosts for one test, which it may break."""
    yield from boot_and_end(_boot)


@pytest.fixture(scope="module")
def boot_for_module(_boot):
    """The same for the tests of one file."""
    yield from boot_and_end(_boot)


def register(host, account=None):
    """Registers the host's agent with the server in the same host, over TLS, and waits until it is connected."""
    account = account or Account(host)
    server = account.new_server(host.name)
    host.run(["ssictl", "register", "https://localhost:8443", server["claim_token"],
              "--ca", "/var/lib/ssi-server/tls/ca.pem"])
    wait_until(lambda: account.get(f"/api/v1/servers/{server['server_id']}")["state"] == "online",
               what="the agent is online")
    host.account = account
    host.server_id = server["server_id"]
    return host


@pytest.fixture(scope="session")
def stack(_boot):
    return register(_boot("--agent", "--server"))


@pytest.fixture
def own_stack(boot):
    return register(boot("--agent", "--server"))


@pytest.fixture(scope="session")
def agent(_boot):
    """A host with the agent alone."""
    return _boot("--agent")


@pytest.fixture
def add(request):
    """add(host, text): installs a service-script as root and removes it after the test. Gives ssictl's result."""
    added = []

    def add_(host, text, filename="script.bash", options=()):
        path = host.write(f"/tmp/{filename}", text)
        r = host.run(["ssictl", "add", *options, path])
        slug = text.split("# name: ", 1)[1].split("\n", 1)[0].lower().replace(" ", "-")
        added.append((host, slug))
        return r

    yield add_
    for host, slug in added:
        if host in hosts_up:
            host.run(["ssictl", "remove", slug], check=False)


@pytest.fixture(autouse=True)
def no_unexpected_errors(request):
    """See the top."""
    declared[:] = [re.compile(m.args[0]) for m in request.node.iter_markers("expect_error")]
    for host in hosts_up:
        host.expected = []
    yield
    # All at once: each waits for its host's journald. What a host logs of which this test knew nothing is seen after the next test that does, or
    # at its end.
    hosts = [h for h in hosts_up if h.touched or h.expected or declared]
    with ThreadPoolExecutor(max_workers=8) as pool:
        bad = [error for errors in pool.map(Host.unexpected_errors, hosts) for error in errors]
    declared.clear()
    assert not bad, "unexpected errors of the daemons:\n" + "\n".join(bad)
