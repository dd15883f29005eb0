# SPDX-License-Identifier: LGPL-2.1-or-later
"""A service-script's way through ssictl: what is made, shown, run and removed."""
import json

import pytest

from hosts import NOW, prints, script, wait_until

pytestmark = pytest.mark.essential

BIN = "/usr/local/bin/ssi"
UNITS = "/etc/systemd/system"


def paths(slug):
    return [f"{BIN}/{slug}", f"{UNITS}/ssi-{slug}.service", f"{UNITS}/ssi-{slug}.timer"]


def existing(host, slug):
    return host.run(f"ls -dU {' '.join(paths(slug))} 2>/dev/null", check=False).stdout.split()


def show(host, slug):
    """All properties of the service's object, with busctl: the truth that ssictl shows."""
    path = json.loads(host.run(["busctl", "--json=short", "call", "org.ssi.Agent1", "/org/ssi/Agent1", "org.ssi.Agent1.Manager",
                                "GetService", "s", slug]).stdout)["data"][0]
    out = host.run(["busctl", "--json=short", "call", "org.ssi.Agent1", path, "org.freedesktop.DBus.Properties", "GetAll", "s",
                    "org.ssi.Agent1.Service"]).stdout
    return {k: v["data"] for k, v in json.loads(out)["data"][0].items()}


def test_add_makes_three_files_and_starts_the_timer(agent, add):
    text = script("Three Files", prints("OK", "all is well"), timeout="90s")
    add(agent, text)

    assert existing(agent, "three-files") == paths("three-files")
    copy, service, timer = paths("three-files")
    assert agent.run(["cat", copy]).stdout == text
    assert agent.run(["stat", "-c", "%a %U:%G", copy]).stdout == "755 root:root\n"
    for path in (service, timer):
        assert agent.run(["stat", "-c", "%a %U:%G", path]).stdout == "644 root:root\n"

    unit = agent.show("ssi-three-files.service", "Type", "TimeoutStartUSec", "SyslogIdentifier", "DynamicUser", "NoNewPrivileges",
                      "ProtectSystem", "ProtectHome", "PrivateTmp", "RestrictSUIDSGID", "NeedDaemonReload")
    assert unit == {"Type": "oneshot", "TimeoutStartUSec": "1min 30s", "SyslogIdentifier": "ssi-three-files", "DynamicUser": "yes",
                    "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes",
                    "RestrictSUIDSGID": "yes", "NeedDaemonReload": "no"}
    timer = agent.show("ssi-three-files.timer", "ActiveState", "UnitFileState", "AccuracyUSec", "Persistent")
    assert timer == {"ActiveState": "active", "UnitFileState": "enabled", "AccuracyUSec": "1s", "Persistent": "yes"}

    service = show(agent, "three-files")
    assert service["Name"] == "three-files"
    assert service["Title"] == "Three Files"
    assert service["ScriptVersion"] == "1.0"
    assert service["TimeoutUSec"] == 90_000_000
    assert service["Unit"] == "ssi-three-files.service"
    assert service["Enabled"] is True
    assert service["NextRunUSec"] > 0
    n = len(json.loads(agent.run(["ssictl", "--json", "list"]).stdout))
    assert agent.show("ssid.service", "StatusText")["StatusText"] == f"{n} service{'s' if n != 1 else ''}"


def test_remove_leaves_nothing(agent):
    path = agent.write("/tmp/gone.bash", script("Gone Soon", prints("OK", "x")))
    agent.run(["ssictl", "add", path])
    agent.run(["ssictl", "run", "gone-soon"])
    assert existing(agent, "gone-soon")
    agent.run(["ssictl", "remove", "gone-soon"])

    assert existing(agent, "gone-soon") == []
    state = agent.show("ssi-gone-soon.service", "LoadState", "ActiveState")
    assert state == {"LoadState": "not-found", "ActiveState": "inactive"}
    assert agent.show("ssi-gone-soon.timer", "LoadState")["LoadState"] == "not-found"
    assert "gone-soon" not in agent.run("ls -R /etc/systemd/system").stdout
    assert "gone-soon" not in agent.run(["ssictl", "list"]).stdout
    r = agent.run(["ssictl", "remove", "gone-soon"], check=False)
    assert r.returncode != 0 and "gone-soon" in r.stderr


