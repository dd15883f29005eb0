"""A backend and agents, each in a throwaway host of its own, services that never stop running, and what all of them must
agree on in the end."""
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

from hosts import Account, Host, script, wait_until  # noqa: E402
from wire import PORT, Wire  # noqa: E402

SERVICES = ("tick", "tock")
CA = "/tmp/ca.pem"

# The line's own time steps about, as a clock that is set does; nothing may be ordered by it. The number says which run.
BODY = """read -r n </run/{slug}.n
read -r offset </run/clock-offset
echo "$(date -d "$offset seconds" '+%Y-%m-%d %H:%M:%S'), $([[ $((n % 9)) == 0 ]] && echo WARNING || echo OK), number $n"
"""
DRIVER = """
n=$(cat /run/{slug}.n)
while [[ ! -e /run/stop ]]; do
        echo $((++n)) >/run/{slug}.new && mv /run/{slug}.new /run/{slug}.n
        systemctl start ssi-{slug}.service
        sleep $((RANDOM % 2)).$((RANDOM % 8 + 1))
done
"""


class Agent:
    def __init__(self, name, fleet):
        self.fleet = fleet
        self.host = Host(name, "--agent")
        self.wire = None
        self.kept = {slug: {} for slug in SERVICES}  # number -> journald's time; what it ever held
        self.drivers = []

    def up(self):
        self.host.up()
        self.wire = Wire(self.host, self.fleet.server)
        created = self.fleet.account.new_server(self.host.name)
        self.server_id = created["server_id"]
        self.host.write(CA, self.fleet.ca)
        self.host.run(["ssictl", "register", f"https://localhost:{PORT}", created["claim_token"], "--ca", CA])

    def begin(self):
        self.host.run("echo 0 >/run/clock-offset; chmod 644 /run/clock-offset")
        for slug in SERVICES:
            self.host.run(f"echo 0 >/run/{slug}.n")
            self.host.run(["ssictl", "add", self.host.write(f"/tmp/{slug}.bash",
                                                            script(slug.title(), BODY.format(slug=slug)))])
            self.drivers.append(self.host.start(DRIVER.format(slug=slug)))

    def end(self):
        self.host.run("touch /run/stop")
        for d in self.drivers:
            d.wait(timeout=60)

    def note_kept(self):
        """Adds what the journal holds now."""
        self.host.run("journalctl --sync")
        for slug in SERVICES:
            for e in self.host.journal(f"_SYSTEMD_UNIT=ssi-{slug}.service", "_TRANSPORT=stdout", fields=("MESSAGE",)):
                m = re.search(r", number (\d+)$", str(e["MESSAGE"]))
                if m:
                    self.kept[slug][int(m[1])] = int(e["__REALTIME_TIMESTAMP"]) / 1e6

    def stored(self, slug):
        """The numbers in the database, in the order of their commits."""
        return [int(row[0].split()[1]) for row in self.fleet.server.sql(
            "SELECT e.message FROM events e JOIN servers s ON s.id = e.server_id"
            f" WHERE s.public_id = '{self.server_id}' AND e.service = '{slug}' AND e.kind = 'result' ORDER BY e.id")]

    def gaps(self):
        """The times that the agent said it cannot tell of; from None: since ever."""
        return [(float(a) if a else None, float(b)) for a, b in self.fleet.server.sql(
            "SELECT extract(epoch FROM e.gap_from), extract(epoch FROM e.at) FROM events e JOIN servers s"
            f" ON s.id = e.server_id WHERE s.public_id = '{self.server_id}' AND e.kind = 'gap'")]

    def check(self):
        """What is wrong, as text; and counts."""
        self.note_kept()
        wrong, counts = [], dict.fromkeys(("kept", "stored", "in_gaps"), 0)
        gaps = self.gaps()
        counts["gaps"] = len(gaps)
        for slug in SERVICES:
            kept, stored = self.kept[slug], self.stored(slug)
            counts["kept"] += len(kept)
            counts["stored"] += len(stored)
            for a, b in zip(stored, stored[1:]):
                if b <= a:
                    wrong.append(f"{self.host.name} {slug}: {b} comes after {a}: {'twice' if b == a else 'out of order or twice'}")
            for n in sorted(set(kept) - set(stored)):
                # journald's time and the wire's have millisecond precision.
                if any((a is None or a - 0.002 <= kept[n]) and kept[n] <= b + 0.002 for a, b in gaps):
                    counts["in_gaps"] += 1
                else:
                    wrong.append(f"{self.host.name} {slug}: {n} was in the journal and is not in the database")
        return wrong, counts

    def settled(self):
        self.note_kept()
        return all(not self.kept[slug] or max(self.kept[slug]) in self.stored(slug)[-50:] for slug in SERVICES)


class Fleet:
    def __init__(self, name, agents):
        self.server = Host(f"{name}-server", "--server")
        self.agents = [Agent(f"{name}-agent{k + 1}", self) for k in range(agents)]

    def up(self):
        self.server.up()
        self.small_disk()
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
