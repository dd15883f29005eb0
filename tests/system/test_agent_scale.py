# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many services, and callers that wait."""
import json
import time

import pytest

from hosts import crowd, prints, script, wait_until


def manager(host, *args, user=None):
    return json.loads(host.run(["busctl", "--json=short", "--timeout=30", "call", "org.ssi.Agent1", "/org/ssi/Agent1",
                                "org.ssi.Agent1.Manager", *args], user=user).stdout)["data"]


def managed_objects(host):
    out = host.run(["busctl", "--json=short", "call", "org.ssi.Agent1", "/org/ssi/Agent1", "org.freedesktop.DBus.ObjectManager",
                    "GetManagedObjects"]).stdout
    return json.loads(out)["data"][0]


@pytest.fixture(scope="module", params=[200, pytest.param(500, marks=pytest.mark.slow)])
def crowded(request, boot_for_module):
    """A host with many services that have all run once: more than the bus allows unanswered calls of one connection."""
    host = boot_for_module("--agent")
    host.many = request.param
    crowd(host, host.many)
    return host


def test_start_up(crowded):
    """Measured with a plain build: 500 services in well below a second (tests/bench/answers)."""
    took = []
    for _ in range(3):
        crowded.run("systemctl stop ssid.service")
        out = crowded.run("t=$EPOCHREALTIME; systemctl start ssid.service; "
                          "busctl call org.ssi.Agent1 /org/ssi/Agent1 org.ssi.Agent1.Manager ListServices >/tmp/list; "
                          "echo $(( (${EPOCHREALTIME/./} - ${t/./}) / 1000 ))").stdout
        took.append(int(out))
        services = manager(crowded, "ListServices")[0]
        assert len(services) == crowded.many
        assert all(s[2] == "OK" for s in services)
    print(f"{crowded.many} services: start-up and first answer in {took} ms")


def test_list(crowded):
    assert len(manager(crowded, "ListServices")[0]) == crowded.many
    out = crowded.run("t=$EPOCHREALTIME; busctl call org.ssi.Agent1 /org/ssi/Agent1 org.ssi.Agent1.Manager ListServices >/tmp/list; "
                      "echo $(( (${EPOCHREALTIME/./} - ${t/./}) / 1000 ))").stdout
    print(f"ListServices of {crowded.many}: {out.strip()} ms, with the start of busctl")


def test_the_list_says_what_the_objects_say(crowded):
    fields = ("Name", "Title", "Status", "Message", "StatusTimestampUSec", "LastRunResult", "LastRunDetail", "NextRunUSec", "Enabled")
    crowded.run("ssictl enable model-7")
    objects = {path: {n: p["data"] for n, p in o["org.ssi.Agent1.Service"].items()} for path, o in managed_objects(crowded).items()}
    rows = {row[-1]: row[:-1] for row in manager(crowded, "ListServices")[0]}
    assert len(rows) == crowded.many
    assert rows == {path: [o[f] for f in fields] for path, o in objects.items()}


def test_next_runs_are_known(crowded):
    """Of all, although the bus allows 128 unanswered calls of one connection."""
    crowded.run("systemctl restart ssid.service")

    def unknown():
        services = [o["org.ssi.Agent1.Service"] for o in managed_objects(crowded).values()]
        assert len(services) == crowded.many
        return sum(s["NextRunUSec"]["data"] == 0 for s in services)

    wait_until(lambda: unknown() == 0)


def test_others_are_answered_while_polkit_thinks(crowded):
    crowded.add_user("alice")
    path = crowded.write("/tmp/of-alice.bash", script("Of Alice", prints("OK", "x")))
    crowded.write("/etc/polkit-1/rules.d/50-test.rules", """
polkit.addRule(function(action, subject) {
        if (action.id == "org.ssi.agent1.manage-services" && subject.user == "alice") {
                polkit.spawn(["/bin/sleep", "5"]);
                return polkit.Result.YES;
        }
});
""")
    time.sleep(1)
    try:
        began = time.monotonic()
        adding = crowded.start(["ssictl", "add", path], user="alice")
        wait_until(lambda: crowded.run("pgrep -f 'sleep 5'", check=False).returncode == 0)
        asked = time.monotonic()
        assert len(manager(crowded, "ListServices", user="alice")[0]) == crowded.many
        answered = time.monotonic()
        assert adding.poll() is None
        assert adding.wait() == 0
        print(f"ListServices answered in {answered - asked:.2f} s, AddService in {time.monotonic() - began:.2f} s")
        assert time.monotonic() - began >= 5
    finally:
        crowded.run("rm /etc/polkit-1/rules.d/50-test.rules; ssictl remove of-alice", check=False)


def test_others_are_answered_while_a_person_does_not(crowded):
    """ssictl's agent asks for a password that nobody types."""
    user = crowded.add_user("carol")
    crowded.run("chpasswd", input="carol:correct horse\n")
    path = crowded.write("/tmp/of-carol.bash", script("Of Carol", prints("OK", "x")))
    crowded.write("/etc/polkit-1/rules.d/50-test.rules", """
polkit.addRule(function(action, subject) {
        if (action.id == "org.ssi.agent1.manage-services" && subject.user == "carol")
                return polkit.Result.AUTH_SELF;
});
""")
    time.sleep(1)
    try:
        with crowded.terminal(["ssictl", "add", path], user=user) as t:
            t.expect("Password:")
            began = time.monotonic()
            names = [s[0] for s in manager(crowded, "ListServices", user=user)[0]]
            took = time.monotonic() - began
            assert len(names) == crowded.many and "of-carol" not in names
            # Also of what waits for the same answer, and of what changes something.
            crowded.run(["ssictl", "disable", "model-7"])
            crowded.run(["ssictl", "enable", "model-7"])
            assert t.process.poll() is None
            print(f"ListServices of {crowded.many} answered in {took:.2f} s")
        assert "of-carol" not in crowded.run(["ssictl", "list"]).stdout
    finally:
        crowded.run("rm /etc/polkit-1/rules.d/50-test.rules")
