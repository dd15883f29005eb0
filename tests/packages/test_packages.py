# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian packages, in bare Debian roots that are booted: SSI_PACKAGES names the folder that ./prepare made."""
import http.client
import os
import re
import shutil
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest

from hosts import NOW, STATE, TOP, Account, Host, script, wait_until

FOLDER = Path(os.environ.get("SSI_PACKAGES", "/nonexistent"))
pytestmark = pytest.mark.skipif(not (FOLDER / "commit").exists(), reason="SSI_PACKAGES names no folder of tests/packages/prepare")

# What the packages themselves leave: not the packages they depend on, nor what APT, dpkg and the journal note down.
TRACES = r"""
find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/cache -o -path /var/log \
        -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /packages \) -prune -o \
        \( -name '*ssi-*' -o -name 'ssi*' -o -name '*org.ssi.*' \) -print | grep -v -e '/ssi\.so' | sort
# systemd keeps LogExtraFields= of what it has forgotten until the next boot.
find /run -path /run/systemd/units -prune -o \( -name '*ssi-*' -o -name 'ssi*' \) -not -path '*/ssi-testhost*' -print
"""
# System users stay after a purge, as Debian has it: their numbers shall not come to mean somebody else.
USERS = ["ssi-journal", "ssi-postgres", "ssi-script", "ssi-server", "ssi-uplink"]


@pytest.fixture
def boot():
    """boot("name"): a booted Debian with the packages' files in /packages, and nothing of SSI installed. Bare it has nothing
    of what they depend on either."""
    up = []

    def make(name, bare=False):
        host = Host(name, f"--root={FOLDER / ('root' if bare else 'ready')}").up()
        up.append(host)
        host.run("ip link set lo up")
        for version in ("old", "new"):
            target = STATE / name / "fs/root/packages" / version
            target.mkdir(parents=True)
            for package in (FOLDER / version).glob("*.deb"):
                shutil.copy(package, target)
        return host

    yield make
    for host in up:
        host.down()


def apt(host, command):
    return host.run(f"DEBIAN_FRONTEND=noninteractive apt-get -y -q {command}", timeout=900)


def install(host, *names, version="new"):
    return apt(host, "install " + " ".join(f"/packages/{version}/{name}_*.deb" for name in names))


def version():
    package, = (FOLDER / "new").glob("ssictl_*.deb")
    return package.name.split("_")[1]


def join(a, b, network="10.83.0."):
    """A cable between two hosts: network.1 is a's and network.2 b's address. It goes when one of them does."""
    names = (f"{a.name}a"[:14], f"{b.name}b"[:14])
    subprocess.run(["ip", "link", "add", names[0], "netns", str(a.leader), "type", "veth",
                    "peer", "name", names[1], "netns", str(b.leader)], check=True)
    for i, (host, name) in enumerate(zip((a, b), names), 1):
        host.run(f"ip address add {network}{i}/24 dev {name} && ip link set {name} up")
        host.run(f"sed -i '/^127/s/ {host.name}$//' /etc/hosts; printf '{network}1 {a.name}\\n{network}2 {b.name}\\n' >>/etc/hosts")


def set_up(host, email="admin@example.org", password="correct horse battery"):
    """The first account, by the command that the quick start names. Gives the account."""
    host.run(["ssictl", "server", "setup", email], input=password + "\n", timeout=120)
    account = Account.__new__(Account)
    account.host, account.email, account.password, account.token, account.token_until = host, email, password, None, 0
    return account


def is_online(account, server_id):
    return account.get(f"/api/v1/servers/{server_id}")["state"] == "online"


def register(agent, server, account, url):
    new = account.new_server(agent.name)
    ca = "/var/lib/ssi-server/tls/ca.pem"
    if agent is not server:
        ca = agent.write("/root/ca.pem", server.run(["cat", ca]).stdout)
    agent.run(["ssictl", "register", url, new["claim_token"], f"--ca={ca}"])
    wait_until(lambda: is_online(account, new["server_id"]), what="the agent is online")
    return new["server_id"]


