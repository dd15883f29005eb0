"""The Debian packages, in bare Debian 12 roots that are booted: SSI_PACKAGES names the folder that ./prepare made."""
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from hosts import NOW, STATE, Account, Host, script, wait_until

FOLDER = Path(os.environ.get("SSI_PACKAGES", "/nonexistent"))
pytestmark = pytest.mark.skipif(not (FOLDER / "root/.complete").exists(), reason="tests/packages/prepare FOLDER was not run")

# What the packages themselves leave: not the packages they depend on, nor what APT and dpkg note down.
TRACES = r"""
find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/cache -o -path /var/log \
        -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /packages \) -prune -o \
        \( -name '*ssi-*' -o -name 'ssi*' -o -name '*org.ssi.*' \) -print | grep -v -e '/ssi\.so' | sort
"""


@pytest.fixture
def bare():
    """bare("name"): a booted Debian with the packages' files in /packages, and nothing of SSI installed."""
    up = []

    def make(name):
        host = Host(name, f"--root={FOLDER / 'root'}").up()
        up.append(host)
        for version in ("old", "new"):
            target = STATE / name / "fs/root/packages" / version
            target.mkdir(parents=True)
            for package in (FOLDER / version).glob("*.deb"):
                shutil.copy(package, target)
        return host

    yield make
    for host in up:
        host.down()


def install(host, *names, version="new"):
    files = " ".join(f"/packages/{version}/{name}_*.deb" for name in names)
    return host.run(f"DEBIAN_FRONTEND=noninteractive apt-get -y -q install --no-install-recommends --no-download {files}", timeout=300)


def join(a, b, network="10.83.0."):
    """A cable between two hosts: network.1 is a's and network.2 b's address."""
    names = (f"{a.name}a"[:14], f"{b.name}b"[:14])
    subprocess.run(["ip", "link", "add", names[0], "type", "veth", "peer", "name", names[1]], check=True)
    for i, (host, name) in enumerate(zip((a, b), names), 1):
        subprocess.run(["ip", "link", "set", name, "netns", str(host.leader)], check=True)
        host.run(f"ip address add {network}{i}/24 dev {name} && ip link set {name} up && ip link set lo up")
    for host in (a, b):
        host.run(f"printf '%s1 {a.name}\\n%s2 {b.name}\\n' {network} {network} >>/etc/hosts")


def setup(host, email="admin@example.org", password="correct horse battery"):
    """The first account, by the command that the quick start names. Gives the account."""
    host.run(["ssictl", "server", "setup", email], input=password + "\n", timeout=120)
    account = Account.__new__(Account)
    account.host, account.email, account.password, account.token, account.token_until = host, email, password, None, 0
    return account


def register(agent, server, account, url):
    new = account.new_server(agent.name)
    if agent is not server:
        agent.write("/tmp/ca.pem", server.run("cat /var/lib/ssi-server/tls/ca.pem").stdout)
    ca = "/tmp/ca.pem" if agent is not server else "/var/lib/ssi-server/tls/ca.pem"
    agent.run(["ssictl", "register", url, new["claim_token"], f"--ca={ca}"])
    wait_until(lambda: account.get(f"/api/v1/servers/{new['server_id']}")["state"] == "online", what="the agent is online")
    return new["server_id"]


def add(host, name, message):
    path = host.write("/tmp/script.bash", script(name, f'echo "{NOW}, OK, {message}"'))
    host.run(["ssictl", "add", "--run", path])


def test_three_commands_then_removal_and_purge_leave_nothing(bare):
    host = bare("pkg-one")
    host.run("ip link set lo up", check=False)
    before = host.run(TRACES).stdout
    install(host, "ssi-agent", "ssi-server", "ssictl")
    account = setup(host)
    server_id = register(host, host, account, "https://localhost:8443")
    add(host, "First Check", "hello")
    wait_until(lambda: account.services(server_id).get("first-check", {}).get("message") == "hello", timeout=20)

    # Removed, it runs nothing any more; back again, it goes on with what it had.
    host.run("apt-get -y -q remove ssi-agent", timeout=120)
    assert host.run("systemctl list-timers --no-legend 'ssi-*'").stdout == ""
    install(host, "ssi-agent")
    wait_until(lambda: account.get(f"/api/v1/servers/{server_id}")["state"] == "online", timeout=30)
    assert "first-check" in host.run("ssictl list").stdout
    assert host.run("systemctl list-timers --no-legend 'ssi-*'").stdout

    host.run("apt-get -y -q purge ssi-agent ssi-server ssictl", timeout=120)
    assert host.run("systemctl list-units --no-legend --all 'ssi*'").stdout == ""
    assert host.run(TRACES).stdout == before


def test_an_upgrade_keeps_data_and_connections(bare):
    host = bare("pkg-up")
    install(host, "ssi-agent", "ssi-server", "ssictl", version="old")
    account = setup(host)
    server_id = register(host, host, account, "https://localhost:8443")
    add(host, "Old Check", "before")
    wait_until(lambda: account.services(server_id).get("old-check", {}).get("message") == "before", timeout=20)

    install(host, "ssi-agent", "ssi-server", "ssictl")
    wait_until(lambda: account.get(f"/api/v1/servers/{server_id}")["state"] == "online", timeout=60)
    assert account.services(server_id)["old-check"]["message"] == "before"
    add(host, "New Check", "after")
    wait_until(lambda: account.services(server_id).get("new-check", {}).get("message") == "after", timeout=20)


def test_two_hosts_over_tls_with_a_private_ca(bare):
    server, agent = bare("pkg-srv"), bare("pkg-agt")
    join(server, agent)
    install(server, "ssi-agent", "ssi-server", "ssictl")
    install(agent, "ssi-agent", "ssictl")
    account = setup(server)
    for host in (server, agent):
        server_id = register(host, server, account, f"https://{server.name}:8443")
        add(host, "Check", f"from {host.name}")
        wait_until(lambda: account.services(server_id).get("check", {}).get("message") == f"from {host.name}", timeout=20)
