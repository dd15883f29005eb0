# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host's key can be replaced, whatever dies meanwhile; and a copy of a host does not pass for it."""
import asyncio
import contextlib
import json
import socket
import threading
import time

import pytest
import websockets

from conftest import register
from hosts import prints, script, wait_until

pytestmark = pytest.mark.other_release

CREDENTIALS = "/var/lib/ssi-uplink/credentials.json"


def credentials(host):
    return json.loads(host.run(["cat", CREDENTIALS]).stdout)


def write_credentials(host, content):
    host.run(f"systemctl stop ssi-uplinkd; install -o ssi-uplink -g ssi-uplink -m 0600 /dev/stdin {CREDENTIALS}; systemctl start ssi-uplinkd",
             input=json.dumps(content))


def uplink(host):
    return json.loads(host.run(["ssictl", "--json", "uplink"], check=False).stdout)


def rotate(host):
    return host.run(["ssictl", "rotate-key"], check=False)


def log(host):
    return host.run("journalctl -q -u ssi-uplinkd.service -o cat").stdout


@pytest.fixture(scope="module")
def original(boot_for_module):
    return register(boot_for_module("--agent", "--server"))


# ---- The key ---------------------------------------------------------------------------------------------------------

def test_the_key_is_replaced(original):
    before = credentials(original)
    r = rotate(original)
    assert (r.returncode, r.stdout) == (0, "The key was replaced; the old one is no longer valid.\n"), r
    after = credentials(original)
    assert after.pop("api_key") != before.pop("api_key") and after == before
    assert uplink(original)["connected"]
    assert original.run(f"stat -c '%a %U' {CREDENTIALS}").stdout == "600 ssi-uplink\n"
    original.run("systemctl restart ssi-uplinkd")
    wait_until(lambda: uplink(original)["connected"])
    assert json.loads(original.run(["ssictl", "--json", "rotate-key"]).stdout)["action"] == "rotated"


def test_only_who_may(original):
    original.add_user("visitor")
    before = credentials(original)
    r = original.run(["ssictl", "--no-ask-password", "rotate-key"], user="visitor", check=False)
    assert r.returncode != 0 and r.stdout == ""
    assert credentials(original) == before


def test_a_key_that_cannot_be_saved(original):
    before = credentials(original)
    original.run("mkdir /var/lib/ssi-uplink/.credentials.json.new")
    try:
        r = rotate(original)
        assert r.returncode == 1 and "Cannot save the new key" in r.stderr and "not changed" in r.stderr, r
        assert uplink(original)["connected"] and credentials(original) == before
    finally:
        original.run("rmdir /var/lib/ssi-uplink/.credentials.json.new")
    original.run("systemctl restart ssi-uplinkd")
    wait_until(lambda: uplink(original)["connected"])
    assert rotate(original).returncode == 0


@pytest.mark.parametrize("victim", ["ssi-uplinkd", "ssi-serverd"])
@pytest.mark.expect_error(r"FATAL: .*connection to client lost")
def test_killed_meanwhile(original, victim):
    """A valid key is left at any moment: the host is online again by itself."""
    seen = set()
    for n in range(6):
        wait_until(lambda: uplink(original)["connected"], timeout=60)
        pid = original.pid(f"{victim}.service")
        process = original.start(f"ssictl rotate-key & sleep 0.{n:02}5; kill -KILL {pid}; wait", stdout=-1, stderr=-1)
        process.communicate(timeout=60)
        wait_until(lambda: original.pid(f"{victim}.service") not in (0, pid), timeout=30)
        wait_until(lambda: uplink(original)["connected"], timeout=60, what="the host is online again")
        seen.add(credentials(original)["api_key"])
    assert "no longer knows this agent" not in log(original)
    assert rotate(original).returncode == 0
    assert "next_api_key" not in credentials(original)


