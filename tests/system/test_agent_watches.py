# SPDX-License-Identifier: LGPL-2.1-or-later
"""watches: a change of a unit's state runs the checks that are about it; and what logind says of a shutdown."""
import json
import re
import time

import pytest

from hosts import script, wait_until

WATCHED = "[Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/true\n"
BODY = 'if systemctl is-active -q {unit}; then ssi_ok "{unit} is up"; else ssi_failure "{unit} is down"; fi'


def prop(host, slug, name):
    path = "/org/ssi/Agent1/service/" + slug.replace("-", "_2d")
    return json.loads(host.run(["busctl", "--json=short", "get-property", "org.ssi.Agent1", path, "org.ssi.Agent1.Service",
                                name]).stdout)["data"]


def watching(name, *units):
    text = script(name, BODY.format(unit=units[0]))
    return text.replace("# timeout:", f"# watches: {', '.join(units)}\n# user: ssi-script\n# timeout:")


def runs(host, slug):
    return len(host.journal("MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5", f"UNIT=ssi-{slug}.service"))


@pytest.fixture
def watched(agent):
    agent.write("/run/systemd/system/watched-thing.service", WATCHED)
    agent.run("systemctl daemon-reload; systemctl start watched-thing.service")
    yield "watched-thing.service"
    agent.run("systemctl stop watched-thing.service; rm -f /run/systemd/system/watched-thing.service; systemctl daemon-reload")


def test_a_stop_shows_long_before_the_next_run(agent, add, watched):
    add(agent, watching("Watcher", watched, "dbus.service"))
    assert prop(agent, "watcher", "Watches") == [watched, "dbus.service"]
    assert prop(agent, "watcher", "Status") == ""
    time.sleep(1)
    for verb, status in (("stop", "FAILURE"), ("start", "OK"), ("kill -s KILL", "FAILURE")):
        began = time.monotonic()
        agent.run(f"systemctl {verb} {watched}")
        wait_until(lambda: prop(agent, "watcher", "Status") == status, timeout=30)
        print(f"{verb}: {status} after {time.monotonic() - began:.2f} s")
        time.sleep(1)


def test_a_unit_that_comes_later(agent, add):
    unit = "comes-later.service"
    add(agent, watching("Patient", unit))
    time.sleep(0.5)
    assert runs(agent, "patient") == 0
    agent.write(f"/run/systemd/system/{unit}", WATCHED)
    try:
        agent.run(f"systemctl daemon-reload; systemctl start {unit}")
        wait_until(lambda: prop(agent, "patient", "Status") == "OK", timeout=30)
    finally:
        agent.run(f"systemctl stop {unit}; rm /run/systemd/system/{unit}; systemctl daemon-reload")
    wait_until(lambda: prop(agent, "patient", "Status") == "FAILURE", timeout=30)


def test_many_changes_are_few_runs(agent, add, watched):
    add(agent, watching("Coalesced", watched))
    time.sleep(0.5)
    before, began = runs(agent, "coalesced"), time.monotonic()
    agent.run(f"for i in {{1..4}}; do systemctl restart {watched}; systemctl reset-failed {watched}; done; systemctl stop {watched}")
    wait_until(lambda: prop(agent, "coalesced", "Status") == "FAILURE", timeout=30)
    time.sleep(1.5)
    count, took = runs(agent, "coalesced") - before, time.monotonic() - began
    assert 1 <= count <= took + 1, (count, took)


def test_a_change_during_a_run_is_seen(agent, add, watched):
    text = watching("Slow Watcher", watched).replace("if systemctl", 'sleep 0.3; touch /tmp/x; if systemctl').replace(
        "; fi", "; fi; sleep 1.5")
    add(agent, text)
    time.sleep(0.5)
    agent.run("systemctl start --no-block ssi-slow-watcher.service")
    time.sleep(1)
    agent.run(f"systemctl stop {watched}")
    wait_until(lambda: prop(agent, "slow-watcher", "Status") == "FAILURE", timeout=8)


def test_neither_a_reload_nor_a_disabled_service(agent, add, watched):
    add(agent, watching("Still", watched))
    time.sleep(0.5)
    agent.run("systemctl daemon-reload")
    time.sleep(1)
    assert runs(agent, "still") == 0
    agent.run(["ssictl", "disable", "still"])
    agent.run(f"systemctl stop {watched}")
    time.sleep(1.5)
    assert runs(agent, "still") == 0


