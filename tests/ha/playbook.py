# SPDX-License-Identifier: LGPL-2.1-or-later
"""packaging/ha/site.yml itself, by Ansible, on the hosts of a cluster."""
import json
import os
import subprocess
import tempfile
from pathlib import Path

from cluster import FILES, TOP


def inventory(cluster, folder):
    files = {"ssi_tls_cert": "cert.pem", "ssi_tls_key": "key.pem", "ssi_tls_ca": "ca.pem", "ssi_push_key": "vapid.pem"}
    for name, text in {**cluster.certificates, "vapid.pem": cluster.push_key}.items():
        (folder / name).write_text(text)
    hosts = {h.short: {"address": h.address, "ansible_host": h.name} for h in cluster.databases + cluster.backends}
    return {"all": {
        "hosts": hosts,
        "vars": {**cluster.variables, **{k: str(folder / v) for k, v in files.items()}, "ssi_install": False,
                 "ansible_connection": "testhost", "ansible_python_interpreter": "/usr/bin/python3"},
        "children": {group: {"hosts": dict.fromkeys(names)} for group, names in cluster.inventory.groups.items()}}}


def play(cluster):
    """Runs it, and gives what it says of each host."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "inventory.json").write_text(json.dumps(inventory(cluster, folder)))
        env = {**os.environ, "SSI_TESTHOST": str(TOP / "tests/testhost"), "ANSIBLE_CONNECTION_PLUGINS": str(TOP / "tests/ha/connection"),
               "ANSIBLE_HOME": name, "ANSIBLE_PIPELINING": "1", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_RETRY_FILES_ENABLED": "0",
               "PYTHONDONTWRITEBYTECODE": "1"}
        r = subprocess.run(["ansible-playbook", "-i", str(folder / "inventory.json"), str(FILES / "site.yml")], env=env, text=True,
                           capture_output=True, stdin=subprocess.DEVNULL, timeout=1800)
    assert r.returncode == 0, r.stdout[-6000:] + r.stderr[-2000:]
    return r.stdout[r.stdout.index("PLAY RECAP"):]
