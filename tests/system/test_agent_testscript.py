# SPDX-License-Identifier: LGPL-2.1-or-later
"""TestScript: a script runs as an installed one does, and leaves nothing."""
import contextlib
import json
import time

import pytest

from hosts import prints, script, wait_until


def busctl(host, *args, user=None, check=True, timeout=60):
    """A method of the manager: its answer, or (with check=False) the command's result."""
    r = host.run(["busctl", "--json=short", f"--timeout={timeout}", "call", "org.ssi.Agent1", "/org/ssi/Agent1",
                  "org.ssi.Agent1.Manager", *args], check=check, user=user)
    return json.loads(r.stdout)["data"] if check else r


def try_script(host, text, **options):
    """(status, message, run)"""
    status, message, run = busctl(host, "TestScript", "ss", "script.bash", text, **options)
    return status, message, {k: v["data"] for k, v in run.items()}


def left_over(host):
    units = host.run("systemctl list-units --all --plain --no-legend 'ssi_test_*'").stdout
    return units + host.run("ls -A /run/ssid").stdout


@pytest.fixture(autouse=True)
def nothing_left(agent):
    yield
    wait_until(lambda: left_over(agent) == "", what="no trace of a test")


def test_a_result(agent):
    text = script("Tried", f'echo "a diagnostic"; {prints("OK", "not yet")}; {prints("WARNING", "a message, with commas")}')
    status, message, run = try_script(agent, text)
    assert (status, message) == ("WARNING", "a message, with commas")
    assert run["output"][0] == "a diagnostic"
    assert len(run["output"]) == 3
    assert run["output_cut"] is False
    assert run["exit_status"] == 0
    assert 0 < run["duration_usec"] < 10_000_000
    assert "error" not in run
    assert agent.run(["ssictl", "list"]).stdout.count("tried") == 0


def test_the_conventions_hold(agent):
    status, message, run = try_script(agent, script("Conventions", 'false\nssi_update "by the library" "$STATUS_OK"'))
    assert (status, message) == ("UPDATE", "by the library OK")
    assert any("conventions: line 9: \"false\" ended with status 1" in line for line in run["output"]), run


def test_it_is_named_as_the_caller_names_it(agent):
    """Not by where it is tried, in what Bash says of it, in what it says of itself, and in its message."""
    body = 'no-such-command\necho "$0" "${BASH_SOURCE[0]}" >&2\nssi_ok "said by $0"'
    status, message, run = try_script(agent, script("Named", body))
    assert (status, message) == ("OK", "said by script.bash")
    assert "script.bash: line 9: no-such-command: command not found" in run["output"]
    assert "script.bash script.bash" in run["output"]
    assert "/run/ssid" not in str(run)
    path = agent.write("/tmp/other-name.bash", script("Named", body))
    assert "other-name.bash: line 9: no-such-command" in agent.run(["ssictl", "test", path]).stdout


@pytest.mark.parametrize("body, error, more", [
    ("exit 3", "exit-code", {"exit_status": 3, "detail": "exited with status 3"}),
    (f'{prints("OK", "x")}; exit 1', "exit-code", {"exit_status": 1}),
    ("kill -KILL $$", "signal", {"signal": 9}),
    ("sleep 30", "timeout", {}),
    ("echo nothing of note", "no-status-line", {"exit_status": 0, "output": ["nothing of note"]}),
])
def test_an_execution_error_is_no_status(agent, body, error, more):
    status, message, run = try_script(agent, script("Breaks", body, timeout="1" if error == "timeout" else "20"))
    assert (status, message, run["error"]) == ("", "", error)
    assert run["detail"]
    assert run | more == run


def test_an_interpreter_that_is_not_there(agent):
    text = script("Breaks", "exit").replace("#!/bin/bash", "#!/nowhere/bash")
    assert try_script(agent, text)[2]["error"] == "not-executable"


def test_much_output_is_cut(agent):
    status, _, run = try_script(agent, script("Chatty", f'for i in {{1..3000}}; do echo "$i"; done; {prints("OK", "done")}'))
    assert status == "OK"
    assert run["output_cut"] is True
    assert run["output"][:2] == ["1", "2"]
    assert len(run["output"]) == 1000


def test_an_invalid_script_is_not_run(agent):
    r = busctl(agent, "TestScript", "ss", "script.bash", script("Broken", "if", schedule="never ever"), check=False)
    assert r.returncode != 0
    assert "script.bash:6: error" in r.stderr and "schedule" in r.stderr


# A run that lasts until it has been looked at.
UNTIL_GO = "until [ -e /run/go ]; do sleep 0.1; done"


@contextlib.contextmanager
def going(agent):
    agent.run("touch /run/go")
    try:
        yield
    finally:
        agent.run("rm /run/go")


