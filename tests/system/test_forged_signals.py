# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signals that a local user sends to the agent, the backend and ssictl, as if they were systemd's, logind's, the bus' or our own: nothing
comes of them. With our bus policy, which lets none pass; and without, when each program is alone with them."""
import json
import time
from pathlib import Path

import pytest

from conftest import register
from hosts import NOW, prints, script, wait_until
from rawbus import REPLY_SERIAL, SIGNAL, Bus, Variant

pytestmark = pytest.mark.essential

HERE = Path(__file__).resolve().parent
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
DAEMONS = ("ssid.service", "ssi-uplinkd.service", "ssi-serverd.service")
POLICIES = "/usr/share/dbus-1/system.d/org.ssi."
SECONDS, RATE = 8, 2000


def forge(host, seconds=SECONDS, rate=RATE, services=("steady", "watcher", "slow")):
    for name in ("forger.py", "rawbus.py"):
        host.write(f"/tmp/forger/{name}", (HERE / name).read_text())
    return host.start([*NOBODY, "/usr/bin/python3", "-B", "/tmp/forger/forger.py", str(seconds), str(rate), *services], stdout=-1)


def sent(forger, at_least=SECONDS * RATE / 10):
    """What it has sent. Nothing is shown by one that failed."""
    counts = json.loads(forger.communicate(timeout=SECONDS + 60)[0])
    assert forger.returncode == 0 and counts["sent"] >= at_least, counts
    return counts


@pytest.fixture(scope="module")
def host(boot_for_module):
    host = register(boot_for_module("--agent", "--server"))
    host.write("/run/systemd/system/watched-thing.service", "[Service]\nExecStart=/bin/sleep infinity\n")
    host.run("systemctl daemon-reload; systemctl start watched-thing.service")
    for text in (script("Steady", prints("OK", "steady")),
                 script("Watcher", prints("OK", "watched")).replace("# timeout:", "# watches: watched-thing.service\n# timeout:"),
                 script("Slow", f'sleep {SECONDS - 3}; echo "{NOW}, OK, slow"', timeout="60")):
        host.run(["ssictl", "add", host.write("/tmp/script.bash", text)])
    host.run(["ssictl", "run", "steady", "watcher", "slow"])
    # The time of the next run comes with the inventory, which is later than the results.
    wait_until(lambda: all(s["status"] == "OK" and s["next_run"] for s in host.account.services(host.server_id).values()))
    return host


@pytest.fixture(params=["policy", "no policy"])
def guarded(request, host):
    """With our policy files as they are, or with what they deny left out."""
    def reload():
        host.run("busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig")

    if request.param == "no policy":
        host.run(f"for f in {POLICIES}*.conf; do cp $f $f.kept; sed -i '/<deny/d' $f; done")
        reload()
    yield host
    if request.param == "no policy":
        host.run(f"for f in {POLICIES}*.conf; do mv $f.kept $f; done")
        reload()


def known(host, bus):
    """What the agent says, without when which service runs next and has run."""
    properties = {slug: bus.properties(slug) for slug in ("steady", "watcher", "slow")}
    for p in properties.values():
        for k in list(p):
            if k.startswith(("LastRun", "StatusTimestamp")):
                del p[k]
    manager = bus.call("org.ssi.Agent1", "/org/ssi/Agent1", "org.freedesktop.DBus.Properties", "GetAll", "s", "org.ssi.Agent1.Manager")[0]
    return {**properties, "manager": manager, "names": sorted(s[0] for s in bus.manager("ListServices")[0])}


def seen(host):
    """What the backend makes of it."""
    services = host.account.services(host.server_id)
    keys = ("title", "description", "metadata", "schedule", "enabled", "timeout_sec", "watches", "depends_on", "version", "next_run")
    return {"state": host.account.get(f"/api/v1/servers/{host.server_id}")["state"],
            **{n: {k: s.get(k) for k in keys} for n, s in services.items()}}


@pytest.mark.other_release
def test_nothing_changes(guarded):
    host = guarded
    before, pids = seen(host), [host.pid(u) for u in DAEMONS]
    runs = len(host.events("watcher"))
    with Bus(host) as bus:
        told = known(host, bus)
        assert before["state"] == "online" and told["manager"]["ShuttingDown"] == 0
        forger, took = forge(host), []
        end = time.monotonic() + SECONDS + 1
        while time.monotonic() < end:
            began = time.monotonic()
            assert known(host, bus) == told
            took.append(time.monotonic() - began)
            assert seen(host) == before
            time.sleep(0.2)
        counts = sent(forger)
        # The inventory goes out some seconds after what changes in it, and the forger may have begun late.
        time.sleep(5.5)
        assert known(host, bus) == told and seen(host) == before
    assert len(host.events("watcher")) == runs
    assert [host.pid(u) for u in DAEMONS] == pids
    print(f"{counts}; five answers of ssid took {max(took) * 1000:.0f} ms at most")
    # And what is true still comes through.
    host.run(["ssictl", "disable", "steady"])
    wait_until(lambda: not host.account.services(host.server_id)["steady"]["enabled"], timeout=10)
    host.run(["ssictl", "enable", "steady"])
    wait_until(lambda: seen(host)["steady"] == before["steady"])


# ssictl has no name, and no policy guards it; and what ssid does for it ends when it leaves, as far as ssid knows.


@pytest.mark.other_release
def test_a_run_is_waited_for(guarded):
    forger, began = forge(guarded), time.monotonic()
    run = guarded.start(["ssictl", "run", "slow"], stdout=-1, stderr=-1)
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out, err) == (0, "slow: OK, slow\n", "")
    assert time.monotonic() - began >= SECONDS - 3.5
    sent(forger)


@pytest.mark.other_release
def test_a_script_is_tried_to_its_end(guarded):
    path = guarded.write("/tmp/tried.bash", script("Tried", f'sleep {SECONDS - 3}; echo "{NOW}, OK, tried"', timeout="60"))
    forger = forge(guarded)
    tried = guarded.start(["ssictl", "test", path], stdout=-1, stderr=-1)
    out, err = tried.communicate(timeout=60)
    assert tried.returncode == 0 and "OK, tried" in out and not err, (out, err)
    sent(forger)


@pytest.mark.other_release
@pytest.mark.parametrize("command", [["watch", "--json"], ["log", "-f", "-n", "0", "slow"]], ids=["watch", "log"])
def test_who_follows_goes_on_following(guarded, command):
    follower = guarded.start(["ssictl", *command], stdout=-1, stderr=-1)
    time.sleep(0.5)
    forger = forge(guarded)
    guarded.run(["ssictl", "run", "slow"])
    sent(forger)
    assert follower.poll() is None
    follower.terminate()
    out, err = follower.communicate(timeout=10)
    assert not err
    if command[0] == "watch":
        assert [json.loads(line)["message"] for line in out.splitlines()] == ["slow"], out
    else:
        assert [line.split(", ", 1)[1] for line in out.splitlines()] == ["OK, slow"], out


@pytest.mark.other_release
def test_replies_are_for_who_is_asked(guarded):
    """By the stock policy of the bus, which ours leaves as it is: what answers no call of this sender's is not delivered."""
    code = ("import sys; sys.path.insert(0, '/tmp/forger'); from forger import *\n"
            "with Bus(None) as bus:\n for r in replies(bus, sys.argv[1], range(1, 200)): bus.socket.sendall(r)\n bus.bus('GetId')")
    forge(guarded, 0).wait(timeout=60)
    with Bus(guarded, timeout=2) as bus:
        # It is asked, and so ssid's answer to this serial is awaited; ssid is not the forger.
        serial = bus.send("org.ssi.Agent1", "/org/ssi/Agent1", "org.ssi.Agent1.Manager", "FollowLog", "sa{sv}", "steady", {"lines": Variant("u", 0)})
        follow = bus.message()
        while follow[1].get(REPLY_SERIAL) != serial:
            follow = bus.message()
        waiting = bus.send("org.ssi.Agent1", "/org/ssi/Agent1", "org.ssi.Agent1.Manager", "ReadLog", "u", follow[2][0])
        guarded.run([*NOBODY, "/usr/bin/python3", "-B", "-c", code, bus.name])
        with pytest.raises(TimeoutError):
            while True:
                kind, fields, _ = bus.message()
                assert kind == SIGNAL and REPLY_SERIAL not in fields, (fields, waiting)


