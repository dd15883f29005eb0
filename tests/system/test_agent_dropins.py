# SPDX-License-Identifier: LGPL-2.1-or-later
"""What drop-ins let a service do, somebody who may only manage and run services cannot have done by a script of theirs."""
import contextlib
import re
import subprocess

import pytest

from hosts import prints, script, wait_until
from rawbus import MEMBER, Bus

pytestmark = pytest.mark.essential

RULES = "/etc/polkit-1/rules.d/50-dropins.rules"
ETC = "/etc/systemd/system"
FOLDERS = (ETC, "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/etc/systemd/system.control")
NAMES = ("ssi-of-a-delegate.service.d", "ssi-of-a-.service.d", "ssi-of-.service.d", "ssi-.service.d", "service.d")
SLUG = "of-a-delegate"
UNIT = f"ssi-{SLUG}.service"
# Widens, and breaks nothing where it applies to all services.
WIDER = "[Service]\nSupplementaryGroups=adm\n"
MANAGE, RUN, PRIVILEGED = (f"org.ssi.agent1.{a}" for a in ("manage-services", "run-service", "add-privileged-service"))


def allow(host, first="", **actions):
    """allow(host, delegate=(MANAGE, RUN), …); first: what the rule does before."""
    rules = "".join(f'if (subject.user == "{user}" && {list(names)}.indexOf(action.id) >= 0) return polkit.Result.YES;\n'
                    for user, names in actions.items())
    host.write(RULES, f"polkit.addRule(function(action, subject) {{\n{first}{rules}}});\n")


def text(n, header=""):
    return script("Of a delegate", prints("OK", f"{n} as $(id -un) in $(id -Gn)")).replace("# timeout:", f"{header}# timeout:")


def add(host, n, user="delegate", header=""):
    path = host.write(f"/tmp/dropins-{n}.bash", text(n, header))
    return host.run(["ssictl", "add", "--replace", path], user=user, check=False)


def message(host):
    host.run(f"systemctl start {UNIT}", check=False)
    wait_until(lambda: host.lines(SLUG))
    return host.lines(SLUG)[-1]


def files(host):
    return host.run(f"cat /usr/local/bin/ssi/{SLUG} {ETC}/ssi-{SLUG}.*; ls -l /usr/local/bin/ssi {ETC}; ls -l {ETC}/timers.target.wants 2>/dev/null || true").stdout


@pytest.fixture(scope="module")
def host(agent):
    for user in ("delegate", "chief"):
        agent.add_user(user)
    allow(agent, delegate=(MANAGE, RUN), chief=(MANAGE, RUN, PRIVILEGED))
    wait_until(lambda: add(agent, "0").returncode == 0, what="polkit has read the rule")
    yield agent
    agent.run(f"ssictl remove {SLUG}; rm -f {RULES}", check=False)


@pytest.fixture(autouse=True)
def installed(host):
    """Each test begins with the delegate's service, and without a drop-in."""
    yield
    host.run(f"cd {ETC} && rm -rf " + " ".join(f"{f}/{n}" for f in FOLDERS for n in NAMES) + f" {ETC}/alias.service*; systemctl daemon-reload")
    host.run(["ssictl", "remove", SLUG], check=False)
    assert add(host, "0").returncode == 0


def denied(r, path=""):
    assert r.returncode == 5, r
    assert r.stdout == "" and len(r.stderr.splitlines()) == 1, r.stderr
    assert PRIVILEGED in r.stderr and path in r.stderr, r.stderr
    return True


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_spelling_in_each_folder(host, folder):
    before = files(host)
    for name in NAMES:
        path = host.write(f"{folder}/{name}/x.conf", WIDER)
        denied(add(host, "1"), f"{path} sets SupplementaryGroups=")
        host.run(["rm", "-r", f"{folder}/{name}"])
    assert files(host) == before
    assert add(host, "2").returncode == 0
    assert files(host) != before


def test_nothing_is_written_or_reloaded_before_the_answer(host):
    host.write(f"{ETC}/{NAMES[0]}/x.conf", "[Service]\nUser=root\n")
    before = files(host)
    denied(add(host, "1"))
    assert files(host) == before
    assert host.show(UNIT, "DropInPaths") == {"DropInPaths": ""}
    # Nor is it by removing it first.
    host.run(["ssictl", "remove", SLUG], user="delegate")
    denied(add(host, "1"), "x.conf sets User=")
    assert host.run(f"ls {ETC}/{UNIT}", check=False).returncode != 0


