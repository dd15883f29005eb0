# SPDX-License-Identifier: LGPL-2.1-or-later
"""The throwaway hosts themselves."""
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hosts import RELEASE, STATE, TESTHOST, TOP, Host, wait_until


def traces(name):
    """All that a host of this name has on this machine."""
    found = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"/{name}/" in line or f"-{name} " in line]
    for root, dirs, _ in os.walk("/sys/fs/cgroup"):
        found += [f"{root}/{d}" for d in dirs if d in (f"ssi-testhost-{name}", f"ssi-testhost-{name}.scope")]
        if root.count("/") > 5:
            dirs.clear()
    for p in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"--machine={name}\0" in p.read_text():
                found.append(str(p))
        except OSError:
            pass
    if (STATE / name).exists():
        found.append(str(STATE / name))
    found += [str(p) for p in Path("/run/systemd/nspawn").glob(f"*/{name}")]
    return found


@pytest.fixture
def name():
    name = f"x{os.getpid()}"
    assert not traces(name)
    yield name
    if (STATE / name).exists():
        subprocess.run([TESTHOST, "down", name])


def call(*args, **kwargs):
    return subprocess.run([TESTHOST, *args], text=True, capture_output=True, timeout=120, **kwargs)


def test_up_exec_down(name):
    host = Host(name).up()
    assert f"{name} running" in call("list").stdout

    assert host.run("systemctl is-system-running", check=False).stdout == "running\n"
    assert host.run("cat /etc/machine-id").stdout != Path("/etc/machine-id").read_text()
    assert host.run("hostname").stdout == name + "\n"
    assert host.run("test -x /usr/lib/update-notifier/apt-check").returncode == 0

    r = call("exec", name, "bash", "-c", "cat; echo err >&2; exit 7", input="in\n")
    assert (r.returncode, r.stdout, r.stderr) == (7, "in\n", "err\n")
    r = call("exec", name, "printf", "%s|", "a b", "", "$x")
    assert r.stdout == "a b||$x|"

    assert traces(name)
    host.down()
    assert traces(name) == []
    assert call("exec", name, "true").returncode != 0


def test_exec_on_a_terminal(name):
    with Host(name):
        r = subprocess.run(["script", "-qec", f"{TESTHOST} exec {name} bash -c 'test -t 0 && test -t 1; exit $((40 + $?))'",
                            "/dev/null"], stdin=subprocess.DEVNULL)
        assert r.returncode == 40


