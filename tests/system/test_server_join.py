# SPDX-License-Identifier: LGPL-2.1-or-later
"""A second host is put into service with one command, and taken out with another: two joined hosts, one PostgreSQL."""
import base64
import datetime
import hashlib
import json
import ssl
import subprocess
import time
import xml.etree.ElementTree as ET

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from hosts import Account, wait_until
from test_introspection import describe, live

FIRST, SECOND = "10.77.0.1", "10.77.0.2"
URL = f"postgresql://ssi:s3cret%2Fx@{FIRST}:5544/ssi"
ADDRESS = f"https://{FIRST}:8443"
DATABASE = f"""
set -e
d=/var/tmp/shared
install -d -o postgres -g postgres $d
programs=$(printf '%s\\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
as() {{ runuser -u postgres -- "$@"; }}
as $programs/initdb -D $d/data --auth=peer --encoding=UTF8 --locale=C.UTF-8 >/dev/null
printf 'host ssi ssi {FIRST}/24 scram-sha-256\\nlocal all postgres peer\\n' | as tee $d/data/pg_hba.conf >/dev/null
systemd-run -q --unit=shared-database -p User=postgres -p Type=notify -p KillSignal=SIGINT $programs/postgres -D $d/data -p 5544 \
        -c listen_addresses={FIRST} -c unix_socket_directories=$d
as psql -q -h $d -p 5544 postgres -c "CREATE ROLE ssi LOGIN PASSWORD 's3cret/x'" -c 'CREATE DATABASE ssi OWNER ssi'
"""
# PostgreSQL's, and what clients meet while an instance restarts.
pytestmark = pytest.mark.expect_error(r"FATAL: .*(connection to client lost|terminating connection|shutting down|starting up)")


def ctl(host, *args, **kwargs):
    return host.run(["ssictl", "server", *args], **kwargs)


def ctl_json(host, *args):
    return json.loads(host.run(["ssictl", "--json", "server", *args]).stdout)


def psql(first, query):
    return first.run(["runuser", "-u", "postgres", "--", "psql", "-X", "-q", "-A", "-t", "-h", "/var/tmp/shared", "-p", "5544", "ssi", "-c",
                      query]).stdout.strip()


def patiently(fn):
    """Hashing a password takes long on a busy machine."""
    for _ in range(5):
        try:
            return fn()
        except TimeoutError:
            pass
    return fn()


def login(host, account):
    status, answer = patiently(lambda: host.request("POST", "/api/v1/users/login",
                                                    {"email": account.email, "password": account.password}))
    assert status == 200, answer
    return answer["access_token"]


def ready(host):
    return host.request("GET", "/readyz")[0] == 200


@pytest.fixture(scope="module")
def first(boot_for_module):
    return boot_for_module("--server")


@pytest.fixture(scope="module")
def hosts(first, boot_for_module):
    """The first host with a PostgreSQL that others reach, and one on which the package has just been installed."""
    second = boot_for_module()
    subprocess.run(["ip", "link", "add", "join0", "netns", str(first.leader), "type", "veth", "peer", "name", "join0", "netns",
                    str(second.leader)], check=True)
    for host, address in ((first, FIRST), (second, SECOND)):
        host.run(f"ip address add {address}/24 dev join0 && ip link set join0 up")
    first.run(DATABASE, timeout=240)
    first.write("/etc/ssi/serverd.conf", f"SSI_DATABASE_URL={URL}\nSSI_HISTORY_DAYS=11\n", mode="0600")
    first.run("systemctl restart ssi-serverd.service")
    wait_until(lambda: ready(first), timeout=240)
    second.run("systemctl enable --now ssi-serverd.socket ssi-serverd.service 2>/dev/null", timeout=240)
    wait_until(lambda: ready(second), timeout=240)
    first.account = patiently(lambda: Account(first))
    return first, second


def new_line(first, *options):
    """What the first host prints, with the address at which the second one reaches it."""
    line = ctl(first, "join-token", *options).stdout.strip()
    assert line.startswith("ssictl server join --pin=sha256//") and " - <<<ssi_join_" in line
    return line.replace(f"https://{first.run('hostname').stdout.strip()}:8443", ADDRESS)