@pytest.mark.parametrize("user", [None, "chief"])
def test_an_administrator_may(host, user):
    host.write(f"{ETC}/{NAMES[0]}/x.conf", WIDER)
    assert add(host, "admin", user=user).returncode == 0
    assert "adm" in message(host)


def test_what_cannot_widen_changes_nothing(host):
    host.write(f"{ETC}/{NAMES[0]}/x.conf", "[Unit]\n# User=root\nConditionPathExists=/\n[Service]\nNice=5\nCPUQuota=50%\nEnvironment=A=1\n")
    assert add(host, "1").returncode == 0
    assert host.show(UNIT, "Nice") == {"Nice": "5"}
    host.run(["ssictl", "run", SLUG], user="delegate")


def test_masked_and_overridden_drop_ins(host):
    """The reader agrees with systemd on which one counts."""
    lower = host.write(f"/usr/lib/systemd/system/{NAMES[0]}/x.conf", WIDER)
    host.run(f"mkdir -p {ETC}/{NAMES[3]} && ln -s /dev/null {ETC}/{NAMES[3]}/x.conf")
    assert add(host, "1").returncode == 0
    assert lower not in host.show(UNIT, "DropInPaths")["DropInPaths"]
    host.run(f"rm {ETC}/{NAMES[3]}/x.conf")
    host.write(f"{ETC}/{NAMES[4]}/x.conf", "[Service]\nNice=5\n")
    denied(add(host, "2"), lower)
    host.run("systemctl daemon-reload")
    assert lower in host.show(UNIT, "DropInPaths")["DropInPaths"]


def test_what_cannot_be_read(host):
    host.run(f"mkdir -p {ETC}/{NAMES[0]} && ln -s /nowhere {ETC}/{NAMES[0]}/x.conf")
    denied(add(host, "1"), "cannot be read")


def test_drop_ins_that_are_loaded_but_gone(host):
    """What is gone applies until systemd reads the files again, which a replacement makes it do first."""
    path = host.write(f"{ETC}/{NAMES[0]}/x.conf", WIDER)
    host.run(f"systemctl daemon-reload && rm -r {ETC}/{NAMES[0]}")
    denied(host.run(["ssictl", "run", SLUG], user="delegate", check=False), path)
    assert add(host, "1").returncode == 0
    host.run(["ssictl", "run", SLUG], user="delegate")
    assert "adm" not in message(host)


def test_drop_ins_by_another_name_of_the_unit(host):
    """Only systemd knows these: what was written is taken back."""
    host.run(f"ln -s {UNIT} {ETC}/alias.service; systemctl daemon-reload")
    host.write(f"{ETC}/alias.service.d/x.conf", WIDER)
    before = files(host)
    r = add(host, "1")
    assert r.returncode != 0 and "alias.service.d/x.conf" in r.stderr
    assert files(host) == before


def test_a_service_of_root_is_not_replaced_by_less(host):
    """Until systemd has read the new unit, it would start the new script as root."""
    assert add(host, "root", user=None, header="# user: root\n").returncode == 0
    before = files(host)
    denied(add(host, "1"), "DynamicUser")
    assert files(host) == before
    # It may still be run, as an administrator has installed it so.
    host.run(["ssictl", "run", SLUG], user="delegate")
    assert "root as root" in host.lines(SLUG)[-1]
    # And it may be removed, after which nothing of it is left.
    host.run(["ssictl", "remove", SLUG], user="delegate")
    assert add(host, "2").returncode == 0
    assert "as root" not in message(host)


def test_a_unit_that_was_edited(host):
    host.run(f"sed -i 's/^DynamicUser=.*/User=root/' {ETC}/{UNIT}; systemctl daemon-reload")
    denied(add(host, "1"), "DynamicUser")
    denied(host.run(["ssictl", "run", SLUG], user="delegate", check=False), "DynamicUser")
    assert add(host, "2", user=None).returncode == 0
    assert "as root" not in message(host)


@pytest.mark.parametrize("reload", [True, False])
def test_run_and_enable(host, reload):
    host.run(["ssictl", "disable", SLUG], user="delegate")
    path = host.write(f"{ETC}/{NAMES[3]}/x.conf", WIDER)
    if reload:
        host.run("systemctl daemon-reload")
    for verb in ("run", "enable"):
        denied(host.run(["ssictl", verb, SLUG], user="delegate", check=False), path)
    assert host.run(f"systemctl is-enabled ssi-{SLUG}.timer", check=False).stdout == "disabled\n"
    for user in ("chief", None):
        host.run(["ssictl", "run", SLUG], user=user)
        host.run(["ssictl", "enable", SLUG], user=user)
    host.run(["ssictl", "disable", SLUG], user="delegate")


