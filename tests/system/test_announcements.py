# SPDX-License-Identifier: LGPL-2.1-or-later
"""PropertiesChanged tells what has changed, once, and nothing else."""
import json
import time

import pytest

from hosts import prints, script, wait_until


class Listener:
    """The changes of an object's properties, in their order, as (name, value)."""

    def __init__(self, host, sender, path):
        self.host, self.out = host, "/tmp/announcements"
        match = f"type=signal,sender={sender},path={path},interface=org.freedesktop.DBus.Properties,member=PropertiesChanged"
        self.process = host.start(f"exec busctl monitor --json=short --match '{match}' >{self.out} 2>&1")
        wait_until(lambda: "Monitoring" in host.run(["cat", self.out], check=False).stdout)

    def changes(self, *expected):
        """Ends it, when it has heard of those that are expected, and a moment later: nothing else is to come."""
        wait_until(lambda: all(f'"{name}"' in self.host.run(["cat", self.out]).stdout for name in expected), what=f"{expected} are announced")
        time.sleep(1)
        self.process.kill()
        self.process.wait()
        lines = self.host.run(["cat", self.out]).stdout.splitlines()
        messages = [json.loads(line) for line in lines if line.startswith("{")]
        return [(name, value["data"]) for m in messages for name, value in m["payload"]["data"][1].items()]


@pytest.fixture
def listen(agent):
    listeners = []

    def listen_(path, sender="org.ssi.Agent1", host=agent):
        listeners.append(Listener(host, sender, path))
        return listeners[-1]

    yield listen_
    for listener in listeners:
        listener.process.kill()
        listener.process.wait()


def test_the_next_run(agent, add, listen):
    add(agent, script("Announced", prints("OK", "x")))
    listener = listen("/org/ssi/Agent1/service/announced")
    agent.run(["ssictl", "disable", "announced"])
    changes = [c for c in listener.changes("NextRunUSec", "Enabled") if c[0] in ("NextRunUSec", "Enabled")]
    assert sorted(changes) == [("Enabled", False), ("NextRunUSec", 0)]
    listener = listen("/org/ssi/Agent1/service/announced")
    agent.run(["ssictl", "enable", "announced"])
    changes = [c for c in listener.changes("NextRunUSec", "Enabled") if c[0] in ("NextRunUSec", "Enabled")]
    assert sorted(name for name, _ in changes) == ["Enabled", "NextRunUSec"]
    assert dict(changes)["Enabled"] is True and dict(changes)["NextRunUSec"] > 0


def test_the_header(agent, add, listen):
    add(agent, script("Announced", prints("OK", "x"), description="before"))
    listener = listen("/org/ssi/Agent1/service/announced")
    edited = script("Announced", prints("OK", "x"), description="after")
    agent.run(["ssictl", "add", "--replace", agent.write("/tmp/announced.bash", edited)])
    changes = [c for c in listener.changes("Description", "Metadata") if c[0] in ("Description", "ScriptVersion", "Metadata", "Title", "Schedule")]
    assert changes == [("Description", "after"), ("Metadata", {"description": "after", "version": "1.0"})]
    objects = json.loads(agent.run(["busctl", "--json=short", "call", "org.ssi.Agent1", "/org/ssi/Agent1",
                                    "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"]).stdout)["data"][0]
    properties = objects["/org/ssi/Agent1/service/announced"]["org.ssi.Agent1.Service"]
    assert properties["Metadata"] == {"type": "a{ss}", "data": {"description": "after", "version": "1.0"}}


def test_the_totals(agent, add, listen):
    add(agent, script("Worse", prints("FAILURE", "x")), filename="worse.bash")
    add(agent, script("Announced", f'[[ -e /etc/announced ]] && {prints("WARNING", "y")} || {prints("OK", "x")}'))
    agent.run(["ssictl", "run", "worse"], check=False)
    agent.run(["ssictl", "run", "announced"], check=False)
    listener = listen("/org/ssi/Agent1")
    # The same again, a look at the disk, and a service without a status: nothing.
    agent.run(["ssictl", "run", "announced"])
    agent.run(["busctl", "call", "org.ssi.Agent1", "/org/ssi/Agent1", "org.ssi.Agent1.Manager", "Reload"])
    add(agent, script("Third", prints("OK", "x")), filename="third.bash")
    assert listener.changes() == []
    # The worst one stays what it is: only the counts.
    listener = listen("/org/ssi/Agent1")
    agent.run("touch /etc/announced")
    try:
        agent.run(["ssictl", "run", "announced"], check=False)
        changes = listener.changes("StatusCounts")
    finally:
        agent.run("rm /etc/announced")
    assert [name for name, _ in changes] == ["StatusCounts"] and changes[0][1]["WARNING"] == 1


def test_the_uplink(stack, add, listen):
    add(stack, script("Announced", prints("OK", "x")))
    listener = listen("/org/ssi/Uplink1", sender="org.ssi.Uplink1", host=stack)
    for _ in range(3):
        stack.run(["ssictl", "run", "announced"])
        wait_until(lambda: json.loads(stack.run("ssictl --json uplink").stdout)["backlog"] == 0)
    changes = listener.changes()
    assert {name for name, _ in changes} <= {"LastAckUSec", "BacklogEntries", "Sent"}
    for name in {name for name, _ in changes}:
        values = [value for n, value in changes if n == name]
        assert all(a != b for a, b in zip(values, values[1:])), (name, values)
    assert changes