def test_an_alias(agent, add, watched):
    agent.run(f"ln -s {watched} /run/systemd/system/other-name.service; systemctl daemon-reload; systemctl restart {watched}")
    try:
        add(agent, watching("By Alias", "other-name.service"))
        time.sleep(0.5)
        agent.run(f"systemctl stop {watched}")
        wait_until(lambda: prop(agent, "by-alias", "Status") == "FAILURE", timeout=3)
    finally:
        agent.run("rm /run/systemd/system/other-name.service; systemctl daemon-reload")


@pytest.mark.parametrize("value", ["nginx", "../x.service", "x@.service", "ssi-self-watching.service", "a b.service"])
def test_what_cannot_be_watched(agent, value):
    path = agent.write("/tmp/bad.bash", watching("Self Watching", value))
    r = agent.run(["ssictl", "validate", path], check=False)
    assert r.returncode != 0
    assert re.search(r":7: .*watches", r.stdout + r.stderr)


def test_dependencies(agent, add):
    """Through a unit that nobody watches, by another name, with a cycle, and kept up to date."""
    folder, units = "/run/systemd/system", {
        "dep-db": "PartOf=dep-cycle.service", "dep-cycle": "BindsTo=dep-db.service", "dep-middle": "Requisite=dep-db.service",
        "dep-app": "Requires=dep-middle.service", "dep-lonely": "Wants=dep-db.service\nAfter=dep-db.service"}
    for name, needs in units.items():
        agent.write(f"{folder}/{name}.service", f"[Unit]\n{needs}\n{WATCHED}")
    agent.run(f"ln -s dep-db.service {folder}/dep-nick.service; systemctl daemon-reload")
    try:
        for name, unit in (("Dep App", "dep-app"), ("Dep Db", "dep-nick"), ("Dep Lonely", "dep-lonely"),
                           ("Dep Missing", "dep-missing"), ("Dep Twin", "dep-app")):
            add(agent, watching(name, f"{unit}.service"))

        def depends(slug, *others):
            wait_until(lambda: prop(agent, slug, "DependsOn") == list(others), what=f"{slug} on {others}")

        depends("dep-app", "dep-db")
        depends("dep-twin", "dep-db")
        for slug in ("dep-db", "dep-lonely", "dep-missing"):
            depends(slug)
        # Both ways, as they are.
        add(agent, watching("Dep Cycle", "dep-cycle.service"))
        depends("dep-cycle", "dep-db")
        depends("dep-db", "dep-cycle")
        depends("dep-app", "dep-cycle", "dep-db")
        # What is edited by hand counts from the reload on, what is removed at once.
        agent.write(f"{folder}/dep-lonely.service.d/needs.conf", "[Unit]\nRequires=dep-app.service\n")
        agent.run("systemctl daemon-reload")
        depends("dep-lonely", "dep-app", "dep-cycle", "dep-db", "dep-twin")
        agent.run(["ssictl", "remove", "dep-twin"])
        depends("dep-lonely", "dep-app", "dep-cycle", "dep-db")
        agent.run(f"rm -r {folder}/dep-lonely.service.d; systemctl daemon-reload")
        depends("dep-lonely")
        shown = agent.run(["ssictl", "show", "--property=DependsOn", "dep-app"]).stdout
        assert "dep-cycle" in shown and "dep-db" in shown
    finally:
        agent.run(f"rm -rf {folder}/dep-*; systemctl daemon-reload")


def test_shutting_down(agent):
    def shutting_down():
        out = agent.run(["busctl", "--json=short", "get-property", "org.ssi.Agent1", "/org/ssi/Agent1", "org.ssi.Agent1.Manager",
                         "ShuttingDown"]).stdout
        return json.loads(out)["data"]

    assert shutting_down() is False
    monitor = agent.start("exec timeout 300 stdbuf -oL busctl --json=short monitor --match \"type='signal',path='/org/ssi/Agent1'\" >/tmp/signals 2>/tmp/listening")
    try:
        # Where nothing is announced yet, there is only busctl's own word that it listens.
        wait_until(lambda: "Monitoring" in agent.run("cat /tmp/listening").stdout)
        with agent.about_to_go_down():
            wait_until(shutting_down)
        wait_until(lambda: not shutting_down(), timeout=15)
        wait_until(lambda: agent.run("grep -c ShuttingDown /tmp/signals", check=False).stdout.strip() == "2")
    finally:
        agent.run("pkill -x busctl", check=False)
        monitor.wait()