def join(second, line, **kwargs):
    return second.run(line, timeout=180, **kwargs)


def refused(second, line, *words):
    r = join(second, line, check=False)
    assert r.returncode == 1, (r.stdout, r.stderr)
    for word in words:
        assert word in r.stderr, r.stderr
    assert second.run("ls /var/lib/ssi-server/join").stdout.strip() in ("", "left")


def has_joined(first, second):
    mine = second.run("hostname").stdout.strip()
    return [i for i in ctl_json(first, "instances") if i["hostname"] == mine and i["joined"]]


@pytest.fixture
def joined(hosts):
    first, second = hosts
    if not has_joined(first, second):
        join(second, new_line(first))
    # It has said so lately: on a busy machine it may be late, and one that is down may be taken out.
    wait_until(lambda: has_joined(first, second)[0]["state"] == "alive", timeout=60)
    return hosts


@pytest.fixture
def apart(hosts):
    first, second = hosts
    if has_joined(first, second):
        ctl(second, "leave")
        wait_until(lambda: second.request("GET", "/healthz")[0] == 503, timeout=60)
    return hosts


def test_a_private_database_cannot_be_shared(first):
    r = ctl(first, "join-token", check=False)
    assert r.returncode == 1 and "private database" in r.stderr and "SSI_DATABASE_URL" in r.stderr


def test_the_backend_has_no_key_of_an_authority(first):
    assert "ca.key" not in first.run("ls -A /var/lib/ssi-server/tls").stdout
    assert first.run("stat -c '%a %U' /var/lib/ssi-server-ca /var/lib/ssi-server-ca/ca.key").stdout.split("\n")[:2] == [
        "700 root", "600 root"]
    for path in ("/var/lib/ssi-server-ca/ca.key", "/var/lib/ssi-server-ca"):
        assert first.run(["cat", path], user="ssi-server", check=False).returncode == 1


def test_an_authority_of_before_is_taken_over(first):
    """As after an upgrade from a version whose backend had the key."""
    tls, ca = "/var/lib/ssi-server/tls", "/var/lib/ssi-server-ca"
    before = first.run(f"cat {tls}/ca.pem").stdout
    first.run(f"systemctl stop ssi-serverd.socket ssi-serverd.service ssi-server-ca.service && mv {ca}/ca.key {tls}/ && rm {ca}/* &&"
              f" chown ssi-server: {tls}/ca.key && rm {tls}/server.pem && systemctl start ssi-serverd.socket ssi-serverd.service")
    wait_until(lambda: ready(first), timeout=60)
    assert first.run(f"cat {tls}/ca.pem").stdout == before == first.run(f"cat {ca}/ca.pem").stdout
    assert first.run(f"test -e {tls}/ca.key", check=False).returncode == 1
    first.run(f"openssl verify -CAfile {tls}/ca.pem {tls}/server.pem")


CALL = ["busctl", "--system", "--", "call", "org.ssi.ServerCA1", "/org/ssi/ServerCA1", "org.ssi.ServerCA1"]


def test_who_may_ask_the_authority(first):
    first.run("id stranger 2>/dev/null || useradd stranger")
    key = first.run("openssl ecparam -name prime256v1 -genkey -noout | openssl pkey -pubout").stdout

    def ask(user, member, *args):
        return first.run([*CALL, member, *args], user=user, check=False).stderr

    for args in (("Certificate", "sasa{sv}", key, "1", "localhost", "0"), ("Adopt", "ssa{sv}", "x", "y", "0"),
                 ("SignHost", "ssassa{sv}", "jtk-a", key, "1", "b.example.org", "x", "0"), ("RenewHost", "sssa{sv}", "x", key, "x", "0")):
        assert "ccess denied" in ask("stranger", *args), args
    admit = ("AdmitHost", "sta{sv}", "jtk-a", str(int((time.time() + 600) * 1e6)), "0")
    assert ask("stranger", *admit) != ""
    # The backend itself gets none for a name that is not its host's, and admits nobody.
    assert "names and addresses of this host" in ask("ssi-server", "Certificate", "sasa{sv}", key, "1", "bank.example.org", "0")
    assert ask("ssi-server", "Certificate", "sasa{sv}", key, "1", "localhost", "0") == ""
    assert "No such host is admitted" in ask("ssi-server", "SignHost", "ssassa{sv}", "jtk-a", key, "1", "b.example.org", "x", "0")
    ca = first.run("cat /var/lib/ssi-server/tls/ca.pem").stdout
    assert "No such host is admitted" in ask("ssi-server", "RenewHost", "sssa{sv}", ca, key, "x", "0")
    assert ask("ssi-server", *admit) != ""
    assert "admitted-jtk-a" not in first.run("ls /var/lib/ssi-server-ca").stdout
    # An administrator does.
    assert ask("root", *admit) == ""
    assert "admitted-jtk-a" in first.run("ls /var/lib/ssi-server-ca").stdout
    assert ask("root", "WithdrawHost", "sa{sv}", "jtk-a", "0") == ""