class Elsewhere:
    """A backend of another version, in the network of a host: knows some keys, and answers rotate_key with `gives`, if at all."""

    def __init__(self, host, keys, features=None, gives=None):
        self.keys, self.features, self.gives, self.tried = set(keys), features, gives, []
        self.socket = host.in_network(lambda: socket.create_server(("127.0.0.1", 9998)))
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.run, daemon=True)

    async def serve(self, ws, *_):
        with contextlib.suppress(websockets.ConnectionClosed):
            auth = json.loads(await ws.recv())["payload"]
            self.tried.append(auth["api_key"])
            if auth["api_key"] not in self.keys:
                await ws.close(4401, "unauthorized")
                return
            await ws.send(json.dumps({"type": "auth_ok", "payload": {
                "server_id": "srv-1", "server_name": "s", "resume_after": None, "gap_told": False,
                **({"features": self.features} if self.features else {})}}))
            async for m in ws:
                if json.loads(m)["type"] == "rotate_key" and self.gives:
                    await ws.send(json.dumps({"type": "new_key", "payload": {"api_key": self.gives}}))

    def run(self):
        async def main():
            async with websockets.serve(self.serve, sock=self.socket):
                self.end = asyncio.Event()
                await self.end.wait()

        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(main())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.end.set)
        self.thread.join(10)


@pytest.fixture
def stranger(agent):
    """A host that takes the key "old" for that of a backend of the test's."""
    def begin(**more):
        write_credentials(agent, {"server_url": "http://127.0.0.1:9998", "agent_id": "agt-1", "api_key": "old", **more})
        wait_until(lambda: uplink(agent)["connected"], timeout=30)

    agent.begin = begin
    yield agent
    agent.run(["ssictl", "unregister"])


def test_a_backend_that_is_too_old(stranger):
    with Elsewhere(stranger, ["old"]):
        stranger.begin()
        r = rotate(stranger)
        assert r.returncode == 1 and "does not support" in r.stderr and "upgrade it" in r.stderr, r
        assert uplink(stranger)["connected"]


def test_a_backend_that_does_not_answer(stranger):
    with Elsewhere(stranger, ["old"], features=["other", "rotate_key"]):
        stranger.begin()
        r = rotate(stranger)
        assert r.returncode == 1 and "gave no key within" in r.stderr and "not changed" in r.stderr, r
        assert uplink(stranger)["connected"] and credentials(stranger)["api_key"] == "old"


def test_a_backend_that_forgot_the_key_it_gave(stranger):
    """As after a restored backup: the old one is tried again, and stays."""
    with Elsewhere(stranger, ["old"], features=["rotate_key"], gives="new") as backend:
        stranger.begin()
        r = rotate(stranger)
        assert r.returncode == 1 and "did not accept" in r.stderr, r
        assert uplink(stranger)["connected"]
        assert backend.tried == ["old", "new", "old"]
        assert credentials(stranger)["api_key"] == "old" and "next_api_key" not in credentials(stranger)


@pytest.mark.parametrize("valid, tried", [(["old", "new"], ["new"]), (["new"], ["new"]), (["old"], ["new", "old"])])
def test_what_a_crash_left(stranger, valid, tried):
    with Elsewhere(stranger, valid) as backend:
        stranger.begin(next_api_key="new")
        assert backend.tried == tried
        wait_until(lambda: credentials(stranger)["api_key"] == tried[-1] and "next_api_key" not in credentials(stranger))


def test_neither_key_is_known(stranger):
    with Elsewhere(stranger, []) as backend:
        write_credentials(stranger, {"server_url": "http://127.0.0.1:9998", "agent_id": "agt-1", "api_key": "old", "next_api_key": "new"})
        wait_until(lambda: "no longer knows this agent" in log(stranger), timeout=30)
        time.sleep(3)
        assert backend.tried == ["new", "old"]
        r = rotate(stranger)
        assert r.returncode == 1 and "not connected" in r.stderr, r


def test_unregistered(agent):
    r = rotate(agent)
    assert r.returncode == 1 and "not registered" in r.stderr, r


# ---- A copy ----------------------------------------------------------------------------------------------------------

