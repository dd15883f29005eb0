# SPDX-License-Identifier: LGPL-2.1-or-later
"""The image as its users run it: by compose.yaml, with agents that are elsewhere. Called by ./run, in a network of its own."""
import http.client
import json
import os
import re
import ssl
import subprocess

import pytest

from hosts import NOW, TOP, Host, script, wait_until

PROJECT = "container"           # what Compose makes of the folder's name
PASSWORD = "correct horse battery"
ENVIRONMENT = {**os.environ, "POSTGRES_PASSWORD": "a-password", "SSI_SETUP_CODE": "a-code-for-the-setup"}


def podman(*args, check=True):
    r = subprocess.run(["podman", *args], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert not check or r.returncode == 0, f"podman {args}: {r.stdout}{r.stderr}"
    return r.stdout


def compose(*args):
    r = subprocess.run(["podman-compose", "-f", TOP / "packaging/container/compose.yaml", *args], env=ENVIRONMENT, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, stdin=subprocess.DEVNULL)
    print(r.stdout)
    assert r.returncode == 0, r.stdout


def name(service):
    """Older versions join the parts of a container's name with underscores."""
    return next(n for n in podman("ps", "--all", "--format", "{{.Names}}").split()
                if re.fullmatch(rf"{PROJECT}[-_]{service}[-_]1", n))


class Server:
    """The backend as seen from this machine, by the port that compose.yaml publishes."""

    token = None

    def request(self, method, path, body=None):
        connection = http.client.HTTPSConnection("127.0.0.1", 8443, timeout=10, context=ssl._create_unverified_context())
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text and "json" in answer.headers.get("Content-Type", "") else text
        finally:
            connection.close()

    def ready(self):
        return self.request("GET", "/readyz")[0] == 200

    def log_in(self, path, **more):
        status, answer = self.request("POST", path, {"email": "admin@example.org", "password": PASSWORD, **more})
        assert status in (200, 201), answer
        return answer


@pytest.fixture(scope="module")
def server():
    try:
        compose("up", "-d", "--no-build")
        server = Server()
        wait_until(server.ready, timeout=120, interval=0.5, what="the backend answers")
        somebody = {"email": "somebody@example.org", "password": PASSWORD}
        assert server.request("POST", "/api/v1/users/register", somebody)[0] == 403
        server.log_in("/api/v1/users/register", setup_code=ENVIRONMENT["SSI_SETUP_CODE"])
        assert server.request("POST", "/api/v1/users/register", {**somebody, "setup_code": ENVIRONMENT["SSI_SETUP_CODE"]})[0] == 403
        server.token = server.log_in("/api/v1/users/login")["access_token"]
        yield server
    finally:
        for container in podman("ps", "--all", "--format", "{{.Names}}").split():
            print(f"-- {container}\n" + subprocess.run(["podman", "logs", container], stdout=subprocess.PIPE,
                                                       stderr=subprocess.STDOUT, text=True).stdout[-4000:])
        podman("rm", "--all", "--force", "--volumes", check=False)


@pytest.fixture(scope="module")
def agent(server):
    """A host with the agent alone, whose results have arrived at the backend in the container."""
    with Host("pkg-container", "--agent", "--share-net") as host:
        status, new = server.request("POST", "/api/v1/agents/register", {"server_name": host.name, "labels": []})
        assert status == 201, new
        ca = host.write("/root/ca.pem", podman("exec", name("server"), "cat", "/var/lib/ssi-server/tls/ca.pem"))
        host.run(["ssictl", "register", "https://localhost:8443", new["claim_token"], f"--ca={ca}"])
        host.server_id = new["server_id"]
        report(server, host, "One", "from outside")
        yield host


def report(server, host, service, message):
    path = host.write("/root/script.bash", script(service, f'echo "{NOW}, OK, {message}"'))
    host.run(["ssictl", "add", "--run", path])

    def arrived():
        services = server.request("GET", f"/api/v1/servers/{host.server_id}/services")[1]
        return [s["message"] for s in services if s["name"] == service.lower()] == [message]

    wait_until(arrived, timeout=60, what=f"the result of {service}")


def test_a_result_arrives(server, agent):
    assert server.request("GET", f"/api/v1/servers/{agent.server_id}")[1]["state"] == "online"


def test_the_dashboard_is_served(server):
    status, page = server.request("GET", "/")
    assert status == 200 and page.lower().startswith(b"<!doctype html")


def test_it_runs_with_what_compose_leaves_it(server):
    """No root, no capabilities, nothing to write to but its state."""
    status = podman("exec", name("server"), "cat", "/proc/1/status")
    assert re.search(r"^Uid:\s+[1-9]", status, re.MULTILINE) and re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    assert subprocess.run(["podman", "exec", name("server"), "touch", "/usr/a-file"], capture_output=True).returncode != 0


def test_a_restart_keeps_everything(server, agent):
    ca = podman("exec", name("server"), "cat", "/var/lib/ssi-server/tls/ca.pem")
    podman("restart", "--time", "30", name("server"))
    wait_until(server.ready, timeout=60, interval=0.5)
    assert podman("exec", name("server"), "cat", "/var/lib/ssi-server/tls/ca.pem") == ca
    server.token = server.log_in("/api/v1/users/login")["access_token"]
    report(server, agent, "Two", "after the restart")


def test_it_ends_when_it_is_told_to(server, agent):
    podman("stop", "--time", "30", name("server"))
    assert podman("inspect", "--format", "{{.State.ExitCode}}", name("server")).strip() == "0"
