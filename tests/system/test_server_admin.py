# SPDX-License-Identifier: LGPL-2.1-or-later
"""The administration of the backend: org.ssi.Server1, and "ssictl server"."""
import json
import secrets

import pytest

from hosts import Account, wait_until
from test_introspection import describe, live

import xml.etree.ElementTree as ET

RULES = "/etc/polkit-1/rules.d"
ACTION = "org.ssi.server1.administer"


@pytest.fixture(scope="module")
def backend(boot_for_module):
    """A host with the backend alone, that nobody has set up yet."""
    return boot_for_module("--server")


def ctl(host, *args, **kwargs):
    return host.run(["ssictl", "server", *args], **kwargs)


def ctl_json(host, *args, **kwargs):
    return json.loads(host.run(["ssictl", "--json", "server", *args], **kwargs).stdout)


def login(host, email, password):
    return host.request("POST", "/api/v1/users/login", {"email": email, "password": password})[0]


@pytest.fixture
def user(backend):
    email, password = f"u-{secrets.token_hex(4)}@example.org", secrets.token_urlsafe(12)
    ctl(backend, "add-user", email, input=password + "\n")
    yield email, password
    ctl(backend, "remove-user", email, check=False)


def test_setup_on_a_terminal(backend):
    """The first thing that anybody does with a backend."""
    assert "no accounts yet" in ctl(backend, "users").stdout
    with backend.terminal(["ssictl", "server", "setup"]) as t:
        t.expect("E-mail address of the first user: ")
        t.send("first@example.org\n")
        t.expect("Password: ")
        wait_until(lambda: not t.echoes())
        t.send("correct horse\n")
        t.expect("Once more: ")
        t.send("correct horse\n")
        t.expect("Sign-up [closed]: ")
        t.send("open\n")
        assert t.finish() == 0
        assert "correct horse" not in t.text
        assert "https://" in t.text and "ssictl server add-server" in t.text
    assert login(backend, "first@example.org", "correct horse") == 200
    assert "set up already" in ctl(backend, "setup").stdout
    assert "set up already" in ctl(backend, "setup", "First@example.org").stdout
    r = ctl(backend, "setup", "second@example.org", input="correct horse\n", check=False)
    assert "set up already" in r.stdout and "ssictl server add-user second@example.org" in r.stderr
    # The first account is an administrator. Where there is none, as after an upgrade, the setup makes one, if it is told whom.
    [first] = ctl_json(backend, "users", "FIRST@")
    assert first["administrator"] and first["confirmed"] and first["locked"] is None and first["seen"].endswith("Z")
    assert "administrator" in ctl(backend, "users").stdout
    assert ctl_json(backend, "users", "nobody-has-this") == [] and "No account" in ctl(backend, "users", "nobody-has-this").stdout
    assert "last administrator" in ctl(backend, "revoke-admin", "first@example.org", check=False).stderr
    backend.sql("UPDATE users SET administrator = false")
    assert "ssictl server grant-admin" in ctl(backend, "setup").stderr
    assert not ctl_json(backend, "users", first["id"])[0]["administrator"]
    assert "grant-admin" not in ctl(backend, "setup", "First@example.org").stderr
    assert ctl_json(backend, "users", first["id"])[0]["administrator"]
    assert ctl(backend, "grant-admin", "nobody@example.org", check=False).returncode == 4
    ctl(backend, "remove-user", "first@example.org")


def test_two_passwords_that_differ(backend):
    with backend.terminal(["ssictl", "server", "add-user", "typo@example.org"]) as t:
        t.expect("Password: ")
        t.send("correct horse\n")
        t.expect("Once more: ")
        t.send("correct hearse\n")
        assert t.finish() == 1
        assert "do not match" in t.text
    assert all(u["email"] != "typo@example.org" for u in ctl_json(backend, "users"))