def test_a_timer_that_starts_another_unit(host):
    host.write(f"{ETC}/ssi-{SLUG}.timer.d/x.conf", "[Timer]\nUnit=halt.target\n")
    denied(add(host, "1"), "sets Unit=")
    host.run(f"rm -r {ETC}/ssi-{SLUG}.timer.d")


def test_tests_get_the_drop_ins_of_all_services(host):
    path = host.write("/tmp/dropins-test.bash", text("test"))
    host.run(["ssictl", "test", path], user="delegate")
    host.write(f"/run/systemd/system/{NAMES[4]}/x.conf", WIDER)
    denied(host.run(["ssictl", "test", path], user="delegate", check=False), "SupplementaryGroups")


# What LXC's images write for all services, in a privileged container, too.
LXC = """[Service]
ProcSubset=all
ProtectProc=default
ProtectControlGroups=no
ProtectKernelTunables=no
NoNewPrivileges=no
LoadCredential=
ProtectHome=no
ProtectSystem=no
PrivateDevices=no
PrivateTmp=no
ProtectKernelLogs=no
ProtectKernelModules=no
ReadWritePaths=
"""


def test_protections_that_a_container_cannot_have(host):
    """Without them the run may do no more than any local user, which is why they need no more than manage-services."""
    path = host.write(f"/run/systemd/system/{NAMES[4]}/zzz-lxc-service.conf", LXC)
    holds = "$(sed -n 's/^NoNewPrivs:.//p; s/^CapBnd:.//p; s/^CapEff:.//p' /proc/self/status | xargs)"
    writes = "$(touch /var/tmp/theirs /etc/theirs /usr/local/theirs 2>/dev/null; ls /etc/theirs /usr/local/theirs 2>/dev/null)"
    body = prints("OK", f"user $(id -u), $(id -G | wc -w) group, {holds}, wrote {writes}.")
    host.run(["ssictl", "add", "--replace", host.write("/tmp/dropins-lxc.bash", script("Of a delegate", body))], user="delegate")
    host.run(["ssictl", "run", SLUG], user="delegate")
    assert path in host.show(UNIT, "DropInPaths")["DropInPaths"]
    said = re.search(r"user (\d+), (.*)", message(host))
    zero = "0" * 16
    assert 61184 <= int(said[1]) <= 65519 and said[2] == f"1 group, {zero} {zero} 1, wrote .", said
    assert host.run("ls /var/tmp/theirs", check=False).returncode != 0
    # One that gives something beside them is named.
    host.write(path, LXC + "LoadCredential=shadow:/etc/shadow\n")
    denied(add(host, "1"), f"{path} sets LoadCredential=")


# ---- While polkit waits for an answer ----------------------------------------------------------------------------------

THINK, GO = "/usr/local/bin/dropins-think", "/run/dropins-go"


def is_thinking(host):
    return host.run(["pgrep", "-f", THINK], check=False).returncode == 0


@pytest.fixture
def thinking(host):
    """polkit takes its time to answer the delegate and the chief."""
    host.write(THINK, f"#!/bin/sh\nfor i in $(seq 80); do [ -e {GO} ] && exit; sleep 0.1; done\n", mode="0755")
    allow(host, first=f'if (["delegate", "chief"].indexOf(subject.user) >= 0) try {{ polkit.spawn(["{THINK}"]); }} catch (e) {{}}\n',
          delegate=(MANAGE, RUN), chief=(MANAGE, RUN, PRIVILEGED))
    path = host.write("/tmp/dropins-0.bash", text("0"))

    def is_read():
        host.run(f"rm -f {GO}")
        process = host.start(["ssictl", "add", "--replace", path], user="delegate", stdout=-1, stderr=-1)
        wait_until(lambda: is_thinking(host) or process.poll() is not None)
        thought = process.poll() is None
        host.write(GO, "")
        process.communicate(timeout=60)
        return thought

    wait_until(is_read, timeout=30, what="polkit has read the rule")
    yield host
    allow(host, delegate=(MANAGE, RUN), chief=(MANAGE, RUN, PRIVILEGED))


