# SPDX-License-Identifier: LGPL-2.1-or-later
"""The reference cluster of packaging/ha on throwaway hosts: three with etcd, Patroni and PostgreSQL, two with a backend, HAProxy and
keepalived, and agents, joined by one switch. The files are rendered from the templates that the playbook uses, and put where
packaging/ha/layout.yml says; the units are Debian's and the suite's own."""
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jinja2
import yaml

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / "fault"), str(TOP / "tests" / "system")]

import fleet  # noqa: E402
from certificates import make_certificates, make_push_key  # noqa: E402
from hosts import Account, crowd, wait_until  # noqa: E402
from network import ADDRESS, Switch  # noqa: E402

FILES = TOP / "packaging" / "ha"
NAME = "ssi.example.org"
PEOPLE_PORT, AGENTS_PORT = 443, 9443
REAL_POSTGRES = "postgres.real"
# What differs from roles/settings/defaults/main.yml, and why.
SETTINGS = {
    "ssi_name": NAME, "ssi_address": ADDRESS.format(100) + "/24", "ssi_interface": "eth0",
    **{f"ssi_{name}_password": f"{name}-secret" for name in ("database", "superuser", "replication", "rewind", "patroni")},
    # The hosts are small, and share a machine.
    "ssi_shared_buffers": "64MB", "ssi_max_wal_size": "256MB", "ssi_slot_wal_max": "256MB", "ssi_max_connections": 100,
    "ssi_balancer_maxconn": 2000,
    # The probes.
    "ssi_database_clients": [ADDRESS.format(1)],
    # The receiver of webhooks is in the cluster's network.
    "ssi_settings": {"SSI_ALLOW_PRIVATE_TARGETS": "yes"},
}


def settings(root=Path("/"), **more):
    return {"postgresql_version": postgresql_version(root), **yaml.safe_load((FILES / "roles/settings/defaults/main.yml").read_text()), **SETTINGS, **more}


def layout():
    return yaml.safe_load((FILES / "layout.yml").read_text())["layout"]


def postgresql_version(root=Path("/")):
    """Debian's, which is what the playbook takes."""
    return max(int(p.name) for p in (root / "usr/lib/postgresql").iterdir() if p.name.isdecimal())


class Inventory:
    """What Ansible would know: hosts by group, and how it fills a template for one of them."""

    def __init__(self, groups, addresses, variables):
        self.groups, self.addresses, self.variables = groups, addresses, variables
        # As Ansible has them.
        self.templates = jinja2.Environment(loader=jinja2.FileSystemLoader(FILES / "templates"), trim_blocks=True,
                                            keep_trailing_newline=True, undefined=jinja2.StrictUndefined)

    def render(self, template, host):
        return self.templates.get_template(template).render(
            **self.variables, groups=self.groups, inventory_hostname=host, address=self.addresses[host],
            hostvars={h: {"address": a} for h, a in self.addresses.items()})

    def place(self, host, name, unit):
        """Writes the files of a unit, as tasks/place.yml does."""
        for file in layout()[unit]:
            # Not through Host.write alone: another user's.
            host.write(file["path"], self.render(file["template"], name), file.get("mode", "0644"))
            host.run(["chown", f"{file.get('owner', 'root')}:{file.get('group', 'root')}", file["path"]])


class Node(fleet.SteppingHost):
    """A host of the cluster: `short` is its name in the inventory."""

    def __init__(self, cluster, short, *options):
        super().__init__(f"{cluster.name}-{short}", *options)
        self.cluster, self.short = cluster, short

    @property
    def address(self):
        return self.cluster.addresses[self.short]

    def up(self):
        super().up()
        self.cluster.switch.plug(self, self.address)
        return self

    def place(self, *units):
        for unit in units:
            self.cluster.inventory.place(self, self.short, unit)
        self.run("systemctl daemon-reload")


