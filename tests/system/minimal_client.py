# SPDX-License-Identifier: LGPL-2.1-or-later
"""All that a client must speak: minimal_client.py URL AGENT_ID API_KEY SERVICE STATUS MESSAGE"""
import asyncio
import datetime
import json
import sys

import websockets


async def main(url, agent_id, api_key, service, status, message):
    async with websockets.connect(url) as ws:
        await ws.send(json.dumps({"type": "auth", "payload": {"agent_id": agent_id, "api_key": api_key}}))
        await ws.send(json.dumps({"type": "status_update", "payload": {
            "service_name": service,
            "timestamp": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "status": status,
            "message": message,
        }}))


asyncio.run(main(*sys.argv[1:]))