@pytest.mark.slow
@pytest.mark.other_release
def test_a_flood_costs_little(guarded):
    """As much as the bus takes: the daemons use less than half of a processor for it, and no memory."""
    host = guarded
    ticks, memory = {}, {}

    def used(unit):
        pid = host.pid(unit)
        root = Path(f"/proc/{host.leader}/root/proc/{pid}")
        fields = (root / "stat").read_text().rsplit(")", 1)[1].split()
        rss = next(int(line.split()[1]) for line in (root / "status").read_text().splitlines() if line.startswith("VmRSS"))
        return (int(fields[11]) + int(fields[12])) / 100, rss

    # What AddressSanitizer keeps of what was freed is there once the first flood is over.
    sent(forge(host, seconds=3, rate=0))
    for u in DAEMONS:
        ticks[u], memory[u] = used(u)
    counts = sent(forge(host, rate=0))
    for u in DAEMONS:
        cpu, rss = used(u)
        print(f"{u}: {cpu - ticks[u]:.2f} s of CPU and {rss - memory[u]} kB for {counts['sent']} signals in {SECONDS} s")
        assert cpu - ticks[u] < SECONDS / 2
        assert rss - memory[u] < 16 * 1024


def test_pid_1_executes_itself_anew(host):
    """It has another name on the bus then, and goes on being listened to."""
    host.run("systemctl daemon-reexec", timeout=120)
    host.run(["ssictl", "run", "steady"])
    with Bus(host) as bus:
        next_run = bus.properties("steady")["NextRunUSec"]
        host.write("/run/systemd/system/ssi-steady.timer.d/often.conf", "[Timer]\nOnCalendar=*-*-* *:*:00\n")
        host.run("systemctl daemon-reload; systemctl restart ssi-steady.timer")
        wait_until(lambda: bus.properties("steady")["NextRunUSec"] < next_run)
    host.run("rm -r /run/systemd/system/ssi-steady.timer.d; systemctl daemon-reload; systemctl restart ssi-steady.timer")
    runs = len(host.events("watcher"))
    host.run("systemctl restart watched-thing.service")
    wait_until(lambda: len(host.events("watcher")) > runs)