class Questions:
    """What polkit is asked: (action, its own question or None) of each."""

    def __init__(self, host):
        self.bus = Bus(host)
        self.bus.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus.Monitoring", "BecomeMonitor", "asu",
                      ["type='method_call',member='CheckAuthorization'"], 0)

    def so_far(self):
        """The last question was asked long before."""
        found = []
        self.bus.socket.settimeout(2)
        with self.bus, contextlib.suppress(TimeoutError):
            while True:
                _, fields, values = self.bus.message()
                if fields.get(MEMBER) == "CheckAuthorization":
                    found.append((values[1], values[2].get("polkit.message")))
        return found


def meanwhile(host, command, user, change):
    """Has it asked, changes something before the answer, and gives what came of it."""
    host.run(f"rm -f {GO}")
    process = host.start(command, user=user, stdout=-1, stderr=-1)
    wait_until(lambda: is_thinking(host))
    change()
    host.write(GO, "")
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.mark.parametrize("reload", [True, False])
@pytest.mark.parametrize("verb", ["add", "run", "enable", "test"])
def test_a_drop_in_that_comes_while_polkit_waits(thinking, verb, reload):
    host = thinking
    path = host.write("/tmp/dropins-wait.bash", text("wait"))
    command = {"add": ["ssictl", "add", "--replace", "--run", path], "run": ["ssictl", "run", SLUG], "enable": ["ssictl", "enable", SLUG],
               "test": ["ssictl", "test", path]}[verb]
    if verb == "enable":
        host.run(["ssictl", "disable", SLUG])
    before, lines = files(host), host.lines(SLUG)
    # For all services, as a test's unit has a name of its own.
    dropin = f"{ETC}/{NAMES[4]}/x.conf"

    def change():
        host.write(dropin, WIDER)
        if reload:
            host.run("systemctl daemon-reload")

    denied(meanwhile(host, command, "delegate", change), f"{dropin} sets SupplementaryGroups=")
    host.run(f"rm -r {ETC}/{NAMES[4]}")
    assert files(host) == before and host.lines(SLUG) == lines


def test_what_is_asked_instead(thinking):
    """Somebody who may is asked for that, too, and told why; again when the reason changes."""
    host = thinking
    path = host.write("/tmp/dropins-wait.bash", text("asked"))
    dropin, questions = f"{ETC}/{NAMES[0]}/x.conf", Questions(host)
    r = meanwhile(host, ["ssictl", "add", "--replace", path], "chief", lambda: host.write(dropin, WIDER))
    assert r.returncode == 0, r
    (first, nothing), (second, why) = questions.so_far()
    assert (first, second, nothing) == (MANAGE, PRIVILEGED, None) and f"{dropin} sets SupplementaryGroups=" in why, why
    assert "adm" in message(host)
    questions = Questions(host)
    r = meanwhile(host, ["ssictl", "run", SLUG], "chief", lambda: host.write(dropin, "[Service]\nGroup=adm\n"))
    assert r.returncode == 0, r
    asked = questions.so_far()
    assert [a for a, _ in asked] == [PRIVILEGED, PRIVILEGED], asked
    assert ["SupplementaryGroups=" in asked[0][1], f"{dropin} sets Group=" in asked[1][1]] == [True, True], asked


def test_a_drop_in_that_comes_while_a_script_is_checked(host):
    """The right to have it tested has been granted by then, and systemd reads drop-ins when the unit is made."""
    path, program, hold = host.write("/tmp/dropins-checked.bash", text("checked")), "/usr/bin/systemd-analyze", "/run/dropins-hold"
    dropin = f"/run/systemd/system/{NAMES[4]}/x.conf"
    host.run(f"mv {program} {program}.own; touch {hold}")
    try:
        host.write(program, f'#!/bin/sh\nwhile [ -e {hold} ]; do sleep 0.1; done\nexec {program}.own "$@"\n', mode="0755")
        process = host.start(["ssictl", "test", path], user="delegate", stdout=-1, stderr=-1)
        wait_until(lambda: host.run(["pgrep", "-f", f"sh {program}"], check=False).returncode == 0)
        host.write(dropin, WIDER)
        host.run(f"rm {hold}")
        out, err = process.communicate(timeout=120)
    finally:
        host.run(f"rm -f {hold}; mv {program}.own {program}")
    denied(subprocess.CompletedProcess("test", process.returncode, out, err), f"{dropin} sets SupplementaryGroups=")
