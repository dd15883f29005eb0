# SPDX-License-Identifier: LGPL-2.1-or-later
"""The audit log on a real host: what administrators do over the bus, the journal's fields, "ssictl server audit", and a restore."""
import json
import secrets

import pytest

from hosts import Account, wait_until
from test_introspection import live

# The methods of org.ssi.Server1 that change something, and the event of each. Those of hosts that join are tried in test_server_join.py.
METHODS = {"AddUser": "account.made", "SetPassword": "password.changed", "SetEmail": "email.set", "RemoveUser": "account.removed", "AddServer": "server.registered",
           "CreateClaimToken": "server.new-claim-token", "RemoveServer": "server.removed", "Backup": "backup.started", "Restore": "restore.done",
           "GrantAdministration": "administrator.granted", "RevokeAdministration": "administrator.revoked", "LockUser": "account.locked",
           "UnlockUser": "account.unlocked", "Announce": "announcement.made", "WithdrawAnnouncement": "announcement.withdrawn", "MailPasswordReset": "mail.asked",
           "SetSignUp": "sign-up.changed", "SetQuota": "quota.changed", "CreateInvitation": "invitation.made",
           "RemoveInvitation": "invitation.withdrawn", "KeepHost": "server.host-kept", "CreateJoinToken": "instance.token-made",
           "RemoveJoinToken": "instance.token-withdrawn", "Join": "instance.joined", "Leave": "instance.left", "RemoveHost": "instance.removed"}
FILE = "/root/audit.backup"
PASSWORD, OTHER = secrets.token_urlsafe(12), secrets.token_urlsafe(12)


@pytest.fixture(scope="module")
def backend(boot_for_module):
    return boot_for_module("--server")


def ctl(host, *args, **kwargs):
    return host.run(["ssictl", "server", *args], **kwargs)


def audit(host, *args, **kwargs):
    return json.loads(host.run(["ssictl", "--json", "server", "audit", *args], **kwargs).stdout)


def newest(host):
    return int((audit(host, "-n1") or [{"id": 0}])[0]["id"])


def since(host, entry):
    return [e for e in audit(host, "--since=1h") if int(e["id"]) > entry]