class Database(Node):
    def __init__(self, cluster, short):
        # Without the suite: it is no part of it.
        super().__init__(cluster, short, f"--root={cluster.database_root}")

    def up(self):
        super().up()
        version = self.cluster.variables["postgresql_version"]
        self.write(fleet.CLOCK, (fleet.BUILD / "tests/fault/clock.so").read_bytes(), "0755")
        self.write(fleet.CLOCK_FILE, bytes(8))
        # Disks of their own, which can be filled; and a clock of its own for PostgreSQL alone: Patroni measures leases with its.
        self.run(f"""
set -e
mount -t tmpfs -o size=1G,mode=0755 tmpfs /var/lib/postgresql
mount -t tmpfs -o size=256M,mode=0755 tmpfs /var/lib/etcd
chown postgres:postgres /var/lib/postgresql
chown etcd:etcd /var/lib/etcd
cd /usr/lib/postgresql/{version}/bin
mv postgres {REAL_POSTGRES}
printf '#!/bin/sh\\nexport LD_PRELOAD={fleet.CLOCK}\\nexec %s "$@"\\n' "$PWD/{REAL_POSTGRES}" >postgres
chmod 755 postgres
""")
        return self

    def lay_out(self):
        self.place("etcd", "patroni", *(["pgbouncer"] if self.cluster.variables["ssi_pgbouncer"] else []))

    def start_units(self):
        self.run("systemctl start --no-block etcd.service patroni.service")
        if self.cluster.variables["ssi_pgbouncer"]:
            self.run("systemctl start pgbouncer.service")

    def sql(self, query):
        out = self.run(["runuser", "-u", "postgres", "--", "psql", "-X", "-q", "-A", "-t", "-F", "\x1f", "-R", "\x1e",
                        "-v", "ON_ERROR_STOP=1", "-d", "ssi", "-c", query]).stdout.rstrip("\n")
        return [row.split("\x1f") for row in out.split("\x1e")] if out else []

    def postmaster(self):
        """Its process id in the host, 0 if there is none."""
        out = self.run(f"head -n 1 /var/lib/postgresql/{self.cluster.variables['postgresql_version']}/ssi/postmaster.pid", check=False).stdout
        return int(out) if out.strip().isdecimal() else 0