def add(host, name, message, **kwargs):
    path = host.write("/root/script.bash", script(name, f'echo "{NOW}, OK, {message}"', **kwargs))
    host.run(["ssictl", "add", "--run", path])


def message(account, server_id, service):
    return account.services(server_id).get(service, {}).get("message")


def units(host):
    return [line.split()[0] for line in host.run(
        "systemctl list-units --plain --no-legend --all 'ssi*' 'dbus-org.ssi*'").stdout.splitlines() if "testhost" not in line]


def processes(host):
    """Those of the packages' users, and those that run their programs."""
    out = host.run("""
        for p in /proc/[0-9]*; do
                user=$(stat -c %U "$p" 2>/dev/null) && exe=$(readlink "$p/exe") && echo "$user $exe"
        done""").stdout.splitlines()
    return [line for line in out if line.startswith("ssi-") or "/usr/lib/ssi/" in line]


def failed(host):
    return host.run("systemctl --failed --no-legend").stdout


class Polling:
    """Somebody who asks the backend all the time, each time with a new connection."""

    def __init__(self, host):
        self.host, self.answers, self.errors, self.stop = host, 0, [], threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stop.is_set():
            try:
                # A route that needs no account, half as often as an address may ask.
                status, _ = self.host.request("GET", "/api/v1/features")
                if status != 200:
                    self.errors.append(status)
                self.answers += 1
                time.sleep(0.02)
            except OSError as e:
                self.errors.append(repr(e))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.stop.set()
        self.thread.join()


def test_three_commands_then_removal_and_purge(boot):
    host = boot("pkg-one", bare=True)
    before = host.run(TRACES).stdout
    install(host, "ssi-agent", "ssi-server", "ssictl")
    account = set_up(host)
    server_id = register(host, host, account, f"https://{host.name}:8443")
    assert account.get("/api/v1/servers/" + server_id)["name"] == host.name

    add(host, "First Check", "hello", schedule="*:*:0/2")
    wait_until(lambda: message(account, server_id, "first-check") == "hello", timeout=20)
    assert failed(host) == ""

    # Removed, the agent runs nothing any more, not even when the timers are started as at a boot.
    apt(host, "remove ssi-agent")
    host.run("systemctl start timers.target; systemctl start ssi-first-check.timer")
    assert host.run("systemctl list-timers --no-legend 'ssi-*'").stdout == ""
    assert [u for u in units(host) if "first-check" in u and host.show(u, "ActiveState")["ActiveState"] != "inactive"] == []
    assert [p for p in processes(host) if "ssid" in p or "uplink" in p] == []
    assert failed(host) == ""

    # Back again, it goes on with what it had.
    install(host, "ssi-agent")
    wait_until(lambda: is_online(account, server_id), timeout=30)
    assert "first-check" in host.run("ssictl list").stdout
    assert host.run("systemctl list-timers --no-legend 'ssi-*'").stdout

    apt(host, "remove ssi-server")
    assert [p for p in processes(host) if "ssi-server" in p or "ssi-postgres" in p] == []
    assert host.run("test -d /var/lib/ssi-server/postgres/data", check=False).returncode == 0

    apt(host, "purge ssi-agent ssi-server ssictl")
    assert units(host) == []
    assert processes(host) == []
    assert host.run(TRACES).stdout == before
    assert host.run("grep ^ssi- /etc/passwd | cut -d: -f1 | sort").stdout.split() == USERS


def test_a_removal_in_the_midst_of_a_run_leaves_no_failed_unit(boot):
    host = boot("pkg-run")
    install(host, "ssi-agent", "ssictl")
    path = host.write("/root/script.bash", script("Slow Check", "sleep 50", timeout="60"))
    host.run(["ssictl", "add", path])
    host.run("systemctl start --no-block ssi-slow-check.service")
    wait_until(lambda: host.show("ssi-slow-check.service", "ActiveState") == {"ActiveState": "activating"})
    apt(host, "remove ssi-agent")
    assert host.show("ssi-slow-check.service", "ActiveState") == {"ActiveState": "inactive"}
    assert failed(host) == ""