@pytest.mark.parametrize("verb, who, code, words", [
    ("add-user", "nobody", 1, "valid e-mail address"), ("add-user", "TAKEN", 1, "already exists"), ("passwd", "nobody@example.org", 4, "does not exist"),
])
def test_no_password_is_asked_for_in_vain(backend, user, verb, who, code, words):
    with backend.terminal(["ssictl", "server", verb, user[0].upper() if who == "TAKEN" else who]) as t:
        assert t.finish() == code
        assert words in t.text and "Password" not in t.text


@pytest.mark.parametrize("url, ca, words", [
    ("http://backend.example.org", None, "requires https://"), ("ssi.example.org", None, "looks like https://"),
    ("https://ssi.example.org", "/nowhere", "Cannot open /nowhere"),
])
def test_no_token_is_asked_for_in_vain(backend, url, ca, words):
    with backend.terminal(["ssictl", "register", url, *([f"--ca={ca}"] if ca else [])]) as t:
        assert t.finish() == 1
        assert words in t.text and "Token" not in t.text


def test_what_cannot_be_undone_is_confirmed(backend, user):
    email = user[0]
    backend.run("touch /tmp/empty.backup")

    def there():
        return any(u["email"] == email for u in ctl_json(backend, "users")), any(s["name"] == "kept" for s in ctl_json(backend, "list"))

    ctl(backend, "add-server", "kept", f"--user={email}")
    for args, question in ((["remove-user", email], f"Remove the account {email}"), (["remove-server", "kept"], "Remove the server kept"),
                           (["restore", "/tmp/empty.backup"], "Replace everything")):
        for answer in ("n\n", "\n", "nonsense\n"):
            with backend.terminal(["ssictl", "server", *args]) as t:
                t.expect("[y/N] ")
                t.send(answer)
                assert t.finish() == 1
                assert question in t.text and "Nothing was changed" in t.text
    assert there() == (True, True)
    with backend.terminal(["ssictl", "server", "remove-server", "kept"]) as t:
        t.expect("[y/N] ")
        t.send("y\n")
        assert t.finish() == 0
    assert there() == (True, False)
    with backend.terminal(["ssictl", "server", "remove-user", "-y", email]) as t:
        assert t.finish() == 0
        assert "[y/N]" not in t.text
    assert there() == (False, False)
    r = ctl(backend, "users", "--yes", check=False)
    assert r.returncode == 2 and "--yes" in r.stderr


def test_users(backend, user):
    email, password = user
    assert login(backend, email, password) == 200
    row = next(u for u in ctl_json(backend, "users") if u["email"] == email)
    assert row["id"].startswith("usr-") and row["servers"] == 0 and row["created"].endswith("Z")
    assert email in ctl(backend, "users").stdout

    r = ctl(backend, "add-user", email.upper(), input="another horse battery\n", check=False)
    assert r.returncode == 1 and "already" in r.stderr
    for bad, word in (("nobody", "address"), ("a@b c", "address")):
        r = ctl(backend, "add-user", bad, input="long enough\n", check=False)
        assert r.returncode == 1 and word in r.stderr
    r = ctl(backend, "add-user", "short@example.org", input="short\n", check=False)
    assert r.returncode == 1 and "at least 12 characters" in r.stderr


def test_a_changed_password_ends_sessions(backend, user):
    email, password = user
    _, tokens = backend.request("POST", "/api/v1/users/login", {"email": email, "password": password})
    ctl(backend, "passwd", email, input="another horse battery\n")
    assert login(backend, email, password) == 401
    assert login(backend, email, "another horse battery") == 200
    status, _ = backend.request("POST", "/api/v1/users/refresh", {"refresh_token": tokens["refresh_token"]})
    assert status == 401
    assert ctl(backend, "passwd", "usr-nobody", input="another horse battery\n", check=False).returncode == 4


