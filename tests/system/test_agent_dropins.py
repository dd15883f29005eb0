# SPDX-License-Identifier: LGPL-2.1-or-later
"""What drop-ins let a service do, somebody who may only manage and run services cannot have done by a script of theirs."""
import pytest

from hosts import prints, script, wait_until

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


def allow(host, **actions):
    """allow(host, delegate=(MANAGE, RUN), …)"""
    rules = "".join(f'if (subject.user == "{user}" && {list(names)}.indexOf(action.id) >= 0) return polkit.Result.YES;\n'
                    for user, names in actions.items())
    host.write(RULES, f"polkit.addRule(function(action, subject) {{\n{rules}}});\n")


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
    return host.run(f"cat /usr/local/bin/ssi/{SLUG} {ETC}/ssi-{SLUG}.*; ls -l /usr/local/bin/ssi {ETC}; ls -l {ETC}/timers.target.wants").stdout


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