def test_the_interface_of_the_authority_is_the_documented_one(first):
    root = ET.fromstring(first.run("cat /usr/share/dbus-1/interfaces/org.ssi.ServerCA1.xml").stdout)
    assert live(first, "org.ssi.ServerCA1", "/org/ssi/ServerCA1") == {i.get("name"): describe(i) for i in root.findall("interface")}


def test_one_command_puts_a_host_into_service(apart):
    first, second = apart
    line = new_line(first)
    r = join(second, line)
    assert "serves, together with" in r.stdout, r.stdout + r.stderr
    assert ready(second)

    names = [h.run("hostname").stdout.strip() for h in (first, second)]

    def alive():
        return {i["hostname"]: i for i in ctl_json(second, "instances") if i["state"] == "alive"}

    wait_until(lambda: set(alive()) == set(names), timeout=60)
    rows = alive()
    assert rows[names[1]]["joined"] and not rows[names[0]]["joined"]
    assert len({i["version"] for i in rows.values()}) == 1 and len({i["host"] for i in rows.values()}) == 2
    assert names[1] in ctl(first, "instances").stdout

    # The settings, but none in the administrator's file; nobody else reads them.
    conf = second.run("cat /var/lib/ssi-server/join/serverd.conf").stdout
    assert f'SSI_DATABASE_URL="{URL}"' in conf and 'SSI_HISTORY_DAYS="11"' in conf and "ACCESS_TOKEN" not in conf
    assert second.run("test -e /etc/ssi/serverd.conf", check=False).returncode == 1
    assert second.run("cat /var/lib/ssi-server/join/serverd.conf", user="nobody", check=False).returncode == 1

    # Its certificate is of the first host's authority; its keys for access tokens are its own, and published.
    ca = first.run("cat /var/lib/ssi-server/tls/ca.pem").stdout
    assert second.run("cat /var/lib/ssi-server/join/ca.pem").stdout == ca
    context = ssl.create_default_context(cadata=ca)
    with context.wrap_socket(second.connect(8443), server_hostname=names[1]) as s:
        assert (SECOND,) in [(v,) for k, v in s.getpeercert()["subjectAltName"] if k == "IP Address"]
    assert second.run("cat /var/lib/ssi-server/keys/access-token.pem").stdout != first.run(
        "cat /var/lib/ssi-server/keys/access-token.pem").stdout
    assert psql(first, "SELECT count(DISTINCT host) FROM access_token_keys") == "2"
    token = login(first, first.account)
    status, me = second.request("GET", "/api/v1/users/me", token=token)
    assert status == 200, me
    assert first.request("GET", "/api/v1/users/me", token=login(second, first.account))[0] == 200

    # Browsers that subscribed at either are reached by both.
    keys = [h.request("GET", "/api/v1/push/key", token=token)[1] for h in (first, second)]
    assert keys[0] == keys[1]

    entry = next(e for e in ctl_json(first, "audit", "-n50") if e["event"] == "instance.joined")
    assert (entry["name"], entry["method"], entry["address"]) == (names[1], "join token", SECOND)

    # Used.
    r = join(second, line, check=False)
    assert r.returncode == 1 and "unknown, used or expired" in r.stderr
    assert ready(second)


