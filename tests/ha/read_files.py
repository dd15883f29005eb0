# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files of packaging/ha, filled in every variant, before the programs that read them."""
import subprocess
import tempfile
from pathlib import Path

from certificates import make_certificates
from cluster import FILES, NAME, Inventory, layout, settings

HOSTS = ("alpha", "beta", "gamma")


# A network in which nobody is, with an interface for keepalived.
ALONE = ["unshare", "--net", "sh", "-c", 'ip link add eth0 type veth peer name eth1 && exec "$@"', "-"]
# Patroni looks whether etcd answers, and wants rules for its first start where those for all starts are.
EXPECTED = ("is not reachable'", "is not reachable", "bootstrap.pg_hba  is not defined.")


def run(wrong, what, *argv, **kwargs):
    r = subprocess.run([*ALONE, *map(str, argv)], capture_output=True, text=True, stdin=subprocess.DEVNULL, **kwargs)
    said = (r.stdout + r.stderr).splitlines()
    lines = [line for line in said if line and not line.endswith(EXPECTED)]
    # keepalived 2.2 ends a test of a file with a script by SIGTERM, whatever it found.
    if r.returncode and (lines or not (said or argv[0] == "keepalived")):
        wrong.append("\n".join([f"{what}: {' '.join(map(str, argv))}", *lines]))


def check_variant(wrong, what, folder, variables):
    inventory = Inventory({g: list(HOSTS) for g in ("database", "backend", "balancer")},
                          {h: f"192.0.2.{11 + k}" for k, h in enumerate(HOSTS)}, variables)
    certificates = make_certificates(NAME)
    (folder / "ssi-ca.pem").write_text(certificates["ca.pem"])
    (folder / "ssi.pem").write_text(certificates["cert.pem"] + certificates["key.pem"])
    for unit, files in layout().items():
        for file in files:
            text = inventory.render(file["template"], "beta")
            # Those that the playbook copies.
            (folder / Path(file["path"]).name).write_text(text.replace("/etc/haproxy/", f"{folder}/"))
    run(wrong, what, "haproxy", "-c", "-dW", "-f", folder / "haproxy.cfg")
    run(wrong, what, "patroni", "--validate-config", folder / "config.yml")
    run(wrong, what, "keepalived", "--config-test", f"--use-file={folder / 'keepalived.conf'}")
    run(wrong, what, "sh", "-n", folder / "post-bootstrap")


def check_files():
    """What is wrong, as text."""
    wrong = []
    for mode, strict, watchdog, pgbouncer in (("synchronous", False, "off", False), ("synchronous", True, "required", True),
                                              ("asynchronous", False, "automatic", False)):
        with tempfile.TemporaryDirectory() as folder:
            check_variant(wrong, f"{mode}, strict {strict}, watchdog {watchdog}, pgbouncer {pgbouncer}", Path(folder),
                          settings(ssi_mode=mode, ssi_strict=strict, ssi_watchdog=watchdog, ssi_pgbouncer=pgbouncer))
    run(wrong, "playbook", "ansible-playbook", "--syntax-check", "-i", FILES / "inventory.example.yml", FILES / "site.yml")
    run(wrong, "playbook", "ansible-lint", "--offline", "site.yml", cwd=FILES)
    run(wrong, "YAML", "yamllint", "--strict", "-d", "{extends: default, rules: {line-length: {max: 140}}}", FILES)
    return wrong
