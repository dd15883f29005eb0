# SPDX-License-Identifier: LGPL-2.1-or-later
"""A backend and agents, each in a throwaway host of its own, services that never stop running, and what all of them must
agree on in the end."""
import re
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

from check import compare  # noqa: E402
from hosts import BUILD, Account, Host, script, wait_until  # noqa: E402
from wire import PORT, Wire  # noqa: E402

SERVICES = ("tick", "tock")
CA = "/tmp/ca.pem"

CLOCK = "/usr/local/lib/ssi-clock.so"
CLOCK_FILE = "/run/clock"

# The number says which run: nothing may be ordered by times, as the clock steps.
BODY = f"""read -r n </run/{{slug}}.n
echo "$(LD_PRELOAD={CLOCK} date '+%Y-%m-%d %H:%M:%S'), $([[ $((n % 9)) == 0 ]] && echo WARNING || echo OK), number $n"
"""
DRIVER = """
n=$(cat /run/{slug}.n)
while [[ ! -e /run/stop ]]; do
        echo $((++n)) >/run/{slug}.new && mv /run/{slug}.new /run/{slug}.n
        systemctl start ssi-{slug}.service 2>>/run/{slug}.said
        sleep $((RANDOM % 2)).$((RANDOM % 8 + 1))
done
"""


class SteppingHost(Host):
    """One whose clock can be set, as far as these units are concerned: the rest of it keeps this machine's (clock.c)."""

    def take_clock(self, *units):
        self.write(CLOCK, (BUILD / "tests/fault/clock.so").read_bytes(), "0755")
        self.write(CLOCK_FILE, struct.pack("q", 0))
        for unit in units:
            self.write(f"/etc/systemd/system/{unit}.service.d/60-clock.conf", f"[Service]\nEnvironment=LD_PRELOAD={CLOCK}\n")
        self.run(["systemctl", "daemon-reload"])
        self.run(["systemctl", "restart", *units])
        for unit in units:
            assert CLOCK_FILE in self.run(["cat", f"/proc/{self.pid(unit + '.service')}/maps"]).stdout, unit

    def set_clock(self, seconds):
        # In place: it is mapped.
        with open(f"/proc/{self.leader}/root{CLOCK_FILE}", "r+b", buffering=0) as f:
            f.write(struct.pack("q", seconds * 1000000))