def test_network_is_its_own_unless_shared(name):
    with Host(name) as host:
        assert Path(f"/proc/{host.leader}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    with Host(name, "--share-net") as host:
        assert Path(f"/proc/{host.leader}/ns/net").readlink() == Path("/proc/self/ns/net").readlink()


def test_the_machine_is_untouched(name):
    with Host(name) as host:
        host.run("touch /etc/a-file-of-the-host /usr/bin/a-file-of-the-host")
        assert not Path("/etc/a-file-of-the-host").exists()
        assert not Path("/usr/bin/a-file-of-the-host").exists()


@pytest.mark.parametrize("after", [0.05, 0.2, 0.4, 0.7])
def test_down_after_up_was_killed(name, after):
    up = subprocess.Popen([TESTHOST, "up", name], stdin=subprocess.DEVNULL)
    time.sleep(after)
    up.send_signal(signal.SIGKILL)
    up.wait()
    # What it had started, as mkdir, may still be at work.
    time.sleep(1)
    if traces(name):
        assert call("down", name).returncode == 0
    assert wait_until(lambda: not traces(name))


def test_interrupted_up_takes_itself_down(name):
    up = subprocess.Popen([TESTHOST, "up", name], stdin=subprocess.DEVNULL)
    time.sleep(0.3)
    up.send_signal(signal.SIGTERM)
    # On a slow machine it has not begun yet, and the signal itself ends it.
    assert up.wait(60) in (143, 0, -signal.SIGTERM)
    if up.returncode == 0:
        Host(name).down()
    assert traces(name) == []


def test_exec_dies_with_its_caller(name):
    with Host(name) as host:
        sleeper = host.start(["sleep", "1234"])
        # Itself, and not yet setpriv on the way to it: that is not bound to its caller's life before it has done its work.
        wait_until(lambda: host.run("pgrep -f '^sleep 1234'", check=False).returncode == 0)
        sleeper.kill()
        sleeper.wait()
        wait_until(lambda: host.run("pgrep -f '^sleep 1234'", check=False).returncode == 1)


def test_two_hosts_at_once(name):
    with Host(name) as one, Host(name + "-b") as two:
        one.run("systemd-run --unit=only-here --collect sleep 100")
        assert two.run("systemctl is-active only-here", check=False).stdout == "inactive\n"
        two.down()
        assert one.run("systemctl is-active only-here").stdout == "active\n"
        two.up()
    assert traces(name) == traces(name + "-b") == []


@pytest.mark.essential
@pytest.mark.skipif(not RELEASE, reason="SSI_TEST_RELEASE names no release")
def test_another_release(name):
    with Host(name, "--agent") as host:
        assert host.run("systemctl is-system-running", check=False).stdout == "running\n"
        release = dict(line.split("=", 1) for line in host.run("cat /etc/os-release").stdout.splitlines())
        assert RELEASE in ("sid", "unstable") or release["VERSION_CODENAME"] == RELEASE
        # The suite is linked with this release's libraries, and the checkout is there to read.
        assert "not found" not in host.run("ldd /usr/lib/ssi/ssid /usr/lib/ssi/ssi-uplinkd /usr/lib/ssi/ssi-serverd /usr/bin/ssictl").stdout
        assert host.run(f"cmp {TOP}/tests/testhost /proc/self/fd/0", input=Path(TESTHOST).read_text()).returncode == 0
        assert host.run(f"touch {TOP}/a-file", check=False).returncode != 0
    assert traces(name) == []


# What a daemon sees whose sandbox gives it a /proc of its own.
SANDBOXED_BOOT_ID = "systemd-run --quiet --wait --pipe -p ProtectProc=invisible cat /proc/sys/kernel/random/boot_id"


@pytest.mark.essential
@pytest.mark.parametrize("real", [False, True], ids=["hidden", "real"])
def test_boot_id(name, real):
    machine = Path("/proc/sys/kernel/random/boot_id").read_text()
    with Host(name, *(["--real-boot-id"] if real else [])) as host:
        # systemd 257's sandbox keeps nspawn's mount, 252's does not.
        if real or not RELEASE:
            assert host.run(SANDBOXED_BOOT_ID).stdout == machine
        journals = {e["_BOOT_ID"] for e in host.journal(fields=("_BOOT_ID",))}
        assert len(journals) == 1
        assert (journals == {machine.strip().replace("-", "")}) == real
        assert (host.run("cat /proc/sys/kernel/random/boot_id").stdout == machine) == real
        assert host.run("systemctl is-system-running", check=False).stdout == "running\n"
    assert traces(name) == []


@pytest.mark.essential
def test_control_groups_of_version_2_alone(name):
    with Host(name, "--unified") as host:
        assert host.run("stat --file-system --format=%T /sys/fs/cgroup").stdout == "cgroup2fs\n"
        assert host.run("systemctl is-system-running", check=False).stdout == "running\n"
        host.run("systemd-run --unit=sleeper sleep 100; systemctl stop sleeper")
    assert traces(name) == []


def test_clear_messages(name):
    assert "no host" in call("down", name).stderr
    assert "a host's name" in call("up", "No/Good").stderr
    assert "--surprise" in call("up", name, "--surprise").stderr
    assert "not the name of a Debian release" in call("up", name, "--release=No/Good").stderr
    assert call().returncode == 2
    assert "Usage" in call("--help").stdout
    assert traces(name) == []
    with Host(name):
        r = call("up", name)
        assert r.returncode != 0 and "there already" in r.stderr


def test_the_journal_after_an_entry_that_does_not_match(agent):
    agent.run("systemd-cat -t before echo one")
    after = agent.journal_end()
    agent.run("systemd-cat -t wanted echo two; journalctl --sync")
    assert [e["MESSAGE"] for e in agent.journal("SYSLOG_IDENTIFIER=wanted", after=after)] == ["two"]
    assert agent.journal("SYSLOG_IDENTIFIER=before", after=after) == []
