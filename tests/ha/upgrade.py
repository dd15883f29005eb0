# SPDX-License-Identifier: LGPL-2.1-or-later
"""A rolling upgrade, in the order of docs/high-availability.md: databases (standbys first, then a planned switch-over), backends one by
one, agents last. Each step waits until the cluster is whole again."""
import os
import subprocess

from cluster import TOP


def install(host, build):
    """The suite of a build over the one that is there; the daemons that run are restarted, as a package does it."""
    subprocess.run([str(TOP / "tests/testhost"), "install", host.name], check=True, timeout=300, stdin=subprocess.DEVNULL, capture_output=True,
                   env={**os.environ, "SSI_BUILD_DIR": str(build), "SSI_NO_BUILD": "1"})


def rolling_upgrade(cluster, build, say):
    """Gives the steps that did not end well, as text."""
    wrong = []

    def done(what):
        why = cluster.wait_whole(240)
        say(f"upgrade: {what}: {why or 'whole again'}")
        if why:
            wrong.append(f"upgrade of {what}: {why}")

    first = cluster.primary()
    for host in [h for h in cluster.databases if h is not first] + [first]:
        if host is first:
            host.run("patronictl -c /etc/patroni/config.yml switchover --force", check=False)
            done(f"{host.short} (switched over)")
        # A new minor version of PostgreSQL, or a new Patroni.
        host.run(["systemctl", "restart", "patroni.service"], timeout=120)
        host.run(["systemctl", "restart", "--no-block", "etcd.service"])
        done(host.short)
    for host in cluster.backends:
        install(host, build)
        done(host.short)
    for agent in cluster.agents:
        install(agent.host, build)
    done("agents")
    return wrong
