# SPDX-License-Identifier: LGPL-2.1-or-later
"""What depends on the kind of host: a container whose sandboxed daemons see another boot id than the journal, one in which they see the
same, as on a machine that is no container, and one with control groups of version 2 alone."""

import pytest

from conftest import register
from hosts import prints, script, wait_until
from test_agent_flood import add_flood, assert_all_told
from test_agent_runs import history

pytestmark = pytest.mark.essential

KINDS = {"boot-id-hidden": [], "boot-id-real": ["--real-boot-id"], "unified": ["--unified"]}


@pytest.fixture(scope="module", params=KINDS)
def host(request, boot_for_module):
    host = register(boot_for_module("--agent", "--server", *KINDS[request.param]))
    yield host
    host.run("ssictl unregister")


def test_late_output(host, add):
    slug = add_flood(host, add, "Flood", 3000)
    host.run(f"for i in {{1..12}}; do systemctl start ssi-{slug}.service; done", timeout=300)
    assert_all_told(host, slug, 12)


def test_an_exit_code_is_told_at_once(host, add):
    add(host, script("Exits", f'{prints("OK", "but")}; exit 3'))
    host.run("systemctl start ssi-exits.service", check=False)
    rows = wait_until(lambda: host.sql("SELECT kind, error_kind FROM events WHERE service = 'exits'"), timeout=30)
    assert rows == [["error", "exit-code"]]


def test_ten_runs_at_once(host, add):
    slugs = [f"one-of-ten-{i}" for i in range(10)]
    for slug in slugs:
        add(host, script(slug.replace("-", " ").capitalize(), prints("OK", f"of {slug}")))
    host.run(["ssictl", "run", *slugs], timeout=60)
    for slug in slugs:
        wait_until(lambda: host.events(slug) == [f"of {slug}"], what=f"the result of {slug}")
        runs = history(host, slug, 10)
        assert [r[1:4] for r in runs] == [["OK", f"of {slug}", ""]] and 0 < runs[0][5] < 10_000_000


def test_a_timeout_ends_all_descendants(host, add):
    add(host, script("Hangs", "setsid sleep 4321 & sleep 4321", timeout="1"))
    assert host.run("ssictl run hangs", check=False).returncode != 0
    rows = wait_until(lambda: host.sql("SELECT kind, error_kind FROM events WHERE service = 'hangs'"))
    assert rows == [["error", "timeout"]]
    assert host.run("pgrep -f '^sleep 4321'", check=False).returncode == 1
