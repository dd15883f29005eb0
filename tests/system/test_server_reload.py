# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates and settings that are taken over while the backend runs, and what it serves in which role."""
import ssl

import pytest

from hosts import Account, wait_until

CONF = "/etc/ssi/serverd.conf"
DIR = "/etc/ssi/tls"


def make_certificate(host, name, where=DIR):
    host.run(f"mkdir -p {where} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90"
             f" -subj /CN={name} -keyout {where}/key.new -out {where}/cert.new 2>/dev/null && chown ssi-server {where}/*.new"
             f" && mv {where}/key.new {where}/key.pem && mv {where}/cert.new {where}/cert.pem")


@pytest.fixture(scope="module")
def backend(boot_for_module):
    host = boot_for_module()
    make_certificate(host, "first")
    host.write(CONF, f"# A comment\nSSI_TLS_CERT={DIR}/cert.pem\nSSI_TLS_KEY='{DIR}/key.pem'\n")
    host.run("systemctl start ssi-serverd.socket ssi-serverd.service")
    wait_until(lambda: host.request("GET", "/readyz")[0] == 200, timeout=60)
    return host


def tls(host):
    context = ssl._create_unverified_context()
    return context.wrap_socket(host.connect(8443))


def test_ciphers_of_tls_1_2(backend):
    def negotiate(ciphers):
        context = ssl._create_unverified_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)
        with context.wrap_socket(backend.connect(8443)) as s:
            return s.cipher()[0]

    for weak in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-CCM8"):
        with pytest.raises(ssl.SSLError):
            negotiate(weak + ":@SECLEVEL=0")
    for good in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"):
        assert negotiate(good) == good


def test_versions_of_tls(backend):
    def negotiate(version):
        context = ssl._create_unverified_context()
        context.minimum_version = context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
        with context.wrap_socket(backend.connect(8443)) as s:
            return s.version()

    for good in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert negotiate(good).replace(".", "_") == good.name
    for old in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        # The server says no, not the library here.
        with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
            negotiate(old)


def subject(sock):
    """The common name in the certificate; unverified, so Python does not parse it."""
    der = sock.getpeercert(binary_form=True)
    return next(n for n in ("first", "second", "third", "broken") if n.encode() in der)


def get(sock):
    sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return sock.recv(4096).split()[1]


def reload(host):
    after = host.journal_end()
    host.run("systemctl reload ssi-serverd.service")
    # Not the line about the certificate: a changed file brings one, too.
    wait_until(lambda: [e for e in host.journal("_SYSTEMD_UNIT=ssi-serverd.service", after=after)
                        if e["MESSAGE"] == "Reloaded the settings."], timeout=40)
    wait_until(lambda: host.show("ssi-serverd.service", "ActiveState")["ActiveState"] == "active")
    host.run("journalctl --sync")
    return [e["MESSAGE"] for e in host.journal("_SYSTEMD_UNIT=ssi-serverd.service", after=after)]


def new_subject(host):
    s = tls(host)
    try:
        return subject(s)
    finally:
        s.close()


def test_a_new_certificate_is_seen_by_new_handshakes(backend):
    pid = backend.pid("ssi-serverd.service")
    old = tls(backend)
    assert subject(old) == "first" and get(old) == b"200"
    make_certificate(backend, "second")
    lines = reload(backend)
    assert any("Using the new certificate" in line for line in lines), lines
    assert new_subject(backend) == "second"
    assert get(old) == b"200", "the old connection lives on"
    old.close()
    assert backend.pid("ssi-serverd.service") == pid


def test_a_changed_file_is_noticed(backend):
    make_certificate(backend, "third")
    wait_until(lambda: new_subject(backend) == "third", timeout=10)


@pytest.mark.parametrize("break_it", ["echo nonsense > cert.pem", "cp key.pem key.old && openssl genpkey -algorithm ed25519 > key.pem",
                                      "rm cert.pem"])
def test_a_broken_one_leaves_the_old(backend, break_it):
    backend.run(f"cd {DIR} && cp -p cert.pem /tmp/cert.good && cp -p key.pem /tmp/key.good && {break_it}")
    try:
        lines = reload(backend)
        assert any("not usable" in line and f"{DIR}/cert.pem" in line for line in lines), lines
        assert new_subject(backend) == "third"
        assert backend.request("GET", "/readyz")[0] == 200
    finally:
        backend.run(f"cd {DIR} && cp -p /tmp/key.good key.pem && cp -p /tmp/cert.good cert.pem")
    reload(backend)
    assert new_subject(backend) == "third"


