# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may change what."""
import pytest

from hosts import prints, script, wait_until

pytestmark = pytest.mark.essential

RULES = "/etc/polkit-1/rules.d"


@pytest.fixture
def alice(agent):
    user = agent.add_user("alice")
    agent.write("/tmp/of-alice.bash", script("Of Alice", prints("OK", "hello")))
    yield user
    agent.run(f"rm -f {RULES}/50-test.rules")
    agent.run(["ssictl", "remove", "of-alice"], check=False)


def allow(host, action, user):
    host.write(f"{RULES}/50-test.rules", f"""
polkit.addRule(function(action, subject) {{
        if (action.id == "{action}" && subject.user == "{user}")
                return polkit.Result.YES;
}});
""")


def exists(host, slug):
    return host.run(["test", "-e", f"/usr/local/bin/ssi/{slug}"], check=False).returncode == 0


def test_refused_with_a_clear_message(agent, alice):
    r = agent.run(["ssictl", "add", "/tmp/of-alice.bash"], user=alice, check=False)
    assert r.returncode == 5
    assert r.stdout == ""
    assert len(r.stderr.splitlines()) == 1
    assert "authorization" in r.stderr and "org.ssi.agent1.manage-services" in r.stderr
    assert not exists(agent, "of-alice")


def test_allowed_by_a_rule_that_names_the_user(agent, alice):
    agent.add_user("bob")
    allow(agent, "org.ssi.agent1.manage-services", alice)
    wait_until(lambda: agent.run(["ssictl", "add", "/tmp/of-alice.bash"], user=alice, check=False).returncode == 0)
    assert exists(agent, "of-alice")
    assert agent.run(["ssictl", "remove", "of-alice"], user="bob", check=False).returncode != 0
    assert exists(agent, "of-alice")
    agent.run(["ssictl", "remove", "of-alice"], user=alice)
    assert not exists(agent, "of-alice")


def test_the_rule_does_not_reach_to_privileged_scripts(agent, alice):
    allow(agent, "org.ssi.agent1.manage-services", alice)
    wait_until(lambda: agent.run(["ssictl", "add", "/tmp/of-alice.bash"], user=alice, check=False).returncode == 0)
    for key in ("user: root", "sandbox: off"):
        text = script("As Root", prints("OK", "x")).replace("# timeout:", f"# {key}\n# timeout:")
        agent.write("/tmp/as-root.bash", text)
        r = agent.run(["ssictl", "add", "/tmp/as-root.bash"], user=alice, check=False)
        assert r.returncode != 0, key
        assert not exists(agent, "as-root")


def test_reading_is_open(agent, alice, add):
    add(agent, script("Readable", prints("OK", "for all")))
    agent.run(["ssictl", "run", "readable"])
    wait_until(lambda: "for all" in agent.run(["ssictl", "status", "readable"], user=alice, check=False).stdout)
    assert "readable" in agent.run(["ssictl", "list"], user=alice).stdout
    assert agent.run(["ssictl", "validate", "/tmp/of-alice.bash"], user=alice).returncode == 0


@pytest.mark.parametrize("command", [
    ["ssictl", "remove", "guarded"], ["ssictl", "run", "guarded"],
    ["ssictl", "register", "https://localhost:8443", "token"],
])
def test_every_change_is_guarded(agent, alice, add, command):
    add(agent, script("Guarded", prints("OK", "x")))
    r = agent.run(command, user=alice, check=False)
    assert r.returncode != 0 and r.stderr
    assert exists(agent, "guarded")
    assert agent.lines("guarded") == []


def test_run_has_an_action_of_its_own(agent, alice, add):
    add(agent, script("Runnable", prints("OK", "ran")))
    allow(agent, "org.ssi.agent1.run-service", alice)
    wait_until(lambda: agent.run(["ssictl", "run", "runnable"], user=alice, check=False).returncode == 0)
    assert agent.run(["ssictl", "remove", "runnable"], user=alice, check=False).returncode != 0


def test_the_credentials_are_private(stack):
    user = stack.add_user("alice")
    listing = stack.run("find /var/lib/ssi-uplink /var/lib/ssi-server /var/lib/private/ssi-* -type f 2>/dev/null; true",
                        user=user).stdout.split()
    for path in listing:
        if not path.endswith(("ca.pem",)):
            assert stack.run(["cat", path], user=user, check=False).returncode != 0, path
    assert stack.run(["cat", "/var/lib/ssi-server/tls/ca.pem"], user=user).stdout.startswith("-----BEGIN CERTIFICATE")
