# SPDX-License-Identifier: LGPL-2.1-or-later
"""What each verb of ssictl says, prints as JSON, and exits with."""
import json
import re
import threading
import time

import pytest

from hosts import prints, script, wait_until

VERBS = ["add", "install", "remove", "uninstall", "list", "status", "show", "cat", "validate", "test", "run", "enable",
         "disable", "log", "history", "watch", "register", "unregister", "rotate-key", "uplink"]


def ssictl(host, *args, **kwargs):
    return host.run(["ssictl", *args], check=False, **kwargs)


def as_json(host, *args, code=0, **kwargs):
    r = ssictl(host, "--json", *args, **kwargs)
    assert (r.returncode, r.stderr) == (code, ""), r
    return json.loads(r.stdout)


def has_member(host, path, interface, member):
    return f".{member} " in host.run(["busctl", "introspect", "org.ssi.Agent1", path, interface]).stdout


# ---- help, version, wrong usage --------------------------------------------------------------------------------------

@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_version(agent, verb):
    for args in ([verb, "--help"], ["-h", verb]):
        r = ssictl(agent, *args)
        assert (r.returncode, r.stderr) == (0, "")
        assert r.stdout.startswith("ssictl [OPTION…] ") and "--json" in r.stdout
        assert max(map(len, r.stdout.splitlines())) <= 80
    r = ssictl(agent, verb, "--version")
    assert re.fullmatch(r"ssictl \d+\.\d+\.\d+\n", r.stdout) and r.returncode == 0


def test_help_names_every_verb(agent):
    out = ssictl(agent, "--help").stdout
    for verb in set(VERBS) - {"install", "uninstall"}:
        assert re.search(rf"^  {verb}\b", out, re.MULTILINE), verb
    assert max(map(len, out.splitlines())) <= 80
    assert ssictl(agent, "install", "--help").stdout == ssictl(agent, "add", "--help").stdout


@pytest.mark.parametrize("args, says", [
    (["nonsense"], "nonsense"),
    (["nonsense", "--help"], "nonsense"),
    (["add"], "FILE…"),
    (["list", "x"], "ssictl list"),
    (["log", "a", "b"], "ssictl log NAME"),
    (["register"], "URL [TOKEN]"),
    (["register", "https://localhost", "a", "b"], "URL [TOKEN]"),
    (["register", "https://localhost"], "no token"),
    (["register", "https://localhost", "a", "--token-file=b"], "not both"),
    (["list", "--replace"], "--replace"),
    (["status", "--replace"], "--replace"),
    (["--run", "run", "x"], "--run"),
    (["add", "--no-wait", "x"], "--no-wait"),
    (["list", "-n", "3"], "--lines"),
    (["status", "-n", "3"], "name of a service"),
    (["log", "x", "--lines=many"], "0 to 1000"),
    (["log", "x", "--lines=-1"], "0 to 1000"),
    (["log", "x", "--lines=1001"], "0 to 1000"),
    (["log", "x", "--lines="], "0 to 1000"),
    (["list", "-p", "Name"], "--property"),
    (["show", "--value", "--json"], "cannot be combined"),
    (["list", "-H", "a", "-M", "b"], "cannot be combined"),
    (["uplink", "--ca=x"], "--ca"),
    (["list", "--nonsense"], "nonsense"),
    (["list", "-H"], "argument"),
])
def test_wrong_usage(agent, args, says):
    r = ssictl(agent, *args)
    assert r.returncode == 2
    assert r.stdout == ""
    assert says in r.stderr and len(r.stderr.splitlines()) == 1


@pytest.mark.parametrize("verb", ["status", "show", "cat", "run", "enable", "disable", "log", "history", "watch", "remove"])
def test_no_such_service(agent, verb):
    r = ssictl(agent, verb, "no-such-thing")
    assert r.returncode == 4
    assert r.stdout == ""
    assert "no-such-thing" in r.stderr and "ssictl list" in r.stderr and len(r.stderr.splitlines()) == 1


