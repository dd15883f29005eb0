# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the agent tells about services and runs: their history, their cost, and whether they are enabled."""
import json
import os
import re
import time

import pytest

from hosts import NOW, crowd, prints, script, wait_until
from rawbus import SIGNAL, Bus

pytestmark = pytest.mark.essential

UNKNOWN = 2**64 - 1


def busctl(host, *args, user=None):
    return json.loads(host.run(["busctl", "--json=short", *args], user=user).stdout)["data"]


def path_of(slug):
    return "/org/ssi/Agent1/service/" + slug.replace("-", "_2d")


def history(host, slug, limit, user=None):
    return busctl(host, "call", "org.ssi.Agent1", path_of(slug), "org.ssi.Agent1.Service", "GetHistory", "u", str(limit),
                  user=user)[0]


def prop(host, slug, name):
    return busctl(host, "get-property", "org.ssi.Agent1", path_of(slug), "org.ssi.Agent1.Service", name)


def test_history(agent, add):
    agent.run("rm -f /run/n")
    add(agent, script("Storied", 'n=$(cat /run/n); [ "$n" = 3 ] && exit 7; [ "$n" = 4 ] && exit 0; '
                      f'echo "{NOW}, WARNING, not the last"; echo "{NOW}, UPDATE, number $n"'))
    assert history(agent, "storied", 10) == []
    ids = []
    for n in range(1, 7):
        agent.run(f"echo {n} > /run/n; systemctl start ssi-storied.service", check=False)
        ids.append(agent.show("ssi-storied.service", "InvocationID")["InvocationID"])
    # The end of a run can be in the journal before its last lines are.
    wait_until(lambda: [r[1:4] for r in history(agent, "storied", 10)] == [
        ["UPDATE", "number 6", ""], ["UPDATE", "number 5", ""], ["", "", "no-status-line"],
        ["", "", "exit-code"], ["UPDATE", "number 2", ""], ["UPDATE", "number 1", ""]])
    runs = history(agent, "storied", 10)
    assert [r[6] for r in runs] == ids[::-1]
    assert "status 7" in runs[3][4]
    for r in runs:
        assert abs(r[0] / 1e6 - time.time()) < 60
        assert 0 < r[5] < 10_000_000
    assert history(agent, "storied", 2) == runs[:2]
    assert history(agent, "storied", 0) == []
    agent.add_user("alice")
    assert history(agent, "storied", 1, user="alice") == runs[:1]


def test_history_of_a_run_that_prints_much(agent, add):
    add(agent, script("Verbose", f'for i in {{1..2000}}; do echo "line $i"; done; {prints("OK", "x")}'))
    for _ in range(2):
        agent.run("systemctl start ssi-verbose.service")
    # systemctl returns before journald has written the end of the run.
    wait_until(lambda: len(history(agent, "verbose", 1000)) == 2)
    # The history is read at once; the status is known when ssid has read its way through all the lines.
    wait_until(lambda: prop(agent, "verbose", "Status") == "OK")


@pytest.mark.slow
@pytest.mark.other_release
def test_history_is_bounded(agent, add):
    add(agent, script("Many Runs", prints("OK", "x")))
    agent.run("for i in {1..150}; do systemctl start ssi-many-runs.service; done", timeout=120)
    began = time.monotonic()
    assert len(history(agent, "many-runs", 100)) == 100
    print(f"100 of 150 runs in {time.monotonic() - began:.3f} s")
    assert len(history(agent, "many-runs", 2**32 - 1)) == 150


@pytest.mark.other_release
def test_cost(agent, add):
    """Where this host's systemd accounts it: the CPU time is in the journal then, too."""
    add(agent, script("Costly", f'for ((i = 0; i < 200000; i++)); do :; done; {prints("OK", "x")}'))
    assert prop(agent, "costly", "LastRunCPUUSec") == UNKNOWN
    agent.run("systemctl start ssi-costly.service")
    wait_until(lambda: prop(agent, "costly", "Status") == "OK")
    nsec = agent.show("ssi-costly.service", "CPUUsageNSec")["CPUUsageNSec"]
    expected = int(nsec) // 1000 if nsec.isdigit() and int(nsec) < UNKNOWN else UNKNOWN
    wait_until(lambda: prop(agent, "costly", "LastRunCPUUSec") == expected)
    peak = agent.show("ssi-costly.service", "MemoryPeak").get("MemoryPeak", "")
    expected = int(peak) if peak.isdigit() else UNKNOWN
    assert prop(agent, "costly", "LastRunMemoryPeakBytes") == expected
    print(f"CPU {nsec} ns, memory {peak or 'not told'}")