def test_another_address(backend, user):
    email, password = user
    ctl(backend, "add-user", "other@example.org", input="correct horse\n")
    assert ctl(backend, "set-email", email, "nobody", check=False).returncode == 1
    r = ctl(backend, "set-email", email, "Other@example.org", check=False)
    assert r.returncode == 1 and "already exists" in r.stderr
    assert ctl(backend, "set-email", "usr-nobody", "moved@example.org", check=False).returncode == 4
    assert "moved@example.org" in ctl(backend, "set-email", email, "moved@example.org").stdout
    assert (login(backend, email, password), login(backend, "moved@example.org", password)) == (401, 200)
    for address in ("moved@example.org", "other@example.org"):
        ctl(backend, "remove-user", address)


def test_quotas(backend, user):
    email, password = user

    def quotas():
        return {q["name"]: q for q in ctl_json(backend, "quota", email)}

    def usage():
        tokens = backend.request("POST", "/api/v1/users/login", {"email": email, "password": password})[1]
        answer = backend.request("GET", "/api/v1/users/me/usage", token=tokens["access_token"])[1]
        return {q["name"]: q["limit"] for q in answer["quotas"]}

    before = quotas()
    assert before["servers"] == {"name": "servers", "used": 0, "limit": 5000, "burst": None, "own": False, "reached": None}
    assert before["results"]["used"] is None and before["results"]["burst"] == 2000000
    ctl(backend, "quota", email, "servers=1", "storage=2G", "results=60:600", "mails=unlimited")
    after = quotas()
    assert [(after[n]["limit"], after[n]["own"]) for n in ("servers", "storage", "results", "mails", "tokens")] == [
        (1, True), (2 << 30, True), (60, True), (None, True), (100, False)]
    assert usage()["servers"] == 1 and usage()["mails"] is None
    table = ctl(backend, "quota", email).stdout
    assert "2048M" in table and "60:600" in table and "unlimited" in table
    lines = {line.split()[0]: line.split()[1:5] for line in table.splitlines()}
    assert lines["QUOTA"] == ["USED", "LIMIT", "PER", "OWN"] and lines["results"] == ["-", "60:600", "minute", "yes"]
    assert lines["mails"][1:3] == ["unlimited", "day"] and lines["requests"][2] == "hour" and lines["servers"][2] == "-"

    ctl(backend, "add-server", "one", f"--user={email}")
    r = ctl(backend, "add-server", "two", f"--user={email}", check=False)
    assert r.returncode == 1 and "ssictl server quota USER servers=NUMBER" in r.stderr
    assert quotas()["servers"]["reached"] is not None and quotas()["tokens"]["reached"] is None

    for bad, code, words in ((["servers"], 2, "NAME=VALUE"), (["servers=many"], 1, "a number from 1"), (["servers=0"], 1, 'or "unlimited"'), (["speed=5"], 1, "no quota"),
                             (["recipient=5"], 1, "no quota"), (["storage=5X"], 1, "suffix"), (["results=5:"], 1, "burst")):
        r = ctl(backend, "quota", email, *bad, check=False)
        assert r.returncode == code and words in r.stderr, bad
    r = ctl(backend, "quota", email, "servers=2", "speed=5", check=False)
    assert r.returncode == 1 and 'What comes before "speed=5" was changed.' in r.stderr
    assert ctl(backend, "quota", "usr-nobody", check=False).returncode == 4
    assert ctl(backend, "quota", "usr-nobody", "servers=5", check=False).returncode == 4

    ctl(backend, "quota", email, *(f"{name}=default" for name in ("servers", "storage", "results", "mails")))
    assert {n: q["limit"] for n, q in quotas().items()} == {n: q["limit"] for n, q in before.items()}


def test_quotas_are_reloaded(backend, user):
    email, _ = user
    backend.run("mkdir -p /etc/ssi; echo SSI_QUOTA_TOKENS=7 >>/etc/ssi/serverd.conf; systemctl reload ssi-serverd")
    try:
        wait_until(lambda: {q["name"]: q["limit"] for q in ctl_json(backend, "quota", email)}["tokens"] == 7)
    finally:
        backend.run("sed -i /SSI_QUOTA_TOKENS/d /etc/ssi/serverd.conf; systemctl reload ssi-serverd")
    wait_until(lambda: {q["name"]: q["limit"] for q in ctl_json(backend, "quota", email)}["tokens"] == 100)