@pytest.mark.parametrize("verb", ["add", "validate", "test"])
def test_files_that_cannot_be_read(agent, verb):
    for path, says in (("/no/such/file", "No such file"), ("/tmp", "folder"), ("/bin/true", "UTF-8")):
        r = ssictl(agent, verb, path)
        assert (r.returncode, r.stdout) == (1, "")
        assert path in r.stderr and says in r.stderr


def test_a_host_that_cannot_be_reached(agent):
    r = ssictl(agent, "-M", "no-such-machine", "list")
    assert r.returncode == 1 and "no-such-machine" in r.stderr


# ---- show ------------------------------------------------------------------------------------------------------------

def test_show(agent, add):
    add(agent, script("Shown Two", prints("OK", "as it is, with = and ,")).replace("# timeout", "# labels: web, db\n# timeout"))
    agent.run(["ssictl", "run", "shown-two"])
    out = ssictl(agent, "show", "shown-two").stdout
    shown = dict(line.split("=", 1) for line in out.splitlines())
    assert shown["Name"] == "shown-two"
    assert shown["Message"] == "as it is, with = and ,"
    assert shown["Enabled"] == "yes"
    assert shown["Labels"] == "web db"
    assert shown["TimeoutUSec"] == "20000000"
    assert shown["User"] == ""
    as_object = as_json(agent, "show", "shown-two")
    assert as_object.keys() == shown.keys()
    assert as_object["Enabled"] is True and as_object["Labels"] == ["web", "db"] and as_object["TimeoutUSec"] == 20_000_000

    assert ssictl(agent, "show", "--property=Status", "--value", "shown-two").stdout == "OK\n"
    assert ssictl(agent, "show", "-p", "Name,Status", "-p", "Title", "shown-two").stdout.splitlines() == \
        ["Name=shown-two", "Title=Shown Two", "Status=OK"]
    assert as_json(agent, "show", "-p", "Status", "shown-two") == {"Status": "OK"}
    metadata = {"description": "A script of the tests", "version": "1.0"}
    assert as_json(agent, "show", "-p", "Metadata", "shown-two") == {"Metadata": metadata}
    assert json.loads(ssictl(agent, "show", "-p", "Metadata", "--value", "shown-two").stdout) == metadata
    assert as_json(agent, "status", "shown-two")["metadata"] == metadata
    assert re.search(r"^ Description: A script of the tests\n     Version: 1\.0$", ssictl(agent, "status", "shown-two").stdout, re.MULTILINE)
    # By its title; and two of them apart.
    assert ssictl(agent, "show", "-p", "Name", "Shown Two", "shown-two").stdout == "Name=shown-two\n\nName=shown-two\n"
    r = ssictl(agent, "show", "-p", "Nmae", "shown-two")
    assert r.returncode == 1 and r.stdout == "" and "Nmae" in r.stderr


def test_show_of_the_agent(agent):
    assert re.search(r"^Version=\d", ssictl(agent, "show").stdout, re.MULTILINE)
    assert set(as_json(agent, "show")["StatusCounts"]) == {"OK", "UPDATE", "WARNING", "FAILURE"}


# ---- JSON ------------------------------------------------------------------------------------------------------------

def test_json_of_a_services_life(agent):
    # journald finds out whose a line is when it reads it. On a busy machine that is late: were the run over by then, the line would have no run, and after
    # half a second more the run no line.
    path = agent.write("/tmp/json.bash", script("In Json", f'echo "a \\"quoted\\" line"; {prints("UPDATE", "größer / kleiner")}; sleep 2'))
    valid = as_json(agent, "validate", path)
    assert valid["valid"] is True and valid["file"] == path and valid["problems"] == []
    assert valid["metadata"]["slug"] == "in-json"

    added = as_json(agent, "add", path)
    assert (added["name"], added["status"], added["enabled"]) == ("in-json", None, True)
    try:
        ran = as_json(agent, "run", "in-json")
        assert (ran["status"], ran["message"], ran["last_run_result"]) == ("UPDATE", "größer / kleiner", "success")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", ran["last_run"])
        assert as_json(agent, "status", "in-json")["message"] == "größer / kleiner"
        assert "in-json" in [s["name"] for s in as_json(agent, "list")]
        log = as_json(agent, "log", "in-json")
        assert log[0]["text"] == 'a "quoted" line' and len(log[0]["invocation_id"]) == 32
        assert len(log) == 2 and as_json(agent, "log", "-n", "1", "in-json") == log[1:]
        assert as_json(agent, "cat", "in-json")["content"].startswith("#!/bin/bash\n")
        assert as_json(agent, "disable", "in-json") == {"action": "disabled", "name": "in-json"}
        assert as_json(agent, "status", "in-json")["enabled"] is False
        assert as_json(agent, "enable", "in-json") == {"action": "enabled", "name": "in-json"}
        assert as_json(agent, "run", "--no-wait", "in-json") == {"action": "started", "name": "in-json"}
    finally:
        removed = as_json(agent, "remove", "in-json")
    assert removed == {"action": "removed", "name": "in-json"}
    assert as_json(agent, "uplink")["connected"] is False


