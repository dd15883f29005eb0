# SPDX-License-Identifier: LGPL-2.1-or-later
"""REST and D-Bus are two ways to ask for the same acts on accounts and servers: one table of cases, asked by both."""
import json
import secrets

import pytest

from hosts import Account, wait_until

LINE = "a name"
BAD_LINES = {"empty": "", "too long": "x" * 129, "a line break": "a\nb", "DEL": "a\x7f", "C1": "a\x85b", "a line separator": "a\u2028b",
             "a turn of direction": "a\u202eb", "an isolate": "a\u2066b", "a mark": "a\u200fb", "a zero-width space": "a\u200bb",
             "a word joiner": "a\u2060b", "a byte order mark": "\ufeffa", "an Arabic mark": "a\u061cb"}
BAD_EMAILS = {"empty": "", "no at": "nobody", "two ats": "a@b@c", "nobody": "@b", "nowhere": "a@", "a blank": "a b@c", "a line break": "a@b\nBcc: c",
              "brackets": "<a>@b.cc", "a list": "a;b@c.cc", "quotes": '"a"@b.cc', "C1": "a\x85@b", "too long": "a" * 250 + "@b.cc"}


@pytest.fixture(scope="module")
def backend(boot_for_module):
    host = boot_for_module("--server")
    # An account for each test is more than one network may register.
    host.write("/etc/ssi/serverd.conf", "SSI_RATE_LIMIT=0\n")
    host.run("systemctl restart ssi-serverd.service")
    wait_until(lambda: host.request("GET", "/readyz")[0] == 200, timeout=60)
    return host


@pytest.fixture
def account(backend):
    return Account(backend)


def bus(host, member, signature="", *args):
    """(name of the error or "", the answer's values)"""
    r = host.run(["busctl", "--json=short", "call", "org.ssi.Server1", "/org/ssi/Server1", "org.ssi.Server1", member, f"{signature}a{{sv}}",
                  *map(str, args), "0"], check=False)
    if r.returncode:
        return r.stderr.strip() or "failed", None
    return "", json.loads(r.stdout)["data"] if r.stdout.strip() else []


class Rest:
    def __init__(self, account):
        self.account, self.host = account, account.host

    def add_user(self, email, password):
        return self.host.request("POST", "/api/v1/users/register", {"email": email, "password": password})[0] == 201

    def add_server(self, name):
        status, answer = self.account.request("POST", "/api/v1/agents/register", {"server_name": name})
        return (answer["server_id"], answer["claim_token"]) if status == 201 else None

    def new_token(self, server):
        status, answer = self.account.request("POST", f"/api/v1/servers/{server}/claim-token")
        assert status == 201 and answer["server_id"] == server
        return answer["claim_token"]

    def set_password(self, password):
        status, _ = self.account.request("POST", "/api/v1/users/me/password", {"current_password": self.account.password, "new_password": password})
        return status == 204

    def remove_server(self, server):
        return self.account.request("DELETE", f"/api/v1/servers/{server}")[0] == 204

    def remove_user(self):
        return self.account.request("DELETE", "/api/v1/users/me", {"password": self.account.password})[0] == 204


class Bus(Rest):
    def add_user(self, email, password):
        return not bus(self.host, "AddUser", "ss", email, password)[0]

    def add_server(self, name):
        error, answer = bus(self.host, "AddServer", "ss", name, self.account.email)
        return None if error else (answer[0], answer[1])

    def new_token(self, server):
        error, answer = bus(self.host, "CreateClaimToken", "s", server)
        assert not error
        return answer[0]

    def set_password(self, password):
        return not bus(self.host, "SetPassword", "ss", self.account.email, password)[0]

    def remove_server(self, server):
        return not bus(self.host, "RemoveServer", "s", server)[0]

    def remove_user(self):
        return not bus(self.host, "RemoveUser", "s", self.account.email)[0]


FACES = {"REST": Rest, "D-Bus": Bus}


@pytest.fixture(params=FACES)
def face(request, account):
    return FACES[request.param](account)


def claims(host, token):
    return host.request("POST", "/api/v1/agents/claim", {"claim_token": token})[0] == 200


def other_session(account):
    """A session of another device's, with a stream that is open."""
    status, answer = account.host.request("POST", "/api/v1/users/login", {"email": account.email, "password": account.password})
    assert status == 200
    sock = account.host.connect(8080)
    sock.settimeout(10)
    sock.sendall(f"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {answer['access_token']}\r\n\r\n".encode())
    head = sock.recv(4096)
    assert b" 200 " in head, head
    return sock, answer["refresh_token"]


def has_ended(sock):
    try:
        while sock.recv(4096):
            pass
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("name", BAD_LINES.values(), ids=BAD_LINES)
def test_names_that_are_refused(face, name):
    assert face.add_server(name) is None


@pytest.mark.parametrize("email", BAD_EMAILS.values(), ids=BAD_EMAILS)
def test_addresses_that_are_refused(face, email):
    assert not face.add_user(email, "correct horse battery")