PROPERTIES = """
Type TimeoutStartUSec TimeoutStopUSec StandardInput StandardOutput StandardError Environment MemoryAccounting MemoryMax
TasksMax User DynamicUser NoNewPrivileges ProtectSystem ProtectHome PrivateTmp PrivateDevices ProtectClock ProtectHostname
ProtectKernelTunables ProtectKernelModules ProtectKernelLogs ProtectControlGroups RestrictSUIDSGID RestrictRealtime
RestrictNamespaces RestrictAddressFamilies LockPersonality RemoveIPC UMask SystemCallArchitectures SystemCallFilter
SystemCallErrorNumber CapabilityBoundingSet AmbientCapabilities StartLimitIntervalUSec Description Documentation
""".split()


@pytest.mark.parametrize("more", ["", "# user: root\n", "# sandbox: off\n"])
def test_the_unit_is_that_of_an_installed_script(agent, add, more):
    text = script("Compared", f'{UNTIL_GO}; {prints("OK", "x")}').replace("# timeout:", f"{more}# timeout:")
    add(agent, text)
    installed = agent.show("ssi-compared.service", *PROPERTIES)
    path = agent.write("/tmp/compared.bash", text)
    caller = agent.start(f'busctl call org.ssi.Agent1 /org/ssi/Agent1 org.ssi.Agent1.Manager TestScript ss x "$(cat {path})"')
    unit = wait_until(lambda: agent.run("systemctl list-units --plain --no-legend 'ssi_test_*' | cut -d' ' -f1").stdout.strip())
    tried = agent.show(unit, *PROPERTIES)
    with going(agent):
        assert caller.wait() == 0
    if tried["DynamicUser"] == "yes":
        # systemd derives its name from the unit's.
        assert tried.pop("User") != installed.pop("User")
    assert tried == installed
    assert len(tried) >= len(PROPERTIES) - 1


def test_only_for_those_who_may(agent):
    agent.add_user("alice")
    r = busctl(agent, "TestScript", "ss", "x", script("Of Alice", prints("OK", "x")), user="alice", check=False)
    assert r.returncode != 0 and "org.ssi.agent1.manage-services" in r.stderr
    agent.write("/etc/polkit-1/rules.d/50-test.rules", """
polkit.addRule(function(action, subject) {
        if (action.id == "org.ssi.agent1.manage-services" && subject.user == "alice")
                return polkit.Result.YES;
});
""")
    try:
        text = script("Of Alice", prints("OK", "hello"))
        wait_until(lambda: busctl(agent, "TestScript", "ss", "x", text, user="alice", check=False).returncode == 0)
        r = busctl(agent, "TestScript", "ss", "x", text.replace("# timeout:", "# sandbox: off\n# timeout:"), user="alice",
                   check=False)
        assert r.returncode != 0 and "add-privileged-service" in r.stderr
    finally:
        agent.run("rm /etc/polkit-1/rules.d/50-test.rules")


def hanging(agent, how="sleep 4321"):
    path = agent.write(f"/tmp/hanging-{time.monotonic_ns()}.bash", script("Hanging", f'{how}; {prints("OK", "x")}', timeout="60"))
    return agent.start(f'exec busctl --timeout=60 call org.ssi.Agent1 /org/ssi/Agent1 org.ssi.Agent1.Manager TestScript ss x '
                       f'"$(cat {path})"')


def running(agent):
    return agent.run("systemctl list-units --plain --no-legend 'ssi_test_*'").stdout.count("\n")


def test_not_too_many_at_once(agent):
    callers = [hanging(agent, UNTIL_GO) for _ in range(4)]
    wait_until(lambda: running(agent) == 4)
    r = busctl(agent, "TestScript", "ss", "x", script("One More", "exit"), check=False)
    assert r.returncode != 0 and "Too many scripts" in r.stderr
    with going(agent):
        assert [c.wait() for c in callers] == [0, 0, 0, 0]


def test_a_caller_that_leaves(agent):
    caller = hanging(agent)
    wait_until(lambda: running(agent) == 1)
    agent.run("pkill -KILL -x busctl")
    caller.wait()
    wait_until(lambda: left_over(agent) == "", timeout=5)
    assert agent.run("pgrep -f 'sleep 432[1]'", check=False).returncode == 1


@pytest.mark.parametrize("end", ["kill", "restart"])
@pytest.mark.expect_error("ssid.service: .*(SIGKILL|signal|Failed)")
def test_an_ssid_that_ends(agent, end):
    caller = hanging(agent)
    wait_until(lambda: running(agent) == 1)
    if end == "kill":
        agent.run(["kill", "-KILL", str(agent.pid("ssid.service"))])
    else:
        agent.run("systemctl restart ssid.service")
    assert caller.wait() != 0
    wait_until(lambda: left_over(agent) == "", timeout=10)
    assert agent.run("pgrep -f 'sleep 432[1]'", check=False).returncode == 1
    wait_until(lambda: try_script(agent, script("Again", prints("OK", "again")))[0] == "OK")