def test_json_of_an_invalid_script(agent):
    path = agent.write("/tmp/invalid.bash", script("Invalid", "true").replace("# schedule: *-*-* 04:00:00", "# schedule: sometimes"))
    answer = as_json(agent, "validate", path, code=1)
    assert answer["valid"] is False
    assert [(p["line"], p["severity"]) for p in answer["problems"]] == [(6, "error")]


# ---- add -------------------------------------------------------------------------------------------------------------

def unknown_user(name):
    return script(name, prints("OK", "x")).replace("# timeout", "# user: nobodyhere\n# timeout")


def test_add_shows_warnings(agent, add):
    path = agent.write("/tmp/warned.bash", script("Warned", prints("OK", "x")).replace("# timeout", "# colour: red\n# timeout"))
    try:
        r = ssictl(agent, "add", path)
        assert r.returncode == 0 and r.stdout.startswith("Added warned (Warned, version 1.0), next run ")
        assert r.stderr == f'{path}:7: warning: unknown key "colour", ignored\n'
        added = as_json(agent, "add", "--replace", path)
        assert (added["name"], added["change"]) == ("warned", "unchanged")
        assert added["problems"] == [{"line": 7, "severity": "warning", "text": 'unknown key "colour", ignored'}]
    finally:
        agent.run(["ssictl", "remove", "warned"], check=False)


def test_a_user_that_is_not_there(agent):
    path = agent.write("/tmp/absent.bash", unknown_user("Absent"))
    says = '"user" does not exist on this host: "nobodyhere"'
    r = ssictl(agent, "validate", path)
    assert r.returncode == 0 and f"{path}:7: warning: {says}\n" in r.stdout
    for verb in ("add", "test"):
        r = ssictl(agent, verb, path)
        assert r.returncode == 1 and f"absent.bash:7: error: {says}" in r.stderr
    assert ssictl(agent, "status", "absent").returncode == 4


@pytest.mark.parametrize("body, code, line", [
    (prints("OK", "it works"), 0, "shown-once: OK, it works"),
    (prints("WARNING", "not quite"), 3, "shown-once: WARNING, not quite"),
    ("sleep 2; exit 7", 3, "shown-once: execution error: exited with status 7 (exit-code)"),
])
def test_add_and_run(agent, body, code, line):
    path = agent.write("/tmp/once.bash", script("Shown Once", body))
    try:
        r = ssictl(agent, "add", "--run", path)
        lines = r.stdout.splitlines()
        assert (r.returncode, r.stderr) == (code, "") and lines[0].startswith("Added shown-once (Shown Once, version 1.0)")
        assert lines[1:] == [line]
        # Once more: of this run, not of the one before.
        before = as_json(agent, "show", "-p", "LastRunInvocationID", "shown-once")
        again = as_json(agent, "add", "--replace", "--run", path, code=code)
        assert again["change"] == "unchanged" and again["last_run"]
        assert as_json(agent, "show", "-p", "LastRunInvocationID", "shown-once") != before
    finally:
        agent.run(["ssictl", "remove", "shown-once"], check=False)


def test_test_gives_spans_in_milliseconds(agent):
    path = agent.write("/tmp/span.bash", script("Span", f'sleep 0.3; {prints("OK", "x")}'))
    run = as_json(agent, "test", path)["run"]
    assert 300 <= run["duration_ms"] < 10_000 and "duration_usec" not in run


