# SPDX-License-Identifier: LGPL-2.1-or-later
"""ssictl -H and -M inside of one host: what they reach is the same agent.

-H goes through a real sshd where there is one. It is no package that the tests install, because on a machine with systemd
that would open the machine to its network; without it a stand-in takes ssh's place.
"""
import json
import shutil

import pytest

from hosts import prints, script, wait_until

STAND_IN = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift
user=${1%@*}
shift
[ "$user" != nobody ] || { echo "Permission denied" >&2; exit 255; }
exec runuser -u "$user" -- "$@"
"""


@pytest.fixture(scope="module")
def ssh(agent):
    """root may log in as root and as alice."""
    agent.add_user("alice")
    if not shutil.which("sshd", path="/usr/sbin:/usr/bin"):
        agent.write("/usr/local/bin/ssh", STAND_IN, "0755")
        yield agent
        agent.run("rm /usr/local/bin/ssh")
        return
    agent.run("""
set -e
mkdir -p /run/sshd /root/.ssh /home/alice/.ssh
usermod -p '*' alice    # not locked, and no password either
ssh-keygen -q -A
ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
cp /root/.ssh/id_ed25519.pub /home/alice/.ssh/authorized_keys
chown -R alice: /home/alice/.ssh
chmod 700 /root/.ssh /home/alice/.ssh
systemd-run -q --unit=test-sshd /usr/sbin/sshd -D -o UsePAM=no -o ListenAddress=127.0.0.1
""")
    wait_until(lambda: agent.run("ssh-keyscan -t ed25519 127.0.0.1 >/root/.ssh/known_hosts 2>/dev/null && "
                                 "ssh -o BatchMode=yes root@127.0.0.1 true", check=False).returncode == 0, timeout=30)
    yield agent
    agent.run("systemctl stop test-sshd; rm -r /root/.ssh")


def test_another_host(ssh, add):
    add(ssh, script("Far Away", prints("OK", "from afar, größer")))
    local = ["ssictl", "-H", "root@127.0.0.1"]
    assert ssh.run([*local, "run", "far-away"]).stdout == "far-away: OK, from afar, größer\n"
    assert json.loads(ssh.run([*local, "--json", "list"]).stdout) == json.loads(ssh.run(["ssictl", "--json", "list"]).stdout)
    assert "from afar" in ssh.run([*local, "status", "far-away"]).stdout
    follow = ssh.start([*local, "log", "-f", "far-away"], stdout=-1)
    try:
        assert "from afar" in follow.stdout.readline()
        ssh.run(["ssictl", "run", "far-away"])
        assert "from afar" in follow.stdout.readline()
    finally:
        follow.kill()
        follow.wait()
        follow.stdout.close()
    path = ssh.write("/tmp/sent.bash", script("Sent There", prints("OK", "x")))
    assert "Added sent-there" in ssh.run([*local, "add", path]).stdout
    assert ssh.run([*local, "remove", "sent-there"]).returncode == 0


def test_rights_are_those_of_the_other_host(ssh, add):
    add(ssh, script("Not Yours", prints("OK", "x")))
    other = ["ssictl", "-H", "alice@127.0.0.1"]
    assert "not-yours" in ssh.run([*other, "list"]).stdout
    r = ssh.run([*other, "remove", "not-yours"], check=False)
    assert r.returncode == 5 and r.stdout == "" and r.stderr.startswith("ssictl: ")
    assert "not-yours" in ssh.run(["ssictl", "list"]).stdout


def test_a_host_that_lets_nobody_in(ssh):
    r = ssh.run(["ssictl", "-H", "nobody@127.0.0.1", "list"], check=False)
    assert r.returncode == 1 and r.stdout == ""
    assert "ssh" in r.stderr and "nobody@127.0.0.1" in r.stderr, r.stderr


def test_a_machine(agent, add):
    """Without machined: by the file that it would write, of a process with namespaces of its own. It sees the host's bus."""
    add(agent, script("In A Box", prints("OK", "boxed")))
    agent.run("""
set -e
systemd-run -q --unit=box --property=PrivateMounts=yes sleep infinity
mkdir -p /run/systemd/machines
printf 'NAME=box\\nCLASS=container\\nLEADER=%s\\n' "$(systemctl show -P MainPID box)" >/run/systemd/machines/box
""")
    try:
        assert "in-a-box" in agent.run(["ssictl", "-M", "box", "list"]).stdout
        assert agent.run(["ssictl", "--machine=box", "run", "in-a-box"]).stdout == "in-a-box: OK, boxed\n"
    finally:
        agent.run("rm /run/systemd/machines/box; systemctl stop box")
    r = agent.run(["ssictl", "-M", "nowhere", "list"], check=False)
    assert r.returncode == 1 and "nowhere" in r.stderr and "machinectl" in r.stderr, r.stderr
