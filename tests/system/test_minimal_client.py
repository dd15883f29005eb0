# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that speaks only what the blueprint sketches is served."""
from pathlib import Path

import pytest

from hosts import wait_until

pytestmark = pytest.mark.essential

CLIENT = Path(__file__).with_name("minimal_client.py")


@pytest.mark.parametrize("url", ["ws://localhost:8080/api/v1/agent/connect", "wss://localhost:8443/api/v1/agent/connect"])
def test_thirty_lines_are_enough(stack, url):
    assert len(CLIENT.read_text().splitlines()) <= 30
    server = stack.account.new_server("minimal")
    status, claim = stack.request("POST", "/api/v1/agents/claim", {"claim_token": server["claim_token"]})
    assert status == 200
    path = stack.write("/tmp/minimal_client.py", CLIENT.read_text())
    for status, message in (("OK", "hello"), ("FAILURE", "world")):
        stack.run(["env", "SSL_CERT_FILE=/var/lib/ssi-server/tls/ca.pem", "/usr/bin/python3", path, url, claim["agent_id"],
                   claim["api_key"], "by-hand", status, message])
        wait_until(lambda: stack.account.services(server["server_id"])["by-hand"]["message"] == message)
        service = stack.account.services(server["server_id"])["by-hand"]
        assert service["status"] == status
    events = stack.account.get(f"/api/v1/servers/{server['server_id']}/services/by-hand/events")
    assert [e["message"] for e in events] == ["world", "hello"]
    assert stack.account.get(f"/api/v1/servers/{server['server_id']}")["worst_status"] == "FAILURE"


def test_a_wrong_key_is_told_so(stack):
    server = stack.account.new_server("wrong")
    code = """
import asyncio, json, sys, websockets
async def main():
    async with websockets.connect("ws://localhost:8080/api/v1/agent/connect") as ws:
        await ws.send(json.dumps({"type": "auth", "payload": {"agent_id": sys.argv[1], "api_key": "wrong"}}))
        print(json.loads(await ws.recv())["payload"]["code"])
        try:
            await ws.recv()
        except websockets.ConnectionClosed as e:
            print(e.code)
asyncio.run(main())
"""
    out = stack.run(["/usr/bin/python3", "-c", code, server["agent_id"]]).stdout
    assert out.split() == ["unauthorized", "4401"]