# ---- exit codes of status and run ------------------------------------------------------------------------------------

def test_status_names_how_the_last_run_ended(agent, add):
    add(agent, script("Ended", prints("OK", "x")))
    ssictl(agent, "run", "ended")
    out = ssictl(agent, "status", "ended").stdout
    assert re.search(r"Last run: .*; success, took ", out), out


@pytest.mark.parametrize("status, code", [("OK", 0), ("UPDATE", 0), ("WARNING", 3), ("FAILURE", 3)])
def test_exit_codes(agent, add, status, code):
    add(agent, script("Exit Code", prints(status, "x")))
    assert ssictl(agent, "run", "exit-code").returncode == code
    for args in (["status", "exit-code"], ["--json", "status", "exit-code"], ["--json", "run", "exit-code"]):
        assert ssictl(agent, *args).returncode == code, args
    assert ssictl(agent, "list").returncode == 0
    assert ssictl(agent, "log", "-n", "0", "exit-code").stdout == ""


def test_an_execution_error_is_seen(agent, add):
    add(agent, script("Erring", f'[ -e /run/err ] && exit 5; {prints("OK", "before")}'))
    assert ssictl(agent, "run", "erring").returncode == 0
    agent.run("touch /run/err")
    try:
        r = ssictl(agent, "run", "erring")
    finally:
        agent.run("rm /run/err")
    assert r.returncode == 3 and "execution error" in r.stdout and "exit-code" in r.stdout
    line = next(line for line in ssictl(agent, "list").stdout.splitlines() if line.startswith("erring"))
    assert re.search(r"\bOK ! .*\[exit-code\]", line)
    out = ssictl(agent, "status", "erring")
    assert out.returncode == 3 and "exit-code" in out.stdout and "OK, before" in out.stdout
    assert "1 execution error" in ssictl(agent, "status").stdout


# ---- test, history ---------------------------------------------------------------------------------------------------

def test_test(agent):
    path = agent.write("/tmp/tried.bash", script("Only Tried", prints("WARNING", "tried, not installed")))
    r = ssictl(agent, "test", path)
    if not has_member(agent, "/org/ssi/Agent1", "org.ssi.Agent1.Manager", "TestScript"):
        assert r.returncode == 1 and "too old" in r.stderr and r.stdout == ""
        return
    assert r.returncode == 3, r
    assert "WARNING" in r.stdout and "tried, not installed" in r.stdout
    answer = as_json(agent, "test", path, code=3)
    assert (answer["status"], answer["message"], answer["file"]) == ("WARNING", "tried, not installed", path)
    assert isinstance(answer["run"], dict)
    assert "only-tried" not in ssictl(agent, "list").stdout


def test_history(agent, add):
    add(agent, script("Has History", f'[ -e /run/hist ] && exit 5; {prints("OK", "a result")}'))
    agent.run(["ssictl", "run", "has-history"])
    r = ssictl(agent, "history", "has-history")
    if not has_member(agent, "/org/ssi/Agent1/service/has_2dhistory", "org.ssi.Agent1.Service", "GetHistory"):
        assert r.returncode == 1 and "too old" in r.stderr and r.stdout == ""
        return
    assert r.returncode == 0 and "OK" in r.stdout and "a result" in r.stdout
    agent.run("touch /run/hist")
    try:
        ssictl(agent, "run", "has-history")
    finally:
        agent.run("rm /run/hist")
    events = as_json(agent, "history", "has-history")
    assert [(e["status"], e["error"]) for e in events] == [(None, "exit-code"), ("OK", None)]
    assert len(as_json(agent, "history", "-n", "1", "has-history")) == 1


# ---- run, when things go away ----------------------------------------------------------------------------------------

SLOW = f'[ -e /run/slow ] && sleep 3; {prints("OK", "at last")}'


@pytest.fixture
def slow(agent, add):
    add(agent, script("Slow One", SLOW))
    agent.run("touch /run/slow")
    yield "slow-one"
    agent.run("rm -f /run/slow")


def is_running(host, slug):
    return host.show(f"ssi-{slug}.service", "ActiveState")["ActiveState"] == "activating"