def test_a_wrong_key_is_noticed_before_anything_is_sent(apart):
    first, second = apart
    line = new_line(first)
    pin = line.split("--pin=")[1].split()[0]
    der = ssl.PEM_cert_to_DER_cert(first.run("openssl x509 -in /var/lib/ssi-server/tls/server.pem").stdout)
    other = "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()
    refused(second, line.replace(pin, other), "another key")
    # Nor is a file's name taken for one.
    r = join(second, line.replace(pin, "/etc/ssl/x.pem"), check=False)
    assert r.returncode == 1 and "sha256//" in r.stderr
    assert len(ctl_json(first, "join-tokens")) == 1
    join(second, line)


def test_tokens_that_are_too_late_or_withdrawn(apart):
    first, second = apart
    line = new_line(first)
    psql(first, "UPDATE join_tokens SET expires_at = now() WHERE used_at IS NULL")
    refused(second, line, "unknown, used or expired")
    assert ctl_json(first, "join-tokens") == []

    line = new_line(first, "--expires=12h")
    [token] = ctl_json(first, "join-tokens")
    assert token["id"] in first.run("ls /var/lib/ssi-server-ca").stdout
    made, end = (datetime.datetime.fromisoformat(token[k].replace("Z", "+00:00")) for k in ("created", "expires"))
    assert 11 < (end - made).total_seconds() / 3600 < 12.01
    ctl(first, "withdraw-join-token", token["id"])
    refused(second, line, "unknown, used or expired")
    assert token["id"] not in first.run("ls /var/lib/ssi-server-ca").stdout
    r = ctl(first, "withdraw-join-token", token["id"], check=False)
    assert r.returncode == 4
    # Without its second part it is worth nothing.
    refused(second, new_line(first).rsplit(".", 1)[0], "signs no certificates")
    refused(second, new_line(first)[:-4] + "0000", "unknown, used or expired")


def test_settings_that_differ(apart):
    first, second = apart
    second.write("/etc/ssi/serverd.conf", "SSI_HISTORY_DAYS=9\nSSI_STALE_GRACE=120\n")
    second.run("systemctl restart ssi-serverd.service")
    try:
        refused(second, new_line(first), "differ", "SSI_HISTORY_DAYS")
    finally:
        second.run("rm /etc/ssi/serverd.conf; systemctl restart ssi-serverd.service")
    assert not has_joined(first, second)


def test_a_database_that_does_not_let_the_host_in(apart):
    first, second = apart
    hba = "/var/tmp/shared/data/pg_hba.conf"
    first.run(f"sed -i '1i host all all {SECOND}/32 reject' {hba} && systemctl kill -s HUP --kill-whom=main shared-database")
    try:
        refused(second, new_line(first), "does not reach the backend's database", "pg_hba.conf")
    finally:
        first.run(f"sed -i 1d {hba} && systemctl kill -s HUP --kill-whom=main shared-database")


# ---- The certificate of a host that has joined ----

PEM = "/var/lib/ssi-server/join/server.pem"


def certificate(second):
    return x509.load_pem_x509_certificate(second.run(f"cat {PEM}").stdout.encode())


def life(cert):
    return (cert.not_valid_after - cert.not_valid_before).total_seconds()


def names(cert):
    return set(cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)


def served(host):
    return ssl.PEM_cert_to_DER_cert(host.run("openssl s_client -connect localhost:8443 </dev/null 2>/dev/null | openssl x509").stdout)