def test_passwords_have_a_length(face):
    mixed = secrets.token_urlsafe(800)
    for password, fits in ((mixed[:11], False), (mixed[:12], True), ("üäößéëïöáàâê", True), ("üäößéëïöáàâ", False), ("qx  jv  zk  w", False), (mixed[:1024], True), (mixed[:1025], False)):
        assert face.add_user(f"{secrets.token_hex(6)}@example.org", password) == fits, len(password)


@pytest.mark.parametrize("password", ["aaaaaaaaaaaa", "abcabcabcabc", "123456789012", "abcdefghijkl", "qwertyuiopas", "password1234", "P@ssw0rd1234",
                                      "iloveyou1234", "Summer2026!!", "x" * 1024, "{email}", "{email}1", "{name}{name}"])
def test_passwords_that_are_guessed_first(face, password):
    email = f"{secrets.token_hex(6)}@example.org"
    assert not face.add_user(email, password.format(email=email, name=email.split("@")[0]))
    assert face.add_user(email, "correct horse")


@pytest.mark.parametrize("password", ["aaaaaaaaaaaa", "password1234", "{email}"])
def test_new_passwords_that_are_guessed_first(account, face, password):
    assert not face.set_password(password.format(email=account.email))
    assert face.set_password("another horse battery")


def test_an_address_is_taken_once(backend, account, face):
    assert not face.add_user(account.email.upper(), "correct horse battery")
    assert Account(backend).email  # and others still are not


@pytest.mark.parametrize("first", FACES)
def test_only_the_newest_claim_token_buys_a_key(account, face, first):
    """Whichever way it and those before were made."""
    server, old = FACES[first](account).add_server(LINE)
    new = face.new_token(server)
    assert not claims(account.host, old)
    assert claims(account.host, new) and not claims(account.host, new)


def test_a_new_password_ends_the_other_sessions(account, face):
    sock, refresh = other_session(account)
    assert face.set_password("another horse battery")
    assert has_ended(sock)
    assert account.host.request("POST", "/api/v1/users/refresh", {"refresh_token": refresh})[0] == 401


def api_token(account):
    return account.request("POST", "/api/v1/api-tokens", {"name": "x", "scopes": ["read"]})[1]["token"]


def works(account, token):
    return account.host.request("GET", "/api/v1/users/me", token=token)[0] == 200


def test_the_administrators_password_withdraws_what_a_stranger_may_have_left(account):
    token = api_token(account)
    code = account.request("POST", "/api/v1/users/login-codes", {})[1]["code"]
    account.host.sql("INSERT INTO email_tokens (token_hash, user_id, purpose, email, expires_at) SELECT sha256(id::text::bytea), id, 'verify',"
                     f" 'stranger@example.org', now() + interval '1 h' FROM users WHERE email = '{account.email}'")
    assert works(account, token)
    assert Bus(account).set_password("another horse battery")
    assert not works(account, token)
    assert account.host.request("POST", "/api/v1/users/login-code", {"code": code})[0] == 401
    assert account.host.sql(f"SELECT count(*) FROM email_tokens t JOIN users u ON u.id = t.user_id WHERE u.email = '{account.email}'") == [["0"]]


def test_a_changed_password_keeps_api_tokens_unless_asked(account):
    token = api_token(account)
    code = account.request("POST", "/api/v1/users/login-codes", {})[1]["code"]
    assert Rest(account).set_password("another horse battery")
    assert works(account, token)
    assert account.host.request("POST", "/api/v1/users/login-code", {"code": code})[0] == 401
    change = {"current_password": "another horse battery", "new_password": "a third horse battery", "withdraw_tokens": True}
    assert account.request("POST", "/api/v1/users/me/password", change)[0] == 204
    assert not works(account, token)


def test_a_server_goes_with_its_stream(account, face):
    server, _ = face.add_server(LINE)
    sock, _ = other_session(account)
    assert face.remove_server(server)
    assert account.request("GET", f"/api/v1/servers/{server}")[0] == 404
    sock.settimeout(10)
    wait_until(lambda: server.encode() in sock.recv(65536))


def test_an_account_goes_with_all_that_it_has(backend, account, face):
    server, token = face.add_server(LINE)
    sock, refresh = other_session(account)
    assert face.remove_user()
    assert has_ended(sock)
    assert account.host.request("POST", "/api/v1/users/refresh", {"refresh_token": refresh})[0] == 401
    assert not claims(backend, token)
    assert backend.sql(f"SELECT count(*) FROM servers WHERE public_id = '{server}'") == [["0"]]


def test_an_account_holds_so_many_servers(backend, account, face):
    backend.sql(f"INSERT INTO servers (user_id, public_id, agent_id, name) SELECT u.id, 'srv-{account.email[5:13]}-' || i, 'agt-{account.email[5:13]}-' || i,"
                f" 'n' || i FROM users u, generate_series(1, 5000) i WHERE u.email = '{account.email}'")
    assert face.add_server(LINE) is None