def test_remove_leaves_no_stamp_of_the_timer(agent):
    """A service added again under the same name would be run at once, to make up for the time between."""
    path = agent.write("/tmp/stamp.bash", script("Stamped", prints("OK", "x")))
    agent.run(["ssictl", "add", path])
    agent.run(["ssictl", "remove", "stamped"])
    assert "stamped" not in agent.run("ls /var/lib/systemd/timers").stdout


def test_install_and_uninstall_are_the_same(agent):
    path = agent.write("/tmp/alias.bash", script("Alias", prints("OK", "x")))
    agent.run(["ssictl", "install", path])
    assert existing(agent, "alias")
    agent.run(["ssictl", "uninstall", "alias"])
    assert existing(agent, "alias") == []


def test_list_and_status(agent, add):
    add(agent, script("Shown One", prints("WARNING", "a message, with commas")))
    assert "shown-one" in agent.run(["ssictl", "list"]).stdout

    assert agent.run(["ssictl", "run", "shown-one"], check=False).returncode == 3
    wait_until(lambda: show(agent, "shown-one")["Status"] == "WARNING")
    service = show(agent, "shown-one")
    assert service["Message"] == "a message, with commas"
    assert service["LastRunUSec"] > 0
    assert 0 < service["LastRunDurationUSec"] < 10_000_000

    for command in (["ssictl", "status"], ["ssictl", "status", "shown-one"], ["ssictl", "list"]):
        out = agent.run(command, check=False).stdout
        assert "shown-one" in out and "WARNING" in out, (command, out)
    out = agent.run(["ssictl", "status", "shown-one"], check=False).stdout
    assert "a message, with commas" in out
    assert "\033[" not in out


def test_status_of_an_unknown_service(agent):
    r = agent.run(["ssictl", "status", "no-such-thing"], check=False)
    assert r.returncode != 0
    assert "no-such-thing" in r.stderr


def test_validate_installs_nothing(agent):
    path = agent.write("/tmp/valid.bash", script("Valid", prints("OK", "x")))
    assert agent.run(["ssictl", "validate", path]).returncode == 0
    assert existing(agent, "valid") == []


@pytest.mark.parametrize("what, old, new", [
    ("schedule", "# schedule: *-*-* 04:00:00", "# schedule: every now and then"),
    ("timeout", "# timeout: 20", "# timeout: a while"),
    ("version", "# version: 1.0\n", ""),
    ("name", "# name: Broken", "# name: !!!"),
])
def test_problems_are_named_with_their_line(agent, what, old, new):
    text = script("Broken", prints("OK", "x"))
    assert old in text
    path = agent.write("/tmp/broken.bash", text.replace(old, new))
    before = agent.run(f"ls {BIN} {UNITS}", check=False).stdout
    for verb in ("validate", "add"):
        r = agent.run(["ssictl", verb, path], check=False)
        assert r.returncode != 0
        assert what in r.stdout + r.stderr
        if new:
            line = text[:text.index(old)].count("\n") + 1
            assert f":{line}:" in r.stdout + r.stderr
    assert agent.run(f"ls {BIN} {UNITS}", check=False).stdout == before


def test_a_second_script_of_the_same_slug_needs_replace(agent, add):
    add(agent, script("Same Slug", prints("OK", "first")))
    second = script("same  SLUG", prints("OK", "second"))
    path = agent.write("/tmp/second.bash", second)
    r = agent.run(["ssictl", "add", path], check=False)
    assert r.returncode != 0 and "--replace" in r.stderr
    assert "first" in agent.run(["cat", f"{BIN}/same-slug"]).stdout

    agent.run(["ssictl", "add", "--replace", path])
    assert agent.run(["cat", f"{BIN}/same-slug"]).stdout == second
    agent.run(["ssictl", "run", "same-slug"])
    wait_until(lambda: show(agent, "same-slug")["Message"] == "second")