def age(first, second, before, after):
    """Gives it a certificate of the same key and names that began and ends so many seconds before and after now."""
    ca = "/var/lib/ssi-server-ca"
    key = serialization.load_pem_private_key(first.run(f"cat {ca}/ca.key").stdout.encode(), None)
    issuer = x509.load_pem_x509_certificate(first.run(f"cat {ca}/ca.pem").stdout.encode())
    old, now = certificate(second), datetime.datetime.now(datetime.timezone.utc)
    new = x509.CertificateBuilder(issuer.subject, old.subject, old.public_key(), x509.random_serial_number(),
                                  now - datetime.timedelta(seconds=before), now + datetime.timedelta(seconds=after), list(old.extensions))
    pem = new.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = serialization.load_pem_private_key(second.run(f"cat {PEM}").stdout.encode(), None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    put(second, pem.decode() + private.decode())
    return old


def put(second, text):
    """As the backend does it, at once."""
    second.write(PEM + ".new", text, mode="0600")
    second.run(f"chown ssi-server: {PEM}.new && mv {PEM}.new {PEM}")


def metrics(host):
    lines = host.run("curl -sf http://localhost:8080/metrics").stdout.splitlines()
    return {k: float(v) for k, v in (line.rsplit(" ", 1) for line in lines if line.startswith("ssi_certificate"))}


def faults(host):
    """What the check says of certificates that is not OK."""
    r = host.run(["ssictl", "--json", "server", "check"], check=False)
    assert r.returncode in (0, 3), r.stderr
    return [line for line in json.loads(r.stdout) if line["check"] == "certificate" and line["status"] != "OK"]


def failures(second):
    """Without those of a certificate that ends soon."""
    return [line for line in faults(second) if "could not be renewed" in line["message"]]


def is_renewed(second):
    return life(certificate(second)) > 300 * 86400


def events(first, name):
    return [e for e in ctl_json(first, "audit", "-n100") if e["event"] == name]


def test_its_certificate_is_renewed_by_itself(joined):
    """Once two thirds of its life are over, and again the next time; other hosts and agents notice nothing."""
    first, second = joined
    before = len(events(first, "instance.renewed"))
    for n, (begin, end) in enumerate(((200, 112), (3600, 1200))):
        old = age(first, second, begin, end)
        wait_until(lambda: is_renewed(second), timeout=60)
        new = certificate(second)
        assert names(new) == names(old) and new.public_key() != old.public_key()
        second.run(f"openssl verify -CAfile /var/lib/ssi-server/join/ca.pem {PEM}")
        wait_until(lambda: served(second) == new.public_bytes(serialization.Encoding.DER))
        assert len(events(first, "instance.renewed")) == before + n + 1
    mine = second.run("hostname").stdout.strip()
    entry = events(first, "instance.renewed")[0]
    assert (entry["name"], entry["method"], entry["address"]) == (mine, "certificate", SECOND)
    assert "Renewed the certificate in /var/lib/ssi-server/join." in second.run("journalctl -u ssi-serverd --no-pager -o cat").stdout
    wait_until(lambda: metrics(second)["ssi_certificate_renewals_total"] == 2)
    assert metrics(second)["ssi_certificate_end_timestamp_seconds"] == new.not_valid_after.replace(tzinfo=datetime.timezone.utc).timestamp()
    assert faults(second) == []
    # Only root reads what the helper remembers of it, and there is nothing else.
    assert first.run(f"stat -c '%a %U' /var/lib/ssi-server-ca/host-{mine}").stdout.split() == ["600", "root"]


def test_a_renewal_that_fails_is_seen(joined):
    first, second = joined
    first.run("systemctl stop ssi-serverd.socket ssi-serverd.service")
    try:
        age(first, second, 3600, 1200)
        wait_until(lambda: failures(second), timeout=60)
        [fault] = failures(second)
        assert fault["status"] == "WARNING" and f"could not be renewed: Cannot reach {ADDRESS}" in fault["message"], fault
        assert "systemctl reload" in fault["advice"] and "join again" in fault["advice"]
        said = second.run("journalctl -u ssi-serverd --no-pager -o cat").stdout
        assert f"Cannot renew the certificate in /var/lib/ssi-server/join, trying again later: Cannot reach {ADDRESS}" in said
        figures = metrics(second)
        assert figures["ssi_certificate_renewal_failing"] == 1 and figures["ssi_certificate_renewal_failures_total"] >= 1
        assert figures["ssi_certificate_end_timestamp_seconds"] < time.time() + 1200
        assert ready(second) and not is_renewed(second)
    finally:
        first.run("systemctl start ssi-serverd.socket ssi-serverd.service")
        wait_until(lambda: ready(first), timeout=60)
    second.run("systemctl reload ssi-serverd.service")
    wait_until(lambda: is_renewed(second), timeout=60)
    wait_until(lambda: metrics(second)["ssi_certificate_renewal_failing"] == 0)
    assert faults(second) == []


def test_who_gets_no_further_certificate(joined):
    """A host that was removed, and whoever has a key that the host has no more."""
    first, second = joined
    [row] = has_joined(first, second)

    def refused_now():
        age(first, second, 3600, 1200)
        wait_until(lambda: any("refused (401)" in f["message"] for f in faults(second)), timeout=60)
        # Of one network and minute, there is one entry.
        wait_until(lambda: events(first, "instance.renew-refused"))
        assert not is_renewed(second)

    psql(first, f"DELETE FROM backend_hosts WHERE host = '{row['host']}'")
    refused_now()
    psql(first, f"INSERT INTO backend_hosts (host, hostname) VALUES ('{row['host']}', '{row['hostname']}')")
    second.run("systemctl reload ssi-serverd.service")
    wait_until(lambda: is_renewed(second), timeout=60)
    assert faults(second) == []

    # As if a thief had copied the files before it joined again.
    stolen = second.run(f"cat {PEM}").stdout
    join(second, new_line(first))
    put(second, stolen)
    refused_now()
    assert "Refused to renew a certificate" in first.run("journalctl -u ssi-server-ca --no-pager -o cat").stdout
    join(second, new_line(first))
    wait_until(lambda: faults(second) == [], timeout=60)


def test_one_command_takes_it_out(joined):
    first, second = joined
    host = has_joined(first, second)[0]["host"]
    token = login(second, first.account)
    assert first.request("GET", "/api/v1/users/me", token=token)[0] == 200
    r = ctl(first, "leave", host, check=False)
    assert r.returncode == 1 and "alive" in r.stderr
    assert ctl(first, "leave", check=False).returncode == 1

    assert "serves nothing" in ctl(second, "leave").stdout
    # A balancer sends nobody any more, neither agents nor browsers.
    wait_until(lambda: second.request("GET", "/healthz")[0] == 503, timeout=60)
    assert second.request("GET", "/readyz")[0] == 503
    assert second.request("GET", "/api/v1/users/me", token=token)[0] == 503
    assert second.run("ls /var/lib/ssi-server/join").stdout.split() == ["left"]
    assert second.show("ssi-serverd.service", "ActiveState")["ActiveState"] == "active"
    # No trace: neither it nor its key, with whose signature nobody gets in.
    assert psql(first, f"SELECT (SELECT count(*) FROM backend_hosts), (SELECT count(*) FROM access_token_keys WHERE host = '{host}')") == "0|0"
    first.run("systemctl restart ssi-serverd.service")
    wait_until(lambda: ready(first), timeout=60)
    assert first.request("GET", "/api/v1/users/me", token=token)[0] == 401
    wait_until(lambda: psql(first, f"SELECT count(*) FROM instances WHERE host = '{host}'") == "0", timeout=240)
    assert any(e["event"] == "instance.left" and e["actor"] == "uid 0" for e in ctl_json(first, "audit", "-n50"))
    # It stays out after a restart, and comes back with another token.
    second.run("systemctl restart ssi-serverd.service")
    assert second.request("GET", "/healthz")[0] == 503
    join(second, new_line(first))
    assert ready(second)


def test_a_host_that_is_down_is_removed_elsewhere(joined):
    first, second = joined
    [row] = has_joined(first, second)
    second.run("systemctl stop ssi-serverd.socket ssi-serverd.service")
    try:
        wait_until(lambda: has_joined(first, second)[0]["state"] != "alive", timeout=60)
        ctl(first, "leave", row["hostname"])
        assert not has_joined(first, second)
        assert psql(first, f"SELECT count(*) FROM access_token_keys WHERE host = '{row['host']}'") == "0"
        r = ctl(first, "leave", row["hostname"], check=False)
        assert r.returncode == 4
    finally:
        second.run("systemctl start ssi-serverd.socket ssi-serverd.service")