def test_run_outlives_a_restart_of_the_agent(agent, slow):
    with agent.start(["ssictl", "run", slow], stdout=-1, stderr=-1) as p:
        wait_until(lambda: is_running(agent, slow))
        agent.run("systemctl restart ssid.service")
        out, err = p.communicate(timeout=30)
    assert (p.returncode, out, err) == (0, "slow-one: OK, at last\n", "")


def test_run_of_a_service_that_is_removed_meanwhile(agent, slow):
    with agent.start(["ssictl", "run", slow], stdout=-1, stderr=-1) as p:
        wait_until(lambda: is_running(agent, slow))
        agent.run(["ssictl", "remove", slow])
        out, err = p.communicate(timeout=30)
    assert p.returncode in (3, 4)
    assert "removed" in err or "execution error" in out


def test_run_with_an_agent_that_does_not_come_back(agent, slow):
    with agent.start(["ssictl", "run", slow], stdout=-1, stderr=-1) as p:
        wait_until(lambda: is_running(agent, slow))
        agent.run("systemctl mask --runtime ssid.service; systemctl stop ssid.service")
        try:
            out, err = p.communicate(timeout=40)
        finally:
            agent.run("systemctl unmask --runtime ssid.service; systemctl start ssid.service")
    assert p.returncode == 1 and out == ""
    assert "systemctl status ssid" in err


# ---- watch -----------------------------------------------------------------------------------------------------------

def collect(process):
    """The lines that a process prints, in a list that grows."""
    lines = []
    threading.Thread(target=lambda: lines.extend(line.rstrip("\n") for line in process.stdout), daemon=True).start()
    return lines


@pytest.fixture
def watch(agent):
    processes = []

    def start(*args):
        p = agent.start(["ssictl", "watch", *args], stdout=-1, stderr=-2)
        processes.append(p)
        lines = collect(p)
        time.sleep(1)
        assert p.poll() is None
        return lines

    yield start
    for p in processes:
        p.kill()
        p.wait()
        p.stdout.close()


def test_watch(agent, add, watch):
    add(agent, script("Watched", f'[ -e /run/watched ] && exit 7; {prints("OK", "seen, größer")}'))
    add(agent, script("Ignored", prints("OK", "unseen")), filename="ignored.bash")
    text, lines, one = watch(), watch("--json"), watch("--json", "Watched")
    agent.run(["ssictl", "run", "ignored", "watched"])
    agent.run("systemctl restart ssid.service")
    wait_until(lambda: any("is back" in line for line in text))
    agent.run("touch /run/watched; ssictl run watched; rm /run/watched", check=False)
    wait_until(lambda: len([x for x in one if x.startswith("{")]) >= 2)
    wait_until(lambda: any("[exit-code]" in line for line in text))
    wait_until(lambda: all(any(f'"{name}"' in line for line in lines) for name in ("watched", "ignored")))

    events = [json.loads(line) for line in one if line.startswith("{")]
    assert [(e["name"], e["status"], e["message"], e["error"]) for e in events] == \
        [("watched", "OK", "seen, größer", None), ("watched", None, None, "exit-code")]
    assert {json.loads(line)["name"] for line in lines if line.startswith("{")} >= {"watched", "ignored"}
    assert any(re.match(r"\d\d:\d\d:\d\d  watched +OK +seen, größer$", line) for line in text), text
    assert any(re.match(r"\d\d:\d\d:\d\d  watched +error +\[exit-code\]", line) for line in text), text
    assert any("The agent stopped" in line for line in text)


# ---- log --follow ----------------------------------------------------------------------------------------------------

@pytest.fixture
def follow(agent):
    processes = []

    def start(*args):
        p = agent.start(["ssictl", "log", "--follow", *args], stdout=-1, stderr=-2)
        processes.append(p)
        p.lines = collect(p)
        return p

    yield start
    for p in processes:
        p.kill()
        p.wait()
        p.stdout.close()