def test_what_root_wrote_by_hand_survives_a_purge(boot):
    host = boot("pkg-own")
    install(host, "ssi-agent", "ssictl")
    host.write("/etc/systemd/system/ssi-own.service", "[Service]\nExecStart=/bin/sleep infinity\n")
    host.write("/usr/local/bin/ssi/own", "#!/bin/bash\n", mode="0755")
    host.run("systemctl daemon-reload; systemctl start ssi-own.service")
    apt(host, "purge ssi-agent ssictl")
    assert host.show("ssi-own.service", "ActiveState") == {"ActiveState": "active"}
    host.run("test -e /usr/local/bin/ssi/own")


def test_an_upgrade_keeps_data_and_connections(boot):
    host = boot("pkg-up")
    install(host, "ssi-agent", "ssi-server", "ssictl", version="old")
    account = set_up(host)
    server_id = register(host, host, account, f"https://{host.name}:8443")
    add(host, "Old Check", "before")
    wait_until(lambda: message(account, server_id, "old-check") == "before", timeout=20)
    host.run("systemctl start ssi-serverd@2.service")
    pids = [host.pid(f"{unit}.service") for unit in ("ssi-serverd", "ssi-serverd@2", "ssid", "ssi-uplinkd", "ssi-postgres")]

    with Polling(host) as polling:
        install(host, "ssi-agent", "ssi-server", "ssictl")
        wait_until(lambda: is_online(account, server_id), timeout=60)
        wait_until(lambda: host.show("ssi-serverd.service", "ActiveState") == {"ActiveState": "active"}, timeout=60)
        seen = polling.answers
        wait_until(lambda: polling.answers > seen + 10)
    assert polling.errors == []
    print(f"{polling.answers} requests during the upgrade")

    versions = host.run("dpkg-query -W -f '${Version} ' ssi-agent ssi-server ssictl").stdout.split()
    assert len(versions) == 3 and set(versions) == {version()} and version().startswith("0.1.0+deb")
    now = [host.pid(f"{unit}.service") for unit in ("ssi-serverd", "ssi-serverd@2", "ssid", "ssi-uplinkd", "ssi-postgres")]
    assert all(a != b for a, b in zip(pids[:4], now)) and pids[4] == now[4]
    assert message(account, server_id, "old-check") == "before"
    assert [e["message"] for e in account.get(f"/api/v1/servers/{server_id}/services/old-check/events")] == ["before"]
    add(host, "New Check", "after")
    wait_until(lambda: message(account, server_id, "new-check") == "after", timeout=20)
    assert failed(host) == ""


def test_an_upgrade_respects_what_was_disabled(boot):
    host = boot("pkg-off")
    install(host, "ssi-agent", "ssi-server", "ssictl", version="old")
    host.run("systemctl disable --now ssi-serverd.socket ssi-serverd.service ssi-uplinkd.service")
    install(host, "ssi-agent", "ssi-server", "ssictl")
    out = host.run("systemctl is-active ssi-serverd.socket ssi-serverd.service", check=False).stdout.split()
    assert out == ["inactive", "inactive"]
    r = host.run("ssictl server setup admin@example.org", input="correct horse battery\n", check=False)
    assert r.returncode == 1 and "systemctl enable --now ssi-serverd.socket ssi-serverd.service" in r.stderr


def test_no_upgrade_leaves_the_backend_with_another_plugin(boot):
    """libwebsockets loads its event library by a name that is the same in each of its versions."""
    host = boot("pkg-evlib")
    install(host, "ssi-server", "ssictl")
    now = host.run("dpkg-query -W -f '${Version}' libwebsockets-evlib-uv").stdout
    for newer, fits in ((f"{now}+fix1", True), ("99.0-1", False)):
        host.write("/root/fake/DEBIAN/control", f"""Package: libwebsockets-evlib-uv
Version: {newer}
Architecture: amd64
Maintainer: Nobody <nobody@example.org>
Description: stands in for a newer one
""")
        host.run("dpkg-deb --build /root/fake /root/fake.deb")
        r = host.run("apt-get -q --simulate --no-remove install /root/fake.deb", check=False)
        assert (r.returncode == 0) == fits, r.stdout + r.stderr