class Agent:
    def __init__(self, name, fleet, *options):
        self.fleet = fleet
        self.host = SteppingHost(name, "--agent", *options)
        self.wire = None
        self.heard = set()  # the runs of whose lines the journal ever held one, by invocation id
        self.kept = {slug: set() for slug in SERVICES}  # the numbers that the journal ever held
        self.drivers = []

    def up(self):
        self.host.up()
        self.host.take_clock("systemd-journald", "ssid", "ssi-uplinkd")
        self.register()

    def register(self):
        self.wire = Wire(self.host, self.fleet.server)
        created = self.fleet.account.new_server(self.host.name)
        self.server_id = created["server_id"]
        self.host.write(CA, self.fleet.ca)
        self.host.run(["ssictl", "register", f"https://localhost:{PORT}", created["claim_token"], "--ca", CA])

    def begin(self, body=BODY):
        for slug in SERVICES:
            self.host.run(f"echo 0 >/run/{slug}.n")
            self.host.run(["ssictl", "add", self.host.write(f"/tmp/{slug}.bash",
                                                            script(slug.title(), body.format(slug=slug)))])
            self.drivers.append(self.host.start(DRIVER.format(slug=slug)))

    def end(self):
        self.host.run("touch /run/stop")
        for d in self.drivers:
            d.wait(timeout=60)

    def note_kept(self):
        """Adds what the journal holds now."""
        self.host.run("journalctl --sync")
        for slug in SERVICES:
            for e in self.host.journal(f"_SYSTEMD_UNIT=ssi-{slug}.service", "_TRANSPORT=stdout", fields=("MESSAGE", "_SYSTEMD_INVOCATION_ID")):
                m = re.search(r", number (\d+)$", str(e["MESSAGE"]))
                if m:
                    self.kept[slug].add(int(m[1]))
                    self.heard.add(e.get("_SYSTEMD_INVOCATION_ID"))

    def stored(self):
        """What the database has, in the order of the commits: (slug, number) of a result, None for a gap."""
        return [(slug, int(message.split()[1])) if kind == "result" else None for kind, slug, message in self.fleet.server.sql(
            "SELECT e.kind, e.service, e.message FROM events e JOIN servers s ON s.id = e.server_id"
            f" WHERE s.public_id = '{self.server_id}' AND (e.kind = 'gap' OR (e.kind = 'result' AND e.service IN {SERVICES})) ORDER BY e.id")]

    def silent(self):
        """The runs that are errors since no line of theirs was seen, by invocation id."""
        return {row[0] for row in self.fleet.server.sql(
            "SELECT e.invocation_id FROM events e JOIN servers s ON s.id = e.server_id"
            f" WHERE s.public_id = '{self.server_id}' AND e.kind = 'error' AND e.error_kind = 'no-status-line'")}

    def check(self):
        """What is wrong, as text; and counts. A line that is missing must lie where the agent has told of a gap."""
        self.note_kept()
        wrong, counts, stored = [], dict.fromkeys(("kept", "stored", "in_gaps"), 0), self.stored()
        counts["gaps"] = stored.count(None)
        wrong += [f"{self.host.name}: the run {i} is an error, and its line was in the journal" for i in self.silent() & self.heard]
        for slug in SERVICES:
            history = [e and e[1] for e in stored if e is None or e[0] == slug]
            faults, in_gaps = compare(self.kept[slug], history)
            wrong += [f"{self.host.name} {slug}: {fault}" for fault in faults]
            counts["kept"] += len(self.kept[slug])
            counts["stored"] += sum(n is not None for n in history)
            counts["in_gaps"] += in_gaps
        return wrong, counts

    def settled(self):
        self.note_kept()
        stored = set(self.stored())
        return all(not self.kept[slug] or (slug, max(self.kept[slug])) in stored for slug in SERVICES)


class Fleet:
    def __init__(self, name, agents, agent_release=None):
        options = [f"--release={agent_release}"] if agent_release else []
        self.server = SteppingHost(f"{name}-server", "--server")
        self.agents = [Agent(f"{name}-agent{k + 1}", self, *options) for k in range(agents)]

    def up(self):
        self.server.up()
        self.small_disk()
        self.server.take_clock("ssi-postgres", "ssi-serverd")
        self.account = Account(self.server)
        self.ca = self.server.run("cat /var/lib/ssi-server/tls/ca.pem").stdout
        for agent in self.agents:
            agent.up()

    def small_disk(self):
        """The database onto a file system of its own, which can be filled."""
        data = "/var/lib/ssi-server/postgres"
        self.server.run(f"""
set -e
systemctl stop 'ssi-serverd*' ssi-postgres.service
mkdir /tmp/disk && mount -t tmpfs -o size=1G,mode=0755 tmpfs /tmp/disk
cp -a {data}/. /tmp/disk/ && chown --reference={data} /tmp/disk && chmod --reference={data} /tmp/disk
mount --bind /tmp/disk {data}
systemctl start ssi-serverd.socket ssi-serverd.service
""")
        wait_until(lambda: self.server.request("GET", "/readyz")[0] == 200, timeout=60)

    @property
    def hosts(self):
        return [self.server] + [a.host for a in self.agents]

    def deaths(self):
        """Deaths of daemons that nobody ordered, and what sanitizers said."""
        return [f"{host.name}: {line}" for host in self.hosts for line in host.deaths()]

    def down(self):
        for a in self.agents:
            if a.wire:
                a.wire.close()
            a.host.down()
        self.server.down()