def test_secrets_stay_out_of_the_journal(backend, user):
    email, password = user
    token = ctl_json(backend, "add-server", "secretive", f"--user={email}")["claim_token"]
    backend.run("journalctl --sync")
    journal = backend.run("journalctl --no-pager -o export -b").stdout
    assert "ssi-serverd" in journal
    assert password not in journal and token not in journal


def test_servers(backend, user):
    email, _ = user
    added = ctl_json(backend, "add-server", "db-01", f"--user={email}", "--label=prod", "--label=with space")
    assert added["command"].startswith("ssictl register --ca=ca.pem https://")
    assert added["command"].endswith(" - <<<" + added["claim_token"])
    assert added["expires"].endswith("Z")
    row = next(s for s in ctl_json(backend, "list") if s["id"] == added["server"])
    assert row == {"id": added["server"], "name": "db-01", "user": email, "state": "pending", "last_seen": None,
                   "services": 0, "labels": ["prod", "with space"], "agent_version": None, "agent_outdated": False}
    # What the agent would say.
    for version, shown in (("0.0.9", "0.0.9 (outdated)"), ("99.0.0", "99.0.0")):
        backend.sql(f"UPDATE servers SET agent_version = '{version}' WHERE public_id = '{added['server']}'")
        row = next(s for s in ctl_json(backend, "list") if s["id"] == added["server"])
        assert (row["agent_version"], row["agent_outdated"]) == (version, "outdated" in shown)
        line = next(line for line in ctl(backend, "list").stdout.splitlines() if added["server"] in line)
        assert f" {shown} " in line and ("outdated" in line) == row["agent_outdated"]

    status, claim = backend.request("POST", "/api/v1/agents/claim", {"claim_token": added["claim_token"]})
    assert status == 200 and claim["server_name"] == "db-01"
    # A host that lost its registration is given another one.
    again = ctl_json(backend, "token", "db-01")
    status, second = backend.request("POST", "/api/v1/agents/claim", {"claim_token": again["claim_token"]})
    assert status == 200 and second["agent_id"] == claim["agent_id"] and second["api_key"] != claim["api_key"]

    twin = ctl_json(backend, "add-server", "db-01", f"--user={email}")
    r = ctl(backend, "remove-server", "db-01", check=False)
    assert r.returncode == 4 and "not unique" in r.stderr
    ctl(backend, "remove-server", twin["server"])
    ctl(backend, "remove-server", "db-01")
    assert all(s["user"] != email for s in ctl_json(backend, "list"))


def test_the_printed_line_is_all_that_a_host_needs(boot):
    """Headless: an account, a server and a registered agent without a browser."""
    host = boot("--agent", "--server")
    ctl(host, "setup", "admin@example.org", input="correct horse\n")
    r = ctl(host, "add-server", "here")
    line = r.stdout.strip()
    assert "\n" not in line and "/var/lib/ssi-server/tls/ca.pem" in r.stderr
    host.run(f"cd /var/lib/ssi-server/tls && {line}")
    wait_until(lambda: ctl_json(host, "list")[0]["state"] == "online")
    wait_until(lambda: ctl_json(host, "stats")["Sessions"] == 1, timeout=15)
    # An account that goes takes its servers along, and their agents hear it.
    ctl(host, "remove-user", "admin@example.org")
    wait_until(lambda: "unknown" in host.run(["ssictl", "uplink"], check=False).stdout or
               "removed" in host.run(["ssictl", "uplink"], check=False).stdout)
    assert host.sql("SELECT count(*) FROM servers") == [["0"]]