class Backend(Node):
    def lay_out(self):
        """As tasks/join.yml and the play of the balancers do."""
        self.run("systemctl mask ssi-postgres.service")
        for file, text in self.cluster.certificates.items():
            self.write(f"/etc/ssi/tls/{file}", text, "0644" if file != "key.pem" else "0640")
        self.write("/etc/ssi/tls/vapid.pem", self.cluster.push_key, "0640")
        self.run("chgrp ssi-server /etc/ssi/tls/key.pem /etc/ssi/tls/vapid.pem")
        self.place("ssi-serverd", "haproxy", "keepalived")
        self.write("/etc/haproxy/ssi-ca.pem", self.cluster.certificates["ca.pem"])
        self.write("/etc/haproxy/ssi.pem", self.cluster.certificates["cert.pem"] + self.cluster.certificates["key.pem"], "0600")

    def start_units(self):
        self.run("systemctl start ssi-serverd.socket haproxy.service keepalived.service; systemctl start --no-block ssi-serverd.service")

    def ready(self):
        try:
            return self.request("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def has_address(self):
        return self.cluster.variables["ssi_address"] in self.run("ip -o -4 address show dev eth0", check=False).stdout


class ClusterAgent(fleet.Agent):
    """Over the balancer, not over a wire of its own."""

    def __init__(self, cluster, short):
        super().__init__("none", cluster)
        self.host = Node(cluster, short, "--agent")

    def up(self):
        self.host.up()
        self.host.take_clock("systemd-journald", "ssid", "ssi-uplinkd")
        self.host.run(f"echo {ADDRESS.format(100)} {NAME} >>/etc/hosts")
        created = self.fleet.account.new_server(self.host.name)
        self.server_id = created["server_id"]
        self.host.write(fleet.CA, self.fleet.certificates["ca.pem"])
        self.host.run(["ssictl", "register", f"https://{NAME}:{AGENTS_PORT}", created["claim_token"], "--ca", fleet.CA])
        if self.fleet.services:
            crowd(self.host, self.fleet.services, run=False)


class Cluster:
    """`with Cluster("synchronous") as c:` brings all of it up. `server` is where fleet.Agent asks the database."""

    def __init__(self, mode, name="ha", agents=5, services=0, lay_out=None, database_root=Path("/"), **variables):
        """lay_out: what puts the files in place and starts the units of all databases and backends, instead of this file.
        database_root: the Debian of the databases."""
        self.name, self.mode, self.services, self.lay_out = name, mode, services, lay_out
        self.database_root = database_root
        self.variables = settings(database_root, ssi_mode=mode, **variables)
        self.certificates, self.push_key = make_certificates(NAME), make_push_key()
        self.switch = Switch()
        databases, backends = ["db1", "db2", "db3"], ["be1", "be2"]
        shorts = databases + backends + [f"agent{k + 1}" for k in range(agents)]
        self.addresses = {short: ADDRESS.format(11 + k) for k, short in enumerate(shorts)}
        self.inventory = Inventory({"database": databases, "backend": backends, "balancer": backends}, self.addresses, self.variables)
        self.databases = [Database(self, short) for short in databases]
        self.backends = [Backend(self, short) for short in backends]
        self.agents = [ClusterAgent(self, short) for short in shorts[5:]]
        self.server = self

    # -- life ----------------------------------------------------------------------------------------------------

    def up(self):
        self.switch.up()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda h: h.up(), self.databases + self.backends))
        self.switch.introduce()
        if self.lay_out:
            self.lay_out(self)
        else:
            for hosts in (self.databases, self.backends):
                for host in hosts:
                    host.lay_out()
                    host.start_units()
                wait_until(self.settled_database, timeout=900, what="the database has a primary and two standbys")
        wait_until(lambda: all(b.ready() for b in self.backends), timeout=300, what="the backends are ready")
        for host in self.backends:
            host.take_clock("ssi-serverd")
        wait_until(lambda: all(b.ready() for b in self.backends), timeout=300, what="the backends are ready")
        self.account = Account(self.backends[0])
        wait_until(lambda: any(b.has_address() for b in self.backends), timeout=300, what="a balancer has the address")
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda a: a.up(), self.agents))
        self.switch.introduce()
        return self

    def down(self):
        for host in self.hosts:
            subprocess.run([str(TOP / "tests/testhost"), "down", host.name], check=False, timeout=180, stdin=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        self.switch.down()

    def __enter__(self):
        try:
            return self.up()
        except BaseException:
            self.down()
            raise

    def __exit__(self, *exc):
        self.down()

    @property
    def hosts(self):
        return self.databases + self.backends + [a.host for a in self.agents]

    def deaths(self):
        """Deaths of SSI's daemons that nobody ordered, and what sanitizers said."""
        return [f"{host.name}: {line}" for host in self.backends + [a.host for a in self.agents] for line in host.deaths()]

    # -- how it is -----------------------------------------------------------------------------------------------

    def members(self):
        """Patroni's view: [{name, role, state, …}], from whichever member answers."""
        for host in self.databases:
            try:
                status, answer = self.switch.get(host.address, 8008, "/cluster")
                if status == 200:
                    return json.loads(answer)["members"]
            except (OSError, ValueError):
                continue
        return []

    def primary(self):
        """The Database that Patroni calls the leader and that says so itself; None if there is none now."""
        for host in self.databases:
            try:
                if self.switch.get(host.address, 8008, "/primary")[0] == 200:
                    return host
            except OSError:
                continue
        return None

    def standbys(self):
        """The synchronous one first, as far as Patroni names one."""
        roles = {m["name"]: m.get("role") for m in self.members()}
        found = [h for h in self.databases if roles.get(h.short) in ("sync_standby", "replica")]
        return sorted(found, key=lambda h: roles[h.short] != "sync_standby")

    def settled_database(self):
        """One primary, from which both standbys stream, one of them synchronously if that is the mode. A standby that Patroni calls
        running may not have reached it yet."""
        primary = self.primary()
        if not primary:
            return False
        try:
            streams = json.loads(self.switch.get(primary.address, 8008, "/patroni")[1]).get("replication", [])
        except (OSError, ValueError):
            return False
        return [s["state"] for s in streams] == ["streaming"] * 2 and len(self.members()) == 3 and \
            (self.mode != "synchronous" or any(s["sync_state"] in ("sync", "quorum") for s in streams))

    def settled_etcd(self):
        return all(b"true" in self.health(h) for h in self.databases)

    def health(self, host):
        try:
            return self.switch.get(host.address, 2379, "/health")[1]
        except OSError:
            return b""

    def wholesome(self):
        """Why it is not whole, or ""."""
        if not self.settled_etcd():
            return "etcd: " + ", ".join(f"{h.short} {self.health(h)!r}" for h in self.databases)
        if not self.settled_database():
            return f"database: {self.members()}"
        late = [b.short for b in self.backends if not b.ready()]
        if late:
            return f"not ready: {late}"
        if sum(b.has_address() for b in self.backends) != 1:
            return "the virtual address is not on exactly one balancer"
        try:
            status = self.switch.get(ADDRESS.format(100), PEOPLE_PORT, "/readyz", tls=True)[0]
        except OSError as e:
            return f"people's port: {e}"
        return "" if status == 200 else f"people's port: {status}"

    def wait_whole(self, timeout):
        """"" once everything works again, or why it does not."""
        end = time.monotonic() + timeout
        while why := self.wholesome():
            if time.monotonic() > end:
                return why
            time.sleep(0.5)
        return ""

    # -- the database --------------------------------------------------------------------------------------------

    def sql(self, query):
        """On the primary, whichever it is. It may die meanwhile: once more, then."""
        def ask():
            primary = self.primary()
            return primary and [primary.sql(query)]
        return wait_until(ask, timeout=120, what="a primary answers")[0]