def test_enabled_follows_systemctl(agent, add):
    """However the timer is enabled."""
    def enabled():
        return agent.run(["busctl", "get-property", "org.ssi.Agent1", "/org/ssi/Agent1/service/by_2dhand", "org.ssi.Agent1.Service",
                          "Enabled"]).stdout.strip() == "b true"

    add(agent, script("By Hand", prints("OK", "x")))
    assert enabled()
    for verb, expected in (("disable", False), ("enable", True), ("disable", False), ("enable --runtime", True), ("disable --runtime", False)):
        agent.run(f"systemctl {verb} ssi-by-hand.timer")
        wait_until(lambda: enabled() is expected, what=f"{expected} after {verb}")
        agent.run("systemctl restart ssid.service")
        wait_until(lambda: enabled() is expected, what=f"{expected} after {verb} and a restart")


def test_no_descendant_outlives_the_timeout(agent, add):
    """Neither one with a session of its own, nor one of another user, nor one of whom the parent is gone."""
    add(agent, script("Leaves Many", """
setsid sleep 7331 &
setsid runuser -u nobody -- sleep 7332 &
sudo -u nobody setsid sleep 7333 &
(setsid nohup bash -c 'trap "" TERM; sleep 7334; sleep 7334' >/dev/null 2>&1 &)
touch /run/leaves-many
sleep 7335""", timeout="2").replace("# timeout:", "# user: root\n# sandbox: off\n# timeout:"))
    agent.run("systemctl start --no-block ssi-leaves-many.service")
    wait_until(lambda: agent.run("pgrep -fc 'sleep 733[1-5]'", check=False).stdout.strip() >= "5" and
               agent.run(["test", "-e", "/run/leaves-many"], check=False).returncode == 0)
    wait_until(lambda: prop(agent, "leaves-many", "LastRunResult") == "timeout", timeout=30)
    assert agent.run("pgrep -f 'sleep 733[1-5]'", check=False).returncode == 1
    agent.run("rm /run/leaves-many")


@pytest.mark.parametrize("how", ["restart", "upgrade"])
def test_a_run_under_way_is_counted(agent, add, how):
    """Its line is printed before or after ssid was away, its end after; an upgrade brings another binary and unit."""
    agent.run("rm -f /run/go")
    wait_for_go = "until [ -e /run/go ]; do sleep 0.05; done"
    add(agent, script(f"Early {how}", f'{prints("WARNING", "early")}; {wait_for_go}', timeout="60"))
    add(agent, script(f"Late {how}", f'{wait_for_go}; {prints("UPDATE", "late")}', timeout="60"))
    slugs = (f"early-{how}", f"late-{how}")
    agent.run(f"systemctl start --no-block ssi-early-{how}.service ssi-late-{how}.service")
    wait_until(lambda: agent.lines(f"early-{how}"))
    former = agent.pid("ssid.service")
    if how == "upgrade":
        agent.run("cp /usr/lib/ssi/ssid /usr/lib/ssi/ssid.new && mv /usr/lib/ssi/ssid.new /usr/lib/ssi/ssid && systemctl daemon-reload")
    agent.run("systemctl restart ssid.service")
    assert agent.pid("ssid.service") != former
    assert [prop(agent, s, "Status") for s in slugs] == ["", ""]
    agent.run("touch /run/go")
    wait_until(lambda: [prop(agent, s, "Status") for s in slugs] == ["WARNING", "UPDATE"])
    for s in slugs:
        (run,) = history(agent, s, 10)
        assert run[2] == s.partition("-")[0] and run[5] < UNKNOWN
    agent.run("rm /run/go")


