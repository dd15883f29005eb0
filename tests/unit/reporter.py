# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host that never stops reporting, whatever becomes of the backend, and what its history must be."""
import asyncio
import datetime
import json
import os
import sys
import threading

import websockets

import serverd
from serverd import message, wait_until

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fault"))

from check import compare  # noqa: E402

SERVICES = ("tick", "tock")


class Reporter:
    """A host: what it has printed stays in its journal, and it sends what follows the cursor that the backend names. A cursor is the
    number of entries before it."""
    services = SERVICES

    def __init__(self, agent, i, version=None):
        self.agent, self.i, self.version = agent, i, version
        self.journal, self.acknowledged, self.again = [], 0, 0
        self.is_printing, self.is_over = True, False
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()), daemon=True)
        self.thread.start()

    async def run(self):
        printer = asyncio.create_task(self.print())
        while not self.is_over:
            try:
                await self.session()
            # AssertionError: it was not let in.
            except (OSError, AssertionError, asyncio.TimeoutError, websockets.WebSocketException):
                await asyncio.sleep(0.2)
        await printer

    async def print(self):
        n = 0
        while self.is_printing:
            n += 1
            self.journal += [(slug, n) for slug in SERVICES]
            await asyncio.sleep(0.02)

    def entry(self, k):
        slug, n = self.journal[k]
        at = datetime.datetime(2025, 1, 1) + datetime.timedelta(seconds=n)
        return {"service_name": slug, "timestamp": f"{at.isoformat()}Z", "status": ("OK", "WARNING")[n // 10 % 2], "message": str(n),
                "cursor": str(k + 1)}

    async def session(self):
        async with self.agent.connect(self.i) as ws:
            sent = int(await self.agent.start(ws, self.version) or 0)
            await ws.send(message("inventory", services=[{"service_name": slug, "title": slug.title(), "enabled": True,
                                                          "metadata": {"description": "Counts"}} for slug in self.services]))
            self.again += max(0, self.acknowledged - sent)
            reader = asyncio.create_task(self.read(ws))
            try:
                while not reader.done() and not self.is_over:
                    end = min(len(self.journal), sent + 100)
                    if end > sent:
                        await ws.send(message("status_batch", items=[self.entry(k) for k in range(sent, end)]))
                        sent = end
                    await asyncio.sleep(0.01)
            finally:
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)

    async def read(self, ws):
        async for text in ws:
            m = json.loads(text)
            if m["type"] == "ack":
                self.acknowledged = max(self.acknowledged, int(m["payload"]["cursor"]))

    def wait_for_more(self, n=100):
        """Until n results more are acknowledged than now."""
        want = self.acknowledged + n
        wait_until(lambda: self.acknowledged >= want, 120)

    def settle(self):
        self.is_printing = False
        wait_until(lambda: self.acknowledged == len(self.journal), 120)

    def end(self):
        self.is_printing, self.is_over = False, True
        self.thread.join(60)

    def faults(self):
        """What is wrong with what the database has, after settle()."""
        stored = [row.split("|") for row in serverd.sql(
            "SELECT e.service, e.message FROM events e JOIN servers s ON s.id = e.server_id"
            f" WHERE s.public_id = '{self.agent.server}' AND e.kind = 'result' ORDER BY e.id").splitlines()]
        return [f"{slug} of {self.agent.server}: {fault}" for slug in SERVICES
                for fault in compare({n for s, n in self.journal if s == slug}, [int(n) for s, n in stored if s == slug])[0]]