def test_stats(backend, user):
    ctl_json(backend, "add-server", "counted", f"--user={user[0]}")
    wait_until(lambda: ctl_json(backend, "stats")["Servers"] >= 1)
    stats = ctl_json(backend, "stats")
    assert stats["DatabaseReady"] is True and stats["Users"] >= 1 and stats["SchemaVersion"] >= 1
    assert stats["Sessions"] == 0 and stats["EventsPerSecond"] == 0
    assert stats["CAFile"] == "/var/lib/ssi-server/tls/ca.pem"
    wait_until(lambda: ctl_json(backend, "stats")["DatabaseBytes"] > 1000000)
    stats = ctl_json(backend, "stats")
    assert stats["HistoryBytes"] > 0 and stats["DiskFreeBytes"] > 1000000 and stats["TransactionAge"] > 0
    assert stats["ReadReplica"] == "" and stats["DeadRows"] >= 0 and stats["VacuumWaiting"] >= 0
    text = ctl(backend, "stats").stdout
    assert "DatabaseBytes: " in text and "B\n" in text
    assert "Version: " in text and "Users: " in text


def test_wrong_usage(backend):
    for args, word in (([], "ssictl server --help"), (["nothing"], "Unknown command"), (["add-user"], "Usage: ssictl server add-user EMAIL"),
                       (["users", "--label=x"], "--label"), (["stats", "--deep"], "--deep"),
                       (["list", "--user=x"], "--user")):
        r = ctl(backend, *args, check=False)
        assert r.returncode == 2 and word in r.stderr, args
    out = backend.run(["ssictl", "server", "--help"]).stdout
    assert "add-server NAME" in out and "--label" in out


def test_an_unprivileged_user(backend, user):
    alice = backend.add_user("alice")
    for args in (["users"], ["list"], ["add-user", "a@example.org"], ["passwd", user[0]], ["set-email", user[0], "b@example.org"], ["remove-user", user[0]], ["quota", user[0]], ["quota", user[0], "servers=9"],
                 ["grant-admin", user[0]], ["revoke-admin", user[0]], ["lock", user[0]], ["unlock", user[0]], ["reset-password", user[0]],
                 ["add-server", "x", f"--user={user[0]}"], ["token", "x"], ["remove-server", "x"],
                 ["check"]):
        r = ctl(backend, *args, user=alice, input="some password\n", check=False)
        assert r.returncode == 5 and ACTION in r.stderr, args
        assert r.stdout == ""
    assert login(backend, *user) == 200
    # The figures are open.
    assert ctl_json(backend, "stats", user=alice)["DatabaseReady"] is True
    backend.write(f"{RULES}/50-test.rules", f"""
polkit.addRule(function(action, subject) {{
        if (action.id == "{ACTION}" && subject.user == "{alice}")
                return polkit.Result.YES;
}});
""")
    try:
        wait_until(lambda: ctl(backend, "users", user=alice, check=False).returncode == 0)
        bob = backend.add_user("bob")
        assert ctl(backend, "users", user=bob, check=False).returncode == 5
    finally:
        backend.run(f"rm {RULES}/50-test.rules")


def test_the_installed_xml_is_the_live_one(backend):
    on_bus = live(backend, "org.ssi.Server1", "/org/ssi/Server1")["org.ssi.Server1"]
    installed = ET.fromstring(backend.run("cat /usr/share/dbus-1/interfaces/org.ssi.Server1.xml").stdout)
    assert describe(installed.find("interface")) == on_bus


def test_no_backend(agent):
    r = agent.run(["ssictl", "server", "users"], check=False)
    assert r.returncode == 1 and "systemctl enable --now ssi-serverd.socket" in r.stderr


def test_without_a_system_bus(boot):
    """As in a container: it serves all the same, and takes the bus when it comes."""
    host = boot()
    host.run("systemctl stop dbus.socket dbus.service || true; mv /run/dbus/system_bus_socket /run/dbus/elsewhere || true")
    host.run("systemctl start ssi-serverd.socket ssi-serverd.service")
    wait_until(lambda: host.request("GET", "/readyz")[0] == 200, timeout=30)
    account = Account(host)
    account.login()
