"""What the agent tells about services and runs: their history, their cost, and whether they are enabled."""
import json
import time

from hosts import NOW, prints, script, wait_until

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
    wait_until(lambda: len(history(agent, "storied", 10)) == 6)
    runs = history(agent, "storied", 10)
    assert [r[6] for r in runs] == ids[::-1]
    assert [r[1:4] for r in runs] == [["UPDATE", "number 6", ""], ["UPDATE", "number 5", ""], ["", "", "no-status-line"],
                                      ["", "", "exit-code"], ["UPDATE", "number 2", ""], ["UPDATE", "number 1", ""]]
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
    wait_until(lambda: prop(agent, "verbose", "Status") == "OK")
    assert len(history(agent, "verbose", 1000)) == 2


def test_history_is_bounded(agent, add):
    add(agent, script("Many Runs", prints("OK", "x")))
    agent.run("for i in {1..150}; do systemctl start ssi-many-runs.service; done", timeout=120)
    began = time.monotonic()
    assert len(history(agent, "many-runs", 100)) == 100
    print(f"100 of 150 runs in {time.monotonic() - began:.3f} s")
    assert len(history(agent, "many-runs", 2**32 - 1)) == 150


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
