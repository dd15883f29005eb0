# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each daemon's sandbox from inside: a probe takes the daemon's place in its own unit, and tries what must fail."""
import subprocess

import pytest

from conftest import register
from hosts import TOP, wait_until

pytestmark = pytest.mark.essential

# What each may, of what the probe tries. All else is refused.
MAY = {
    # It is root.
    "ssid.service": {"write_units", "read_shadow", "become_other", "become_root", "run_setuid", "signal_init", "see_others"},
    "ssi-uplinkd.service": {"inet", "inet6", "read_uplink_key"},
    "ssi-serverd.service": {"inet", "inet6", "read_server_key"},
    "ssi-postgres.service": {"read_database"},
    # It is root without capabilities.
    "ssi-server-ca.service": {"read_shadow", "run_setuid", "signal_init", "see_others"},
}


@pytest.fixture(scope="module")
def host(boot_for_module, tmp_path_factory):
    host = register(boot_for_module("--agent", "--server"))
    build = tmp_path_factory.mktemp("probe")
    for name, source in (("sandbox-probe", (TOP / "tests/system/sandbox-probe.c").read_text()),
                         ("probe-whoami", "#include <stdio.h>\n#include <unistd.h>\nint main(void){printf(\"%u\", geteuid());}")):
        subprocess.run(["cc", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-x", "c", "-", "-o", build / name], input=source,
                       text=True, check=True)
        host.write(f"/usr/local/bin/{name}", (build / name).read_bytes(), "0755")
    host.run("chmod 4755 /usr/local/bin/probe-whoami; useradd -m victim; echo x >/home/victim/secret; echo x >/root/secret; "
             "chmod 644 /home/victim/secret /root/secret; chmod 755 /home/victim /root")
    assert host.run("probe-whoami", user="victim").stdout == "0"
    return host


def probe(host, unit):
    """{attempt: what came of it}"""
    # Where this build has sanitizers, the sandbox has given way to them.
    relaxed = f"/etc/systemd/system/{unit}.d/50-sanitizers.conf"
    # The agent's connection, which a probe does not accept, would have the socket start it again while its output is read.
    host.run(f"systemctl stop ssi-uplinkd ssi-serverd.socket {unit} && if [ -e {relaxed} ]; then mv {relaxed} /tmp/relaxed; fi")
    host.run(f"mkdir -p /run/systemd/system/{unit}.d && printf '[Service]\\nType=oneshot\\nExecStart=\\n"
             f"ExecStart=/usr/local/bin/sandbox-probe\\nRestart=no\\nRestartForceExitStatus=\\nWatchdogSec=0\\nStandardOutput=truncate:/run/probe\\n'"
             f" >/run/systemd/system/{unit}.d/probe.conf && systemctl daemon-reload")
    try:
        host.run(["systemctl", "start", unit])
        return dict(line.split(" ", 1) for line in host.run("cat /run/probe").stdout.splitlines())
    finally:
        host.run(f"rm -r /run/systemd/system/{unit}.d; if [ -e /tmp/relaxed ]; then mv /tmp/relaxed {relaxed}; fi; "
                 f"systemctl daemon-reload; systemctl start ssi-serverd.socket {unit} ssi-uplinkd")


@pytest.mark.parametrize("unit", MAY)
@pytest.mark.expect_error("FATAL: .*(starting up|shutting down|terminating|client lost)")
def test_what_must_fail(host, unit):
    results = probe(host, unit)
    assert len(results) > 35
    assert {name for name, r in results.items() if r == "done"} == MAY[unit], results


def test_the_probe_can_do_it(host):
    """Without a sandbox most of it works, so that a refusal means something."""
    out = host.run("sandbox-probe").stdout
    done = {line.split()[0] for line in out.splitlines() if line.endswith(" done")}
    assert {"read_shadow", "write_etc", "write_usr", "read_home", "inet", "raw_packets", "mount_something", "become_root",
            "write_and_execute", "make_setuid", "run_setuid", "write_units", "new_network_namespace"} <= done, out


# Others of this machine: each connection would be one less for the backend.
CONNECT = """
import socket
s = socket.socket(socket.AF_UNIX)
try:
    s.connect("/run/ssi-postgres/.s.PGSQL.5432")
    print("connected")
except PermissionError:
    print("refused")
"""


def test_nobody_reaches_the_private_database(host):
    host.write("/tmp/connect.py", CONNECT)
    for user, answer in (("nobody", "refused"), ("ssi-uplink", "refused"), ("victim", "refused"), ("root", "connected")):
        assert host.run(["/usr/bin/python3", "/tmp/connect.py"], user=user).stdout.strip() == answer, user
    assert host.run("stat -c '%a %U %G' /run/ssi-postgres /run/ssi-postgres/.s.PGSQL.5432").stdout.split("\n")[:2] == [
        "750 ssi-postgres ssi-postgres", "770 ssi-postgres ssi-postgres"]
    # While the backend does.
    host.run("systemctl restart ssi-serverd.service")
    wait_until(lambda: host.request("GET", "/readyz")[0] == 200, timeout=60)
