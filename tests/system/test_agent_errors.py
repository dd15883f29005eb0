# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each way in which a run can fail is told apart: by the properties, their signal, the history and ssictl."""
import re
import time

import pytest

from hosts import prints, script
from rawbus import SIGNAL, Bus, BusError
from rawbus import PATH as PATH_FIELD

pytestmark = pytest.mark.essential

DROP_INS = "/etc/systemd/system/ssi-breaks-timeout.service.d"

# What breaks, and what is said about it.
BREAKS = {
    "timeout": ("sleep 300", "time"),
    "exit-code": (f'{prints("OK", "not counted")}; exit 3', "exited with status 3"),
    "signal": ("kill -TERM $$", "TERM|15"),
    "core-dump": ("cd /tmp; ulimit -c unlimited; kill -ABRT $$", "ABRT|6"),
    "no-status-line": ("echo nothing of note", "status line"),
    "not-executable": ("exit", "execut"),
    "oom-kill": ('x=x; while :; do x=$x$x; done', "memory"),
}


def accounts_memory(host):
    """The kernel tells systemd of a kill through the second version's memory controller only."""
    return "memory" in host.run("cat /sys/fs/cgroup/unified/cgroup.controllers /sys/fs/cgroup/cgroup.controllers 2>/dev/null; true").stdout


@pytest.fixture(scope="module")
def broken(agent):
    """One service for each kind, each of which has a result from before."""
    kinds = [k for k in BREAKS if k != "oom-kill" or accounts_memory(agent)]
    with Bus(agent) as bus:
        for kind in kinds:
            text = script(f"Breaks {kind}", f'[ -e /run/break ] || {{ {prints("OK", "from before")}; exit; }}\n{BREAKS[kind][0]}', timeout="60")
            bus.manager("AddService", "ssa{sv}", "x", text, {})
        agent.run("systemctl start " + " ".join(f"ssi-breaks-{k}.service" for k in kinds))
        for kind in kinds:
            until(lambda: bus.properties(f"breaks-{kind}")["Status"] == "OK")
        if "not-executable" in kinds:
            agent.run("sed -i 's,^#!/bin/bash,#!/nowhere/bash,' /usr/local/bin/ssi/breaks-not-executable")
        agent.write(f"{DROP_INS}/short.conf", "[Service]\nTimeoutStartSec=1\n")
        agent.run("touch /run/break; systemctl daemon-reload")
        yield kinds
        agent.run(f"rm -r /run/break {DROP_INS}")
        for kind in kinds:
            bus.manager("RemoveService", "s", f"breaks-{kind}")


def until(fn, timeout=20):
    end = time.monotonic() + timeout
    while not fn():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_told_apart(agent, broken):
    with Bus(agent) as signals, Bus(agent) as bus:
        signals.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s",
                     "type='signal',sender='org.ssi.Agent1',member='PropertiesChanged'")
        signals.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s",
                     "type='signal',sender='org.ssi.Agent1',member='StatusReported'")
        agent.run("systemctl start " + " ".join(f"ssi-breaks-{k}.service" for k in broken), check=False)

        told = {}
        while len(told) < len(broken):
            kind, fields, values = signals.message()
            assert kind != SIGNAL or values[0] != "breaks", "no status is reported"
            if kind == SIGNAL and len(values) == 3 and "LastRunResult" in values[1]:
                told[fields[PATH_FIELD].rpartition("/")[2]] = values[1]
        for k in broken:
            slug, pattern = f"breaks-{k}", BREAKS[k][1]
            changed = told["breaks_2d" + k.replace("-", "_2d")]
            assert changed["LastRunResult"] == k, (k, changed)
            assert re.search(pattern, changed["LastRunDetail"]), (k, changed)
            p = bus.properties(slug)
            assert (p["LastRunResult"], p["LastRunDetail"]) == (k, changed["LastRunDetail"])
            assert (p["Status"], p["Message"]) == ("OK", "from before")
            last = bus.service(slug, "GetHistory", "u", 1)[0][0]
            assert last[1:5] == ("", "", k, p["LastRunDetail"])

    out = agent.run(["ssictl", "status", *(f"breaks-{k}" for k in broken)], check=False).stdout
    listed = agent.run(["ssictl", "list"]).stdout
    for k in broken:
        assert re.search(rf"^breaks-{k} +OK ! .*\[{k}\]", listed, re.MULTILINE), (k, listed)
        assert k in out.split(f"breaks-{k}", 1)[1], out
    r = agent.run(["ssictl", "run", "breaks-exit-code"], check=False)
    assert r.returncode == 3 and "status 3" in r.stdout + r.stderr, r


@pytest.mark.parametrize("body", ["if true; then", "for do", "a() {\necho 'x\n}"])
def test_bash_finds_it_when_it_is_added(agent, body):
    with Bus(agent) as bus:
        text = script("Misspelt", body)
        for call in (lambda: bus.manager("AddService", "ssa{sv}", "x.bash", text, {}),
                     lambda: bus.manager("TestScript", "ss", "x.bash", text)):
            with pytest.raises(BusError) as e:
                call()
            assert e.value.name == "org.ssi.Agent1.Error.InvalidScript"
            assert re.search(r"x\.bash:\d+: error: (syntax error|unexpected EOF)", e.value.message), e.value.message
        assert "misspelt" not in [s[0] for s in bus.manager("ListServices")[0]]
    path = agent.write("/tmp/misspelt.bash", text)
    r = agent.run(["ssictl", "add", path], check=False)
    assert r.returncode != 0 and re.search(r"misspelt\.bash:\d+: error: ", r.stderr)
