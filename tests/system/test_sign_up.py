# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may make an account: before and after the setup, with ssictl and on the bus; invitations of the administrator."""

import http.client
import json
import secrets
import ssl

import pytest

from hosts import Account, wait_until

PASSWORD = "correct horse battery"
CONF = "/etc/ssi/serverd.conf"


def ctl(host, *args, **kwargs):
    return host.run(["ssictl", "server", *args], **kwargs)


def ctl_json(host, *args, **kwargs):
    return json.loads(host.run(["ssictl", "--json", "server", *args], **kwargs).stdout)


def call(host, member, signature="", *args, **kwargs):
    return host.run(["busctl", "--json=short", "call", "org.ssi.Server1", "/org/ssi/Server1", "org.ssi.Server1", member,
                     f"{signature}a{{sv}}", *args, "0"], **kwargs)


def mode(host):
    return json.loads(host.run(["busctl", "--json=short", "get-property", "org.ssi.Server1", "/org/ssi/Server1",
                                "org.ssi.Server1", "SignUp"]).stdout)["data"]


def register(host, email=None, **more):
    status, answer = host.request("POST", "/api/v1/users/register",
                                  {"email": email or f"n-{secrets.token_hex(4)}@example.org", "password": PASSWORD, **more})
    return status, answer["type"].rpartition(":")[2] if status >= 400 else None


def register_from_outside(host, address):
    """To another of the host's addresses: what comes does not come over the loopback."""
    c = http.client.HTTPSConnection(address, 8443, context=ssl._create_unverified_context())  # the name is not the matter here
    c.sock = c._context.wrap_socket(host.connect(8443, address), server_hostname=address)
    c.request("POST", "/api/v1/users/register", json.dumps({"email": "out@example.org", "password": PASSWORD}),
              {"Content-Type": "application/json"})
    r = c.getresponse()
    answer = json.loads(r.read())
    c.close()
    return r.status, answer["type"].rpartition(":")[2] if r.status >= 400 else None


def token_of(link):
    return link.partition("/signup#invitation=")[2]


@pytest.fixture(scope="module")
def host(boot_for_module):
    return boot_for_module("--server")


def test_before_the_setup(host):
    """First: nothing is set."""
    assert mode(host) == "" and "not set up" in ctl(host, "sign-up").stdout
    assert ctl_json(host, "sign-up") == {"sign_up": None}
    host.run("ip link add out type veth peer name out1 && ip address add 192.0.2.77/24 dev out && ip link set out up")
    assert register_from_outside(host, "192.0.2.77") == (403, "sign-up-closed")
    Account(host).login()


def test_the_setup_closes_it(host):
    """Also where there are accounts already."""
    with host.terminal(["ssictl", "server", "setup"]) as t:
        t.expect("Who may create an account")
        t.expect("Sign-up [closed]: ")
        t.send("ajar\n")
        t.expect("Type closed, invite or open.")
        t.send("\n")
        assert t.finish() == 0
        assert "Sign-up: closed" in t.text
    assert mode(host) == "closed" and register(host) == (403, "sign-up-closed")
    # It does not ask again, and changes nothing.
    ctl(host, "sign-up", "invite")
    assert "Sign-up: invite" in ctl(host, "setup").stdout
    assert mode(host) == "invite" and register(host) == (403, "invitation-needed")
    # Unless it is told to.
    assert "Sign-up: closed" in ctl(host, "setup", "--sign-up=closed").stdout
    assert mode(host) == "closed"


def test_show_and_set(host):
    for name, answer in (("open", (201, None)), ("invite", (403, "invitation-needed")), ("closed", (403, "sign-up-closed"))):
        ctl(host, "sign-up", name)
        assert mode(host) == name and ctl_json(host, "sign-up") == {"sign_up": name}
        assert register(host) == answer
    r = ctl(host, "sign-up", "ajar", check=False)
    assert r.returncode == 2 and "closed, invite or open" in r.stderr
    assert ctl(host, "setup", "--sign-up=ajar", check=False).returncode == 2
    assert ctl(host, "users", "--sign-up=open", check=False).returncode == 2
    r = call(host, "SetSignUp", "s", "ajar", check=False)
    assert r.returncode != 0 and "closed" in r.stderr