class Cable:
    """Takes connections to a port of one host's loopback to the same port of another's."""

    def __init__(self, from_host, to_host, port):
        self.to_host, self.port = to_host, port
        self.listener = from_host.in_network(lambda: socket.create_server(("127.0.0.1", port)))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                here, _ = self.listener.accept()
                there = self.to_host.connect(self.port)
                there.settimeout(None)
                for a, b in ((here, there), (there, here)):
                    threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    @staticmethod
    def pump(a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                b.sendall(data)
        for s in (a, b):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def cut(self):
        self.listener.close()


@pytest.fixture(scope="module")
def copy(original, boot_for_module):
    host = boot_for_module("--agent")
    cable = Cable(host, original, 8443)
    yield host
    cable.cut()


def add_and_run(host, name):
    host.run(["ssictl", "add", host.write(f"/tmp/{name}.bash", script(name, prints("OK", f"of {name}")))])
    host.run(["ssictl", "run", name.lower()])


def history(original, name):
    return [e["message"] for e in original.account.get(f"/api/v1/servers/{original.server_id}/services/{name}/events")]


def test_a_copy_is_told_and_refused(original, copy):
    def server():
        return original.account.get(f"/api/v1/servers/{original.server_id}")

    def names():
        return set(original.account.services(original.server_id))

    add_and_run(original, "Original")
    add_and_run(original, "Both")
    add_and_run(copy, "Copy")
    add_and_run(copy, "Both")
    wait_until(lambda: {"original", "both"} <= names())
    assert server()["duplicate"] is None
    write_credentials(copy, credentials(original))
    wait_until(lambda: server()["duplicate"], timeout=90, what="the owner is told")
    hosts = {original: original.run("uname -n").stdout.strip(), copy: copy.run("uname -n").stdout.strip()}
    told = server()["duplicate"]
    assert {told["accepted"], told["refused"]} == set(hosts.values())
    accepted, refused = sorted(hosts, key=lambda h: hosts[h] == told["refused"])
    # One is connected and the other says what to do.
    wait_until(lambda: uplink(accepted)["connected"], timeout=60)
    wait_until(lambda: "another host uses" in (uplink(refused)["last_error"] or ""), timeout=60)
    for command in ("status", "uplink"):
        assert "ssictl register" in refused.run(["ssictl", command], check=False).stdout
    assert "another host uses this agent's identity; register this host anew (ssictl register)" in log(refused)
    # Neither has removed what is the other's.
    wait_until(lambda: {"original", "both", "copy"} <= names(), timeout=60)
    for name in ("original", "copy"):
        assert f"of {name.capitalize()}" in history(original, name)
    for _ in range(2):
        accepted.run("systemctl restart ssi-uplinkd")
        wait_until(lambda: uplink(accepted)["connected"], timeout=30)
    assert {"original", "both", "copy"} <= names()

    # The owner decides for the original, whichever it is.
    which = "accepted" if accepted is original else "refused"
    assert original.account.request("POST", f"/api/v1/servers/{original.server_id}/duplicate", {"keep": which})[0] == 204
    assert server()["duplicate"] is None
    original.run("systemctl restart ssi-uplinkd")
    wait_until(lambda: uplink(original)["connected"], timeout=30)
    copy.run("systemctl restart ssi-uplinkd")
    wait_until(lambda: "another host uses" in (uplink(copy)["last_error"] or ""), timeout=60)
    assert uplink(original)["connected"]

    # And the copy becomes a host of its own, without being unregistered first.
    new = original.account.new_server("the-copy")
    copy.write("/tmp/ca.pem", credentials(original)["ca"])
    r = copy.run(["ssictl", "register", "https://localhost:8443", "no-such-token", "--ca", "/tmp/ca.pem"], check=False)
    assert r.returncode == 1 and "does not accept this claim token" in r.stderr
    copy.run(["ssictl", "register", "https://localhost:8443", new["claim_token"], "--ca", "/tmp/ca.pem"])
    wait_until(lambda: original.account.get(f"/api/v1/servers/{new['server_id']}")["state"] == "online")
    wait_until(lambda: {"copy", "both"} <= set(original.account.services(new["server_id"])))
    assert uplink(original)["connected"] and server()["state"] == "online"