def lines_of(host, request_id, after):
    host.run("journalctl --sync")
    return host.journal("_SYSTEMD_UNIT=ssi-serverd.service", f"SSI_REQUEST_ID={request_id}", after=after)


def ask(host, path, request_id, token=None):
    """A request with an id: the answer's status and id."""
    s = host.connect(8080)
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: {request_id}\r\n{authorization}\r\n".encode())
    head = s.makefile("rb").read().decode().split("\r\n\r\n")[0]
    return int(head.split()[1]), dict(line.split(": ", 1) for line in head.splitlines()[1:])["X-Request-Id"]


def test_requests_in_the_journal(backend):
    """The access log is a setting that a reload takes over; its lines have fields and no secrets."""
    before = backend.run(["cat", CONF]).stdout
    account = Account(backend)
    account.login()
    after = backend.journal_end()
    assert ask(backend, "/api/v1/users/me", "quiet-1", account.token) == (200, "quiet-1")
    assert lines_of(backend, "quiet-1", after) == []
    try:
        backend.write(CONF, before + "SSI_ACCESS_LOG=yes\n")
        reload(backend)
        assert ask(backend, "/api/v1/users/me?access=not-for-the-log", "loud-1.a_B", account.token) == (200, "loud-1.a_B")
        # It is written when the answer is out, which may be after we have it.
        line, = wait_until(lambda: lines_of(backend, "loud-1.a_B", after))
        assert line["SSI_ROUTE"] == "GET /api/v1/users/me" and line["SSI_USER"].startswith("usr-")
        assert " GET /api/v1/users/me 200 " in line["MESSAGE"] and line["PRIORITY"] == "6"
        # What cannot be an id is replaced, not repeated.
        for bad in ("", "a b", "x" * 65, "\x1b[31m"):
            status, made = ask(backend, "/healthz", bad)
            assert status == 200 and len(made) == 32 and made != bad
        journal = backend.run("journalctl -b -o export --no-pager").stdout
        for secret in (account.password, account.token, "not-for-the-log"):
            assert secret not in journal
        # And back to the default when the line is gone.
        backend.write(CONF, before + "SSI_LOG_LEVEL=loud\n")
        assert any("SSI_LOG_LEVEL must be a level" in line and '"loud"' in line for line in reload(backend))
        ask(backend, "/healthz", "quiet-2")
        assert lines_of(backend, "quiet-2", after) == []
    finally:
        backend.write(CONF, before)
        reload(backend)


def test_roles_on_sockets_of_their_own(backend):
    def status(path, port, method="GET"):
        return backend.request(method, path, {} if method == "POST" else None, port=port)[0]

    def upgrade(port):
        s = backend.connect(port)
        s.sendall(b"GET /api/v1/agent/connect HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        answer = s.recv(4096)
        s.close()
        return int(answer.split()[1])

    backend.run("systemctl stop ssi-serverd.socket ssi-serverd.service")
    backend.run("systemctl start ssi-serverd-ingest.socket ssi-serverd-api.socket")
    backend.run("systemctl start ssi-serverd-ingest.service ssi-serverd-api.service")
    for port in (8080, 8081):
        wait_until(lambda p=port: status("/readyz", p) == 200, timeout=60)
    assert upgrade(8081) == 101 and upgrade(8080) == 404
    assert status("/api/v1/agents/claim", 8081, "POST") == 400 and status("/api/v1/agents/claim", 8080, "POST") == 404
    assert status("/api/v1/users/login", 8080, "POST") == 400 and status("/api/v1/users/login", 8081, "POST") == 404
    assert status("/api/v1/servers", 8080) == 401 and status("/api/v1/servers", 8081) == 404
    assert backend.run(["/usr/lib/ssi/ssi-serverd", "--role=both"], check=False).returncode != 0
    backend.run("systemctl stop 'ssi-serverd-*.socket' 'ssi-serverd-*.service'")
    backend.run("systemctl start ssi-serverd.socket ssi-serverd.service")
    wait_until(lambda: status("/readyz", 8080) == 200, timeout=60)
