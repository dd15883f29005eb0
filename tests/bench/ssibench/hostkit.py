# SPDX-License-Identifier: LGPL-2.1-or-later
"""Throwaway hosts with an agent, whose backend runs beside them on this machine's disk."""
import os
from contextlib import contextmanager
from pathlib import Path

from hosts import Host, prints, script, wait_until

from .backend import Backend
from .database import Database
from .measure import family

__all__ = ["agent_and_backend", "host_pids", "register", "prints", "script", "wait_until"]


def register(host, b, token):
    """Registers the host's agent, and waits until it is connected. The server's id."""
    status, made = b.request("POST", "/api/v1/agents/register", {"server_name": host.name, "labels": []}, token)
    assert status == 201, made
    host.write("/tmp/ca.pem", Path(b.db.dir, "tls/ca.pem").read_bytes())
    host.run(["ssictl", "register", f"https://localhost:{b.port}", made["claim_token"], "--ca", "/tmp/ca.pem"])
    path = f"/api/v1/servers/{made['server_id']}"
    wait_until(lambda: b.request("GET", path, token=token)[1]["state"] == "online", what="the agent is online")
    return made["server_id"]


@contextmanager
def agent_and_backend(bench):
    """(host, backend, token of a user, id of the server)."""
    # The name is free again when its process is.
    with Host(f"bench-{os.getpid()}", "--agent") as host, Database() as db, Backend(bench, db, tls=True, host=host) as b:
        token = b.user()
        yield host, b, token, register(host, b, token)


def host_pids(host, *units):
    """The processes in the control groups of units, as numbered here."""
    pids = []
    for pid in family(host.leader):
        try:
            groups = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        except OSError:
            continue
        if any(line.endswith("/" + unit) for line in groups for unit in units):
            pids.append(pid)
    return pids
