# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent talks to the backend that it was told to trust, and to no other."""
import json

import pytest

from hosts import Account, wait_until

pytestmark = pytest.mark.essential

CA = "/var/lib/ssi-server/tls/ca.pem"


@pytest.fixture(scope="module")
def host(boot_for_module):
    host = boot_for_module("--agent", "--server")
    host.account = Account(host)
    host.run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /tmp/other.key -out /tmp/other.pem"
             " -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1")
    return host


def register(host, *options, url="https://localhost:8443"):
    token = host.account.new_server("tls")["claim_token"]
    return host.run(["ssictl", "register", url, token, *options], check=False)


def connected(host):
    return json.loads(host.run("ssictl --json uplink", check=False).stdout).get("connected")


@pytest.mark.parametrize("options", [(), ("--ca", "/tmp/other.pem")])
def test_a_certificate_of_nobody_it_trusts(host, options):
    r = register(host, *options)
    assert r.returncode != 0 and "certificate is not accepted" in r.stderr, r.stderr


def test_a_certificate_of_another_name(host):
    # The made certificate holds this host's names and addresses, and not all of the loopback network.
    r = register(host, "--ca", CA, url="https://127.0.0.2:8443")
    assert r.returncode != 0 and "certificate is not accepted" in r.stderr, r.stderr


def test_plain_text_stays_on_this_machine(host):
    r = register(host, url="http://192.0.2.1:8080")
    assert r.returncode != 0 and "requires https://" in r.stderr, r.stderr


def test_registering_again(host):
    """As configuration management does, each time with the token that was used long ago."""
    token = host.account.new_server("again")["claim_token"]
    host.run("ssictl unregister", check=False)

    def again(url="https://localhost:8443", options=("--ca", CA), check=True):
        return host.run(["ssictl", *options[2:], "register", url, token, *options[:2]], check=check)

    assert again().stdout == "Registered with https://localhost:8443 and connected.\n"
    id_ = json.loads(host.run("ssictl --json uplink").stdout)["agent_id"]
    assert again().stdout == "Already registered with https://localhost:8443; the token was not used.\n"
    assert json.loads(again(options=("--ca", CA, "--json")).stdout) == {"action": "unchanged", "name": "https://localhost:8443"}
    assert again(url="https://LOCALHOST:8443").returncode == 0
    assert again(options=()).returncode == 0
    # Another backend, or another authority, is another matter.
    for url, options, says in (("https://localhost:8444", ("--ca", CA), "https://localhost:8443. Unregister it first"),
                               ("https://localhost:8443", ("--ca", "/tmp/other.pem"), "another certificate authority. Unregister it first")):
        r = again(url, options, check=False)
        assert r.returncode == 1 and says in r.stderr, r.stderr
    # Without the backend as well: it is the registration that is wanted.
    host.run("systemctl stop ssi-serverd.socket ssi-serverd.service")
    try:
        wait_until(lambda: not connected(host))
        assert again().returncode == 0
    finally:
        host.run("systemctl start ssi-serverd.socket ssi-serverd.service")
    wait_until(lambda: connected(host), timeout=60)
    assert json.loads(host.run("ssictl --json uplink").stdout)["agent_id"] == id_
    host.run("ssictl unregister")


def test_a_certificate_that_was_exchanged(host):
    """Somebody else answers at the backend's address: nothing is sent, and it says why; and all is well again afterwards."""
    assert register(host, "--ca", CA).returncode == 0
    wait_until(lambda: connected(host))
    host.run("install -D -o ssi-server -m 0400 /tmp/other.key /etc/ssi/other.key; install -m 0444 /tmp/other.pem /etc/ssi/other.pem")
    host.write("/etc/ssi/serverd.conf", "SSI_TLS_CERT=/etc/ssi/other.pem\nSSI_TLS_KEY=/etc/ssi/other.key\n")
    host.run("systemctl restart ssi-serverd.service")
    wait_until(lambda: "certificate is not accepted" in host.run("journalctl -q -u ssi-uplinkd.service -o cat").stdout, timeout=30)
    assert not connected(host)
    host.run("rm /etc/ssi/serverd.conf; systemctl restart ssi-serverd.service")
    wait_until(lambda: connected(host), timeout=60)
