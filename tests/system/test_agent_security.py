# SPDX-License-Identifier: LGPL-2.1-or-later
"""How exposed the units are, as `systemd-analyze security` rates them (0 is best, 10 worst)."""
import pytest

from hosts import prints, script, wait_until
from rawbus import Bus

pytestmark = pytest.mark.essential

UNITS = "/etc/systemd/system"


def exposure(host, unit):
    out = host.run(["systemd-analyze", "security", "--no-pager", unit], check=False).stdout
    figure = float(out.rpartition(f"for {unit}: ")[2].split()[0])
    print(unit, figure)
    return figure


@pytest.fixture(scope="module")
def plain(agent):
    """The units as they are installed, without what the sanitizers of a test's build need."""
    agent.run(f"mkdir /root/away && for f in {UNITS}/*.service.d; do [ -e $f/50-sanitizers.conf ] && mv $f /root/away; done;"
              " systemctl daemon-reload")
    yield agent
    agent.run(f"mv /root/away/* {UNITS}/; rmdir /root/away; systemctl daemon-reload", check=False)


@pytest.mark.parametrize("unit, most", [
    ("ssid.service", 2.0), ("ssi-uplinkd.service", 2.0), ("ssi-serverd.service", 2.0), ("ssi-postgres.service", 2.0),
    ("ssi-server-ca.service", 2.0),
])
def test_daemons(plain, unit, most):
    assert exposure(plain, unit) <= most


@pytest.mark.parametrize("more, most", [("", 2.0), ("# user: ssi-script\n", 2.0), ("# user: root\n", 4.0)])
def test_services(plain, add, more, most):
    """3.0 is what the project promises of a unit that asks for nothing; root has to be asked for, and authorized."""
    add(plain, script("Exposed", prints("OK", "x")).replace("# timeout:", f"{more}# timeout:"))
    assert exposure(plain, "ssi-exposed.service") <= most


@pytest.mark.parametrize("user", ["ssi-uplink", "ssi-server", "ssi-journal", "ssi-script", "ssi-somebody-with-a-long-name-x"])
def test_a_name_is_no_user(agent, add, user):
    """A check has a user of its own, also where its unit is called as somebody: whoever may only add checks could choose who it runs as."""
    if user.startswith("ssi-somebody"):
        assert len(user) == 31
        agent.run(["useradd", "--no-create-home", user])
    theirs = agent.run(["id", "-u", user]).stdout.strip()
    slug = user.removeprefix("ssi-")
    add(agent, script(slug, prints("OK", "$(id -u) $(id -un) $(id -Gn)")))
    agent.run(["ssictl", "run", slug])
    with Bus(agent) as bus:
        uid, name, *groups = bus.properties(slug)["Message"].split()
    # Where nothing in the host tells the names of dynamic users, id prints their numbers.
    own = agent.show(f"ssi-{slug}.service", "User")["User"]
    assert uid != theirs and 61184 <= int(uid) <= 65519 and own.startswith("_ssi")
    assert name in (own, uid) and groups == [name]


def test_what_a_check_of_roots_may_do(agent, add):
    """To look everywhere, and to run a program as somebody else; not to change the system."""
    agent.run("install -m 600 -o nobody /dev/null /var/private")
    add(agent, script("Of Root", """
set -e
cat /var/private
[ "$(runuser -u nobody -- id -un)" = nobody ]
[ "$(sudo -u nobody id -un)" = nobody ]
readlink /proc/1/exe >/dev/null
kill -0 1
! chown nobody /tmp
! touch /usr/x 2>/dev/null
ssi_ok "all of it"
""").replace("# timeout:", "# user: root\n# timeout:"))
    agent.run("systemctl start ssi-of-root.service", check=False)
    with Bus(agent) as bus:
        wait_until(lambda: bus.properties("of-root")["LastRunResult"])
        assert bus.properties("of-root")["Message"] == "all of it", agent.lines("of-root")