def test_the_configuration_overrides(host):
    assert host.run(["test", "-e", CONF], check=False).returncode == 1
    host.write(CONF, "SSI_SIGN_UP=open\n")
    try:
        host.run("systemctl restart ssi-serverd.service")
        wait_until(lambda: mode(host) == "open", timeout=30)
        assert register(host)[0] == 201
        r = ctl(host, "sign-up", "closed", check=False)
        assert r.returncode == 1 and "SSI_SIGN_UP=open" in r.stderr and "restart" in r.stderr
        r = call(host, "SetSignUp", "s", "closed", check=False)
        assert "SSI_SIGN_UP=open" in r.stderr
    finally:
        host.run(["rm", CONF])
        host.run("systemctl restart ssi-serverd.service")
    wait_until(lambda: mode(host) == "closed", timeout=30)


def test_invitations(host):
    ctl(host, "sign-up", "closed")
    r = ctl(host, "invite", "--expires=12h")
    link = r.stdout.strip()
    assert link.startswith("https://") and "/signup#invitation=ssi_invite_" in link and "Anyone" in r.stderr
    bound = ctl_json(host, "invite", "bob@example.org")
    assert bound["mailed"] is False and bound["email"] == "bob@example.org" and bound["link"].endswith(bound["token"])
    short = ctl_json(host, "invite", "--expires=1h 30min")
    assert short["email"] is None and short["expires"] < bound["expires"]
    assert next(i for i in ctl_json(host, "invitations") if i["id"] == short["id"])["expires"][:19] == short["expires"][:19]
    ctl(host, "withdraw-invitation", short["id"])
    assert "No mail was sent" in ctl(host, "invite", "carol@example.org").stderr
    rows = ctl_json(host, "invitations")
    assert [row["email"] for row in rows] == [None, "bob@example.org", "carol@example.org"]
    assert rows[0]["invited_by"] is None and rows[0]["expires"] < rows[1]["expires"]
    assert "carol@example.org" in ctl(host, "invitations").stdout

    assert register(host, invitation=token_of(bound["link"])) == (400, "bad-invitation")
    assert register(host, "bob@example.org", invitation=token_of(bound["link"])) == (201, None)
    assert register(host, "bob2@example.org", invitation=token_of(bound["link"])) == (400, "bad-invitation")
    r = ctl(host, "invite", "Bob@example.org", check=False)
    assert r.returncode == 1 and "Bob@example.org has an account already" in r.stderr and r.stdout == ""
    assert register(host, invitation=token_of(link)) == (201, None)

    left, = ctl_json(host, "invitations")
    ctl(host, "withdraw-invitation", left["id"])
    r = ctl(host, "withdraw-invitation", left["id"], check=False)
    assert r.returncode == 4 and "ssictl server invitations" in r.stderr
    assert "no invitations" in ctl(host, "invitations").stdout

    for args, word in ((["--expires=soon"], "time span"), (["--expires=31d"], "30 days"), (["--expires=0h"], "time span"),
                       (["nobody"], "e-mail address")):
        r = ctl(host, "invite", *args, check=False)
        assert r.returncode != 0 and word in r.stderr, args


def test_an_accounts_invitation_on_the_bus(host):
    """The administrator sees and withdraws those of accounts, too."""
    ctl(host, "sign-up", "open")
    account = Account(host)
    ctl(host, "sign-up", "invite")
    status, made = account.request("POST", "/api/v1/invitations", {"email": "dave@example.org"})
    assert status == 201
    listed = json.loads(call(host, "ListInvitations").stdout)["data"][0]
    assert [row[:3] for row in listed] == [[made["id"], "dave@example.org", account.email]]
    call(host, "RemoveInvitation", "s", made["id"])
    assert register(host, "dave@example.org", invitation=made["token"]) == (400, "bad-invitation")
    invitation, token, expires, mailed = json.loads(call(host, "CreateInvitation", "s", "").stdout)["data"]
    assert invitation.startswith("inv-") and not mailed
    assert register(host, invitation=token) == (201, None)


def test_an_unprivileged_user(host):
    alice = host.add_user("alice")
    for args in (["sign-up", "open"], ["invite"], ["invitations"], ["withdraw-invitation", "x"]):
        r = ctl(host, *args, user=alice, check=False)
        assert r.returncode == 5 and r.stdout == "", args
    assert mode(host) in ctl(host, "sign-up", user=alice).stdout