@pytest.mark.other_release
def test_a_start_knows_what_ran_long_ago(boot):
    """Also when it reads the last runs of many services at once, of which the last entries are another's."""
    host = boot("--agent")
    crowd(host, 10)
    host.run("for ((i = 0; i < 60; i++)); do systemctl start ssi-model-3.service; done; systemctl restart ssid.service")
    services = json.loads(host.run("ssictl --json list").stdout)
    assert len(services) == 10 and {s["status"] for s in services} == {"OK"}, services


@pytest.mark.skipif(not os.environ.get("SSI_TEST_SCALE"), reason="minutes long: set SSI_TEST_SCALE=1")
def test_ten_thousand_runs(agent, add):
    """A script that prints one line and exits: as many results as runs, each once, by signals and by the journal."""
    count = 10_000
    add(agent, script("One Line", f'echo "{NOW}, OK, $INVOCATION_ID"'))
    results = []
    with Bus(agent, timeout=1800) as signals:
        signals.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s",
                     "type='signal',interface='org.ssi.Agent1.Manager',member='StatusReported',arg0='one-line'")
        began = time.monotonic()
        # Slower than journald's limit of 10,000 entries in 30 s, of which a run makes several.
        driver = agent.start(f"for ((i = 0; i < {count}; i++)); do systemctl start ssi-one-line.service; done")
        while len(results) < count:
            kind, fields, values = signals.message()
            if kind == SIGNAL and values and values[0] == "one-line":
                results.append(values[2])
        assert driver.wait() == 0
        took = time.monotonic() - began
    lines = agent.lines("one-line")
    print(f"{count} runs in {took:.0f} s: {len(results)} results, {len(set(results))} different, {len(lines)} lines")
    assert len(lines) == count
    assert results == [line.split(", ", 2)[2] for line in lines]
    assert len(set(results)) == count


def test_history_reads_over_what_runs_printed(agent, add):
    """However much that is: each run's result stands in its last line but a few."""
    add(agent, script("Chatty", f'n=$(cat /run/n); for ((i = 0; i < 4000; i++)); do echo "line $i"; done; '
                      f'[ "$n" = 5 ] && exit 1; {prints("UPDATE", "run $n")}; echo "and more"'))
    agent.write("/etc/systemd/system/ssi-chatty.service.d/rate.conf",
                "[Service]\nLogRateLimitIntervalSec=1s\nLogRateLimitBurst=10000000\n")
    agent.run("systemctl daemon-reload; for n in {1..11}; do echo $n > /run/n; systemctl start ssi-chatty.service; done; true",
              timeout=120)
    wait_until(lambda: prop(agent, "chatty", "Message") == "run 11")
    began = time.monotonic()
    runs = history(agent, "chatty", 20)
    print(f"11 runs of 4,000 lines in {time.monotonic() - began:.3f} s")
    assert [r[1:4] for r in runs] == [["", "", "exit-code"] if n == 5 else ["UPDATE", f"run {n}", ""] for n in range(11, 0, -1)]
    # A program that starts anew finds the last result, too.
    agent.run("systemctl restart ssid.service")
    # With this many lines, it may show the run before for a moment.
    wait_until(lambda: prop(agent, "chatty", "Message") == "run 11")


def test_what_journald_dropped_is_told(agent, add):
    add(agent, script("Limited", f'for i in {{1..100}}; do echo "line $i"; done; {prints("OK", "unseen")}'))
    agent.write("/etc/systemd/system/ssi-limited.service.d/rate.conf",
                "[Service]\nLogRateLimitIntervalSec=2s\nLogRateLimitBurst=10\n")
    agent.run("systemctl daemon-reload; systemctl start ssi-limited.service; sleep 2.1; systemctl start ssi-limited.service")
    log = agent.run(["ssictl", "log", "limited", "-n", "100"]).stdout
    assert re.search(r"\[journald dropped \d+ lines here: RateLimitBurst= in journald.conf\]", log), log


def test_what_a_person_prints_is_found(agent, add):
    """journald keeps it in a file of that person's."""
    agent.add_user("carol")
    add(agent, script("Personal", prints("OK", "mine"), timeout="20\n# user: carol"))
    agent.run(["ssictl", "run", "personal"])
    assert "OK, mine" in agent.run(["ssictl", "log", "personal"]).stdout
    assert [r[1:3] for r in history(agent, "personal", 5)] == [["OK", "mine"]]