def test_from_the_private_database_to_another_one(boot):
    """As the administrator's guide has it; then the program alone, as in a container: no systemd, no bus, no state of its own."""
    host = boot("pkg-ext")
    install(host, "ssi-server", "ssictl")
    set_up(host)
    host.run("ssictl server backup /root/ssi.backup")

    sql = re.search(r"^```sql\n(.*?)^```$", (TOP / "docs/administration.md").read_text(), re.MULTILINE | re.DOTALL)[1]
    # The release's own version: 15 on Debian 12, 17 on Debian 13.
    host.run("pg_ctlcluster $(pg_lsclusters -h | cut -d ' ' -f 1) main start", timeout=120)
    host.run("runuser -u postgres -- psql -X -v ON_ERROR_STOP=1", input=sql)
    url = "postgresql://ssi:secret@localhost/ssi"
    host.write("/etc/ssi/serverd.conf", f"SSI_DATABASE_URL={url}\n", mode="0600")
    host.run("systemctl mask --now ssi-postgres.service && systemctl restart ssi-serverd", timeout=120)
    host.run("ssictl server restore /root/ssi.backup", timeout=120)
    # A restore ends the backend's own sessions too: a moment passes until it has new ones.
    wait_until(lambda: "admin@example.org" in host.run("ssictl server users", check=False).stdout)
    assert [p for p in processes(host) if p.startswith("ssi-postgres ")] == []

    alone = host.start(f"""unshare -m sh -ec '
        mount -t tmpfs tmpfs /run/dbus
        mount -t tmpfs -o mode=0755 tmpfs /var/lib/ssi-server
        install -d -o ssi-server -g ssi-server /var/lib/ssi-server/tls
        chown ssi-server:ssi-server /var/lib/ssi-server
        echo $$ >/root/alone.pid
        exec setpriv --reuid=ssi-server --regid=ssi-server --clear-groups env -i SSI_DATABASE_URL={url} \\
                /usr/lib/ssi/ssi-serverd --listen=0.0.0.0:9443'""", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        def ready():
            assert alone.poll() is None, alone.stdout.read()
            connection = http.client.HTTPSConnection("localhost")
            connection.sock = ssl._create_unverified_context().wrap_socket(host.connect(9443))
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200

        wait_until(ready, timeout=30)
    finally:
        # A process that has changed its user outlives the one that stands for it here.
        host.run("kill $(cat /root/alone.pid)", check=False)
        alone.communicate(timeout=30)


def test_two_hosts_over_tls_with_a_private_ca(boot):
    server, agent = boot("pkg-srv"), boot("pkg-agt")
    join(server, agent)
    install(server, "ssi-agent", "ssi-server", "ssictl")
    install(agent, "ssi-agent", "ssictl")
    account = set_up(server)
    ca = agent.write("/root/ca.pem", server.run("cat /var/lib/ssi-server/tls/ca.pem").stdout)
    # The name has to be one of the certificate, and its authority has to be given.
    for url, options in ((f"https://{server.name}:8443", []), ("https://10.83.0.9:8443", [f"--ca={ca}"])):
        token = account.new_server("no")["claim_token"]
        r = agent.run(["ssictl", "register", url, token, *options], check=False)
        assert r.returncode == 1 and r.stderr, url
    ids = {}
    for host in (server, agent):
        ids[host.name] = register(host, server, account, f"https://{server.name}:8443")
        add(host, "Check", f"from {host.name}")
        wait_until(lambda: message(account, ids[host.name], "check") == f"from {host.name}", timeout=20)
    assert {s["name"] for s in account.get("/api/v1/servers") if s["state"] == "online"} == {server.name, agent.name}

    # The cable is pulled and put back: what happened meanwhile arrives.
    link = f"{agent.name}b"[:14]
    agent.run(f"ip link set {link} down")
    agent.run("cp /root/script.bash /root/2.bash; sed -i 's/from .*\"/meanwhile\"/' /root/2.bash; ssictl add --replace --run /root/2.bash")
    agent.run(f"ip link set {link} up")
    wait_until(lambda: message(account, ids[agent.name], "check") == "meanwhile", timeout=120)