def test_it_is_no_result_of_a_service(agent, add):
    add(agent, script("Also Installed", prints("OK", "installed")))
    agent.run(["ssictl", "run", "also-installed"])
    wait_until(lambda: "installed" in agent.run(["ssictl", "list"]).stdout)
    before = agent.lines("also-installed")
    try_script(agent, script("Also Installed", prints("FAILURE", "tried")))
    time.sleep(0.5)
    assert agent.lines("also-installed") == before
    assert "tried" not in agent.run(["ssictl", "list"]).stdout


# ---- ssi_unit_active, and what `validate` says of commands ----

UNIT_STATES = {
    "dbus.socket": "active",
    "dbus": "active",
    "is-reloading.service": "active",
    "is-down.service": "down",
    "has-failed.service": "down",
    "is-masked.service": "down",
    "starts-for-ever.service": "down",
    "there-is-none.service": None,
    "ssi*": None,
    "": None,
    "no unit": None,
}


@pytest.fixture
def units(agent):
    reloading = "[Service]\nType=notify\nNotifyAccess=all\nExecStart=bash -c 'systemd-notify --ready; systemd-notify RELOADING=1; sleep 999'\n"
    agent.write("/run/systemd/system/is-reloading.service", reloading)
    agent.write("/run/systemd/system/is-down.service", "[Service]\nExecStart=sleep 999\n")
    agent.write("/run/systemd/system/has-failed.service", "[Service]\nExecStart=false\n")
    agent.write("/run/systemd/system/starts-for-ever.service", "[Service]\nType=notify\nExecStart=sleep 999\n")
    agent.run("ln -sf /dev/null /run/systemd/system/is-masked.service; systemctl daemon-reload;"
              "systemctl start is-reloading.service has-failed.service; systemctl start --no-block starts-for-ever.service", check=False)
    wait_until(lambda: agent.run("systemctl is-active starts-for-ever.service is-reloading.service has-failed.service",
                                 check=False).stdout.split() == ["activating", "reloading", "failed"])
    yield
    agent.run("systemctl stop is-reloading.service starts-for-ever.service; systemctl reset-failed;"
              "rm /run/systemd/system/is-* /run/systemd/system/has-* /run/systemd/system/starts-*; systemctl daemon-reload", check=False)


def asks(unit, user):
    text = script("Asks", f"if ssi_unit_active '{unit}'; then ssi_ok active; else ssi_failure down; fi")
    return text.replace("# timeout", f"# user: {user}\n# timeout") if user else text


def test_whether_a_unit_is_active(agent, units):
    for unit, expected in UNIT_STATES.items():
        status, message, run = try_script(agent, asks(unit, "ssi-script"))
        if expected:
            assert (status, message) == ("OK" if expected == "active" else "FAILURE", expected), unit
        else:
            assert (status, run["error"], run["exit_status"]) == ("", "exit-code", 3), unit
            assert f"ssi_unit_active {unit}: " in run["output"][0]


def test_a_unit_that_cannot_be_asked_for_is_not_down(agent):
    status, _, run = try_script(agent, asks("dbus.socket", None))
    assert (status, run["error"], run["exit_status"]) == ("", "exit-code", 3)
    assert "cannot reach systemd" in run["output"][0] and '"# user: ssi-script"' in run["output"][0]


# What `validate` warns of does not work, and what it does not warn of does.
COMMANDS = {
    "systemctl": "systemctl is-active dbus.socket",
    "busctl": "busctl list",
    "loginctl": "loginctl list-users",
    "timedatectl": "timedatectl show",
    "hostnamectl": "hostnamectl",
    "localectl": "localectl",
    "journalctl": "journalctl --quiet --lines=1 --unit=ssid.service | grep .",
    "ping": "ping -c 1 -W 1 127.0.0.1",
    "sudo": "sudo -n true",
}


@pytest.mark.parametrize("user", [None, "ssi-script", "ssi-journal", "root"])
def test_validate_warns_of_commands_that_cannot_work(agent, user):
    there = [c for c in COMMANDS if agent.run(["which", c], check=False).returncode == 0]
    body = "\n".join(f"{{ {COMMANDS[c]}; }} >/dev/null 2>&1 && echo works: {c}" for c in there)
    text = script("Commands", f"{body}\nssi_ok x", timeout="60")
    if user:
        text = text.replace("# timeout", f"# user: {user}\n# timeout")
    valid, problems, _ = busctl(agent, "ValidateScript", "ss", "x.bash", text)
    assert valid
    lines = text.splitlines()
    warned = set()
    for line, severity, problem in problems:
        name = problem.split('"')[1]
        assert severity == "warning" and f"works: {name}" in lines[line - 1], (line, problem)
        warned.add(name)
    status, _, run = try_script(agent, text)
    assert status == "OK"
    works = {line.removeprefix("works: ") for line in run["output"] if line.startswith("works: ")}
    assert works == set(there) - warned