def test_add_says_what_it_has_done(agent, add):
    text = script("Says It", prints("OK", "x"), schedule="*:0/7")
    path = "/tmp/says-it.bash"
    assert add(agent, text, filename="says-it.bash").stdout.startswith("Added says-it (Says It, version 1.0), next run ")

    def again(*options):
        return agent.run(["ssictl", *options, "add", "--replace", path]).stdout

    def up_to_date():
        """Or systemctl would warn at each command, about whatever unit."""
        return agent.show("dbus.service", "NeedDaemonReload")["NeedDaemonReload"] == "no"

    started = agent.show("ssi-says-it.timer", "ActiveEnterTimestampMonotonic")
    assert again().startswith("Unchanged: says-it (Says It, version 1.0), next run ")
    assert json.loads(again("--json"))["change"] == "unchanged"
    assert agent.show("ssi-says-it.timer", "ActiveEnterTimestampMonotonic") == started

    agent.write(path, text.replace("version: 1.0", "version: 1.1"))
    assert again().startswith("Replaced says-it (Says It, version 1.1), next run ")
    assert again().startswith("Unchanged: ")
    # By hand: a unit, the script's mode, the schedule, the timer.
    agent.run(f"sed -i s/TasksMax=256/TasksMax=2/ {UNITS}/ssi-says-it.service")
    assert json.loads(again("--json"))["change"] == "replaced"
    assert "TasksMax=256" in agent.run(["cat", f"{UNITS}/ssi-says-it.service"]).stdout
    agent.run(f"chmod -x {BIN}/says-it")
    assert json.loads(again("--json"))["change"] == "replaced"
    agent.run(["ssictl", "disable", "says-it"])
    assert up_to_date()
    agent.run(["ssictl", "enable", "says-it"])
    assert up_to_date()
    agent.run(["ssictl", "disable", "says-it"])
    assert again().startswith("Replaced ") and show(agent, "says-it")["Enabled"]
    agent.run("systemctl stop ssi-says-it.timer")
    assert again().startswith("Unchanged: says-it (Says It, version 1.1), next run ")
    assert agent.run("systemctl is-active ssi-says-it.timer").stdout == "active\n"
    # What is to be run is run.
    assert agent.run(["ssictl", "add", "--replace", "--run", path]).stdout.startswith("Unchanged: ")
    wait_until(lambda: show(agent, "says-it")["Status"] == "OK")


def test_the_blueprints_example_unchanged(agent, add):
    from hosts import TOP
    add(agent, (TOP / "tests/fixtures/check-system-updates.bash").read_text(), filename="check-system-updates.bash")
    assert existing(agent, "system-updates") == paths("system-updates")
    agent.run(["ssictl", "run", "system-updates"])
    wait_until(lambda: show(agent, "system-updates")["Status"], timeout=25)
    service = show(agent, "system-updates")
    numbers = agent.run("/usr/lib/update-notifier/apt-check 2>&1").stdout
    total, security = numbers.split(";")
    if int(total):
        assert (service["Status"], service["Message"]) == \
            ("UPDATE", f"{total} available updates ({security} security updates)")
    else:
        assert (service["Status"], service["Message"]) == ("OK", "System is up to date")


def test_conventions_of_the_unit(agent, add):
    add(agent, script("Conventions", f'echo "{NOW}, $STATUS_UPDATE, by the constants"'))
    agent.run(["ssictl", "run", "conventions"])
    wait_until(lambda: show(agent, "conventions")["Message"] == "by the constants")
    assert show(agent, "conventions")["Status"] == "UPDATE"


def test_log_shows_what_was_printed(agent, add):
    add(agent, script("Logged", f'echo "a diagnostic"; {prints("OK", "and a result")}'))
    agent.run(["ssictl", "run", "logged"])
    wait_until(lambda: show(agent, "logged")["Status"] == "OK")
    out = agent.run(["ssictl", "log", "logged"]).stdout
    assert "a diagnostic" in out and "and a result" in out