def test_following_a_log(agent, add, follow):
    """Every line once, in order: what was there, what comes during a run, and across a restart of the agent."""
    add(agent, script("Followed", f"""echo one
while [ -e /run/followed ]; do sleep 0.05; done
echo two; {prints("OK", "done")}"""))
    agent.run(["ssictl", "run", "followed"])
    text, lines, new = follow("followed"), follow("--json", "-n", "2", "followed"), follow("-n", "0", "followed")
    wait_until(lambda: len(text.lines) == 3 and len(lines.lines) == 2)

    agent.run("touch /run/followed; ssictl run --no-wait followed")
    wait_until(lambda: len(text.lines) == 4, what="a line of a run under way")
    agent.run("systemctl stop ssid.service; rm /run/followed")
    wait_until(lambda: "The agent stopped" in text.lines[-1])
    wait_until(lambda: agent.show("ssi-followed.service", "ActiveState")["ActiveState"] == "inactive")
    assert agent.run("systemctl is-active ssid.service", check=False).stdout.strip() == "inactive", "following starts no agent"
    agent.run("systemctl start ssid.service")
    wait_until(lambda: sum(" OK, done" in line for line in text.lines) == 2)
    wait_until(lambda: sum(" OK, done" in line for line in new.lines) == 1)
    wait_until(lambda: sum(" OK, done" in line for line in lines.lines) == 2)

    assert [line.split("  ", 1)[1][-4:] for line in text.lines if not line.startswith("ssictl: ")] == \
        ["one", "two", "done", "one", "two", "done"]
    assert [json.loads(line)["text"][-4:] for line in lines.lines if line.startswith("{")] == ["two", "done", "one", "two", "done"]
    assert [line.split("  ", 1)[1][-4:] for line in new.lines if not line.startswith("ssictl: ")] == ["one", "two", "done"]

    agent.run(["ssictl", "remove", "followed"])
    for p in (text, lines, new):
        assert p.wait(timeout=20) == 4
    wait_until(lambda: "followed was removed" in text.lines[-1])


def test_following_is_authorised_and_ones_own(agent, add):
    add(agent, script("Private", prints("OK", "x")))
    agent.add_user("alice")
    r = agent.run(["ssictl", "log", "-f", "--no-ask-password", "private"], user="alice", check=False)
    assert r.returncode == 5 and r.stdout == ""
    r = agent.run(["ssictl", "log", "-f", "nothing"], check=False)
    assert r.returncode == 4 and "ssictl list" in r.stderr
    call = ["busctl", "call", "org.ssi.Agent1", "/org/ssi/Agent1", "org.ssi.Agent1.Manager"]
    one = int(agent.run([*call, "FollowLog", "sa{sv}", "private", "0"]).stdout.split()[1])
    r = agent.run([*call, "ReadLog", "u", str(one)], check=False)
    assert "FollowLog first" in r.stderr, "it ended with its caller, and is nobody else's"
    r = agent.run([*call, "FollowLog", "sa{sv}", "private", "1", "after", "s", "nonsense"], check=False)
    assert "cursor" in r.stderr


def test_run_shows_its_own_run_alone(agent, add):
    """Not one that has been stopped a moment before, or whose missing line is still waited for."""
    add(agent, script("Own Run", f'sleep 1; {prints("OK", "mine")}'))
    add(agent, script("No Line", f'[[ -e /run/line ]] || exit 0; {prints("OK", "a line")}; sleep 0.3'))
    # (It stays until journald has seen whose line that is: of one that is gone the run before, which still waits for a line, would get it.)
    for _ in range(3):
        ssictl(agent, "run", "--no-wait", "own-run")
        agent.run("sleep 0.3; systemctl stop ssi-own-run.service")
        r = ssictl(agent, "run", "own-run")
        assert (r.returncode, r.stdout) == (0, "own-run: OK, mine\n"), r.stdout + r.stderr
        agent.run("rm -f /run/line; systemctl start ssi-no-line.service; touch /run/line")
        r = ssictl(agent, "run", "no-line")
        assert (r.returncode, r.stdout) == (0, "no-line: OK, a line\n"), r.stdout + r.stderr


def test_a_name_that_is_mistyped_runs_nothing(agent, add):
    add(agent, script("Not Run", f'touch /run/has-run; {prints("OK", "x")}', ).replace("# timeout:", "# user: root\n# sandbox: off\n# timeout:"))
    assert ssictl(agent, "run", "not-run", "mistyped").returncode == 4
    agent.run("! test -e /run/has-run")