def journal(host, **fields):
    out = host.run(["journalctl", "-q", "-u", "ssi-serverd", "-o", "json", *(f"{k}={v}" for k, v in fields.items())]).stdout
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.expect_error(r"FATAL: .*(connection to client lost|terminating connection)")
def test_every_method_that_changes_something(backend):
    methods = {name for kind, name in ((key[0], key[1]) for key in members(backend)) if kind == "method"}
    assert {m for m in methods if not m.startswith("List") and m != "Check"} == METHODS.keys()

    def entry(event, *args, **kwargs):
        before = newest(backend)
        out = ctl(backend, *args, **kwargs).stdout
        [e] = since(backend, before)
        assert (e["event"], e["actor"], e["address"], e["method"], e["outcome"]) == (event, "uid 0", "bus", "bus", "done")
        return e, out

    assert ctl(backend, "audit").stdout == "The audit log has no entries yet.\n"
    email = "audit@example.org"
    made, _ = entry("account.made", "add-user", email, input=PASSWORD + "\n")
    assert made["email"] == email and made["account"].startswith("usr-")
    assert entry("password.changed", "passwd", email, input=OTHER + "\n")[0]["account"] == made["account"]
    moved, _ = entry("email.set", "set-email", email, "moved@example.org")
    assert (moved["account"], moved["email"], moved["name"]) == (made["account"], "moved@example.org", email)
    entry("email.set", "set-email", "moved@example.org", email)
    # Two, because the last one stays.
    ctl(backend, "add-user", "root@example.org", input=PASSWORD + "\n")
    ctl(backend, "grant-admin", "root@example.org")
    assert entry("administrator.granted", "grant-admin", email)[0]["account"] == made["account"]
    assert entry("account.locked", "lock", email)[0]["account"] == made["account"]
    r = ctl(backend, "lock", "root@example.org", check=False)
    assert r.returncode == 1 and "last administrator" in r.stderr
    assert entry("account.unlocked", "unlock", email)[0]["account"] == made["account"]
    assert entry("administrator.revoked", "revoke-admin", email)[0]["account"] == made["account"]
    r = ctl(backend, "revoke-admin", "root@example.org", check=False)
    assert r.returncode == 1 and "last administrator" in r.stderr
    r = ctl(backend, "reset-password", email, check=False)
    assert r.returncode == 1 and "sends no mail" in r.stderr
    ctl(backend, "remove-user", "root@example.org")
    server, _ = entry("server.registered", "add-server", "web", f"--user={email}")
    assert (server["account"], server["name"]) == (made["account"], "web")
    assert entry("server.new-claim-token", "token", "web")[0]["object"] == server["object"]
    assert backend.sql("UPDATE servers SET duplicate_since = now(), duplicate_boot_id = 'b', boot_id = 'a', hostname = 'web-1',"
                       f" duplicate_hostname = 'web-2' WHERE public_id = '{server['object']}' RETURNING 1")
    [row] = json.loads(backend.run(["ssictl", "--json", "server", "duplicates"]).stdout)
    assert (row["id"], row["name"], row["user"], row["accepted"], row["refused"]) == (server["object"], "web", email, "web-1", "web-2")
    assert row["since"].endswith("Z") and "web-2" in ctl(backend, "duplicates").stdout
    assert ctl(backend, "keep-host", "web", "both", check=False).returncode == 2
    kept, _ = entry("server.host-kept", "keep-host", "web", "accepted")
    assert (kept["object"], kept["name"]) == (server["object"], "web: the accepted host, web-1")
    r = ctl(backend, "keep-host", "web", check=False)
    assert r.returncode == 2 and "SERVER accepted|refused" in r.stderr
    r = ctl(backend, "keep-host", "web", "accepted", check=False)
    assert r.returncode == 1 and "No two hosts" in r.stderr
    assert "No two hosts" in ctl(backend, "duplicates").stdout
    assert entry("server.removed", "remove-server", "web")[0]["object"] == server["object"]
    assert entry("quota.changed", "quota", email, "servers=7")[0]["name"] == "7"
    assert entry("quota.changed", "quota", email, "results=6000:60000")[0]["name"] == "6000:60000"
    assert entry("quota.changed", "quota", email, "servers=default")[0]["account"] == made["account"]
    assert entry("sign-up.changed", "sign-up", "open")[0]["name"] == "open"
    invitation, _ = entry("invitation.made", "invite", "other@example.org")
    assert entry("invitation.withdrawn", "withdraw-invitation", invitation["object"])[0]["name"] == "other@example.org"
    announced, out = entry("announcement.made", "announce", "Work tonight", "--expires=2h")
    assert announced["name"] == "Work tonight" and announced["object"] in out
    assert "Work tonight" in ctl(backend, "announcements").stdout
    assert entry("announcement.withdrawn", "withdraw-announcement", announced["object"])[0]["object"] == announced["object"]
    assert "Nothing is announced" in ctl(backend, "announcements").stdout
    assert ctl(backend, "withdraw-announcement", announced["object"], check=False).returncode == 4
    for text in ("", "a\nb", "x" * 501):
        assert ctl(backend, "announce", text, check=False).returncode == 1
    assert ctl(backend, "announce", "x", "--expires=2y", check=False).returncode == 1
    entry("backup.started", "backup", FILE)
    assert entry("account.removed", "remove-user", email)[0]["account"] == made["account"]

    # A restore brings the account back, and hides nothing of what was done since the backup.
    before = audit(backend, "--since=1h")
    ctl(backend, "restore", FILE)
    assert email in ctl(backend, "users").stdout
    wait_until(lambda: audit(backend, "-n1")[0]["event"] == "restore.done")
    after = audit(backend, "--since=1h")
    assert after[0]["actor"] == "uid 0"
    assert [(e["event"], e["at"], e["object"]) for e in after[1:]] == [(e["event"], e["at"], e["object"]) for e in before]
    ctl(backend, "remove-user", email)


def members(host):
    return live(host, "org.ssi.Server1", "/org/ssi/Server1")["org.ssi.Server1"]