def test_an_execution_error_is_not_a_status(agent, add):
    add(agent, script("Breaks Later", f'{prints("OK", "before")}; [ -e /run/break ] && exit 3; exit 0'))
    agent.run(["ssictl", "run", "breaks-later"])
    wait_until(lambda: show(agent, "breaks-later")["Status"] == "OK")
    agent.run("touch /run/break")
    try:
        agent.run(["ssictl", "run", "breaks-later"], check=False)
        wait_until(lambda: show(agent, "breaks-later")["LastRunResult"] == "exit-code")
    finally:
        agent.run("rm /run/break")
    service = show(agent, "breaks-later")
    assert (service["Status"], service["Message"]) == ("OK", "before")


def test_a_run_that_hangs_ends_at_its_timeout_with_all_descendants(agent, add):
    add(agent, script("Hangs", "setsid sleep 4321 & sleep 4321", timeout="1"))
    agent.run(["ssictl", "run", "hangs"], check=False)
    wait_until(lambda: show(agent, "hangs")["LastRunResult"] == "timeout", timeout=15)
    assert agent.run("pgrep -f 'sleep 432[1]'", check=False).returncode == 1


def test_timers_fire(agent, add):
    add(agent, script("Every Second", prints("OK", "tick"), schedule="*:*:*"))
    wait_until(lambda: len(agent.lines("every-second")) >= 8, timeout=30)
    wait_until(lambda: show(agent, "every-second")["Status"] == "OK")


def test_state_survives_a_restart_of_ssid(agent, add):
    add(agent, script("Remembered", prints("UPDATE", "from before")))
    agent.run(["ssictl", "run", "remembered"])
    wait_until(lambda: show(agent, "remembered")["Status"] == "UPDATE")
    before = show(agent, "remembered")
    agent.run("systemctl restart ssid.service")
    wait_until(lambda: show(agent, "remembered")["Status"] == "UPDATE")
    after = show(agent, "remembered")
    for key in ("Title", "Status", "Message", "StatusTimestampUSec", "LastRunUSec", "Schedule", "Enabled"):
        assert after[key] == before[key], key


# Of the first-party scripts, those that can tell something on every machine.
TELLING = {"cpu-load", "disk-space", "failed-units", "journal-errors", "memory", "package-updates", "postgresql", "swap",
           "time-synchronization", "uptime", "ssi-backend"}


def test_first_party_scripts(agent):
    """Each is valid and runs in its sandbox. It gives a status, or fails because it cannot tell."""
    paths = agent.run("ls /usr/share/ssi/scripts/*.bash").stdout.split()
    before = set(agent.run(f"ls {BIN}").stdout.split())
    for path in paths:
        assert agent.run(["ssictl", "validate", path]).stderr == ""
        agent.run(["ssictl", "add", path])
    names = sorted(set(agent.run(f"ls {BIN}").stdout.split()) - before)
    try:
        assert len(names) == len(paths) and TELLING <= set(names)
        for name in names:
            agent.run(["ssictl", "run", name], check=False)
        for name in names:
            ran = wait_until(lambda: show(agent, name)["LastRunResult"], timeout=60, what=f"a run of {name}: {agent.lines(name)}")
            if name in TELLING:
                assert ran == "success", (name, agent.lines(name))
                assert show(agent, name)["Status"] in ("OK", "UPDATE", "WARNING", "FAILURE")
            else:
                assert ran == "exit-code" and not show(agent, name)["Status"], (name, agent.lines(name))
                assert any(line.startswith("Cannot check: ") for line in agent.lines(name))
    finally:
        for name in names:
            agent.run(["ssictl", "remove", name])


@pytest.mark.parametrize("program", ["ssictl", "/usr/lib/ssi/ssid", "/usr/lib/ssi/ssi-uplinkd", "/usr/lib/ssi/ssi-serverd"])
def test_every_program_has_help_and_version(agent, program):
    r = agent.run([program, "--help"])
    assert program.rpartition("/")[2] in r.stdout
    assert r.stderr == ""
    assert agent.run([program, "--version"]).stdout.strip()