def test_the_journal_has_fields(backend):
    account = Account(backend)
    me = account.get("/api/v1/users/me")["id"]
    wait_until(lambda: journal(backend, SSI_AUDIT="login", SSI_AUDIT_ACCOUNT=me))
    entry = journal(backend, SSI_AUDIT="login", SSI_AUDIT_ACCOUNT=me)[-1]
    assert entry["SSI_AUDIT_METHOD"] == "password" and entry["SSI_AUDIT_OUTCOME"] == "done" and entry["SSI_AUDIT_ADDRESS"]
    assert entry["SSI_AUDIT_EMAIL"] == account.email and entry["SSI_AUDIT_OBJECT"].startswith("ses-") and entry["SSI_REQUEST_ID"]
    assert entry["_SYSTEMD_UNIT"] == "ssi-serverd.service"
    assert len({e["MESSAGE_ID"] for e in journal(backend, SSI_AUDIT_OUTCOME="done")}) == 1

    wrong = secrets.token_urlsafe(12)
    assert backend.request("POST", "/api/v1/users/login", {"email": account.email, "password": wrong})[0] == 401
    wait_until(lambda: journal(backend, SSI_AUDIT="login.refused", SSI_AUDIT_ACCOUNT=me))
    # As address that stands for itself, not as a network of one.
    [address] = {e["address"] for e in audit(backend, "--event=login.refused", f"--account={me}")}
    line = ctl(backend, "audit", "--event=login.refused", f"--account={me}").stdout
    assert address.endswith("/32") and f" from {address.removesuffix('/32')}, " in line and "/32" not in line
    text = backend.run("journalctl -q -o export").stdout
    for secret in (wrong, account.password, PASSWORD, OTHER):
        assert secret not in text


def test_who_is_refused_on_the_bus(backend):
    alice = backend.add_user("alice")
    uid = backend.run(["id", "-u", alice]).stdout.strip()
    for _ in range(3):
        assert ctl(backend, "users", user=alice, check=False).returncode == 5
    assert ctl(backend, "audit", user=alice, check=False).returncode == 5
    wait_until(lambda: audit(backend, f"--account=uid {uid}"))
    entry = audit(backend, f"--account=uid {uid}")[0]
    assert (entry["event"], entry["outcome"], entry["address"], entry["account"]) == ("administration.refused", "refused", "bus", None)


def test_filters(backend):
    account = Account(backend)
    wait_until(lambda: audit(backend, f"--account={account.email}"))
    found = audit(backend, f"--account={account.email.upper()}", "--event=account")
    assert [e["event"] for e in found] == ["account.made"]
    assert audit(backend, f"--account={found[0]['account']}", "--event=account.made") == found
    assert audit(backend, f"--account={account.email}", "--until=1d") == []
    for span in ("2h 30min", "1w", "1M", "7200"):
        assert audit(backend, f"--account={account.email}", f"--since={span}", "--event=account") == found
    assert audit(backend, f"--account={account.email}", "--since=2001-02-03", "--event=account") == found
    assert audit(backend, f"--account={account.email}", f"--since={found[0]['at']}", "--event=account") == found
    assert len(audit(backend, "-n", "2")) == 2
    text = ctl(backend, "audit", f"--account={account.email}", "--event=account").stdout
    assert "account.made" in text and account.email in text
    assert "no such entry" in ctl(backend, "audit", "--event=nothing").stdout
    for args, word in ((["audit", "--since=yesterday"], "--since takes"), (["users", "--event=login"], "--event"), (["users", "-n1"], "--lines")):
        r = ctl(backend, *args, check=False)
        assert r.returncode == 2 and word in r.stderr, args
    for options in (["a{sv}", "1", "limit", "u", "0"], ["a{sv}", "1", "limit", "u", "501"], ["a{sv}", "1", "nonsense", "s", "x"],
                    ["a{sv}", "1", "since", "s", "x"]):
        r = backend.run(["busctl", "call", "org.ssi.Server1", "/org/ssi/Server1", "org.ssi.Server1", "ListAudit", *options], check=False)
        assert r.returncode == 1 and r.stderr, options


def test_pages(backend):
    """More than one answer holds."""
    backend.sql("INSERT INTO audit_log (event, address, account) SELECT 'paged', '::1', i FROM generate_series(1, 1200) i")
    assert [int(e["account"]) for e in audit(backend, "--event=paged", "--since=1h")] == list(range(1200, 0, -1))
    assert len(audit(backend, "--event=paged", "-n", "700")) == 700
    assert len(audit(backend, "--event=paged")) == 50
