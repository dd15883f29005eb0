# SPDX-License-Identifier: LGPL-2.1-or-later
"""The network between an agent and the backend, as far as a test can bend it: a TCP relay of our own.

It listens on 127.0.0.1:8443 inside the agent's host and goes on to the same address inside the backend's, so TLS passes
through untouched. It can hold bytes back (a cut cable, a half-open connection), delay them, let few through, and reset.
"""
import asyncio
import socket
import struct
import threading

PORT = 8443
CHUNK = 65536


class Wire:
    def __init__(self, agent, server):
        self.server = server
        self.delay = 0.0          # seconds, each way
        self.trickle = 0          # bytes per second, 0: all
        self.open = None          # an asyncio.Event: bytes pass
        self.pairs = set()
        self.carried = self.resets = 0
        self.listener = agent.in_network(lambda: socket.create_server(("127.0.0.1", PORT), backlog=64))
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self.thread.start()
        started.wait()

    # -- what tests call, from their own thread ------------------------------------------------------------------

    def cut(self):
        """Nothing passes, and nobody is told: new connections are taken by the kernel, and then hang."""
        self._call(self.open.clear)

    def mend(self):
        self._call(self._mend)

    def reset(self):
        """Ends all connections with RST, on both sides."""
        self._call(self._reset)

    def slow(self, delay=0.0, trickle=0):
        self._call(lambda: self.__dict__.update(delay=delay, trickle=trickle))

    def close(self):
        self._call(self._reset)
        self._call(self.loop.stop)
        self.thread.join()
        self.listener.close()

    # -- inside the loop -----------------------------------------------------------------------------------------

    def _call(self, f):
        self.loop.call_soon_threadsafe(f)

    def _mend(self):
        self.delay, self.trickle = 0.0, 0
        self.open.set()

    def _reset(self):
        for pair in list(self.pairs):
            self.resets += 1
            for writer in pair:
                sock = writer.get_extra_info("socket")
                if sock is not None and sock.fileno() >= 0:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

    def _run(self, started):
        asyncio.set_event_loop(self.loop)

        async def begin():
            self.open = asyncio.Event()
            self.open.set()
            await asyncio.start_server(self._connected, sock=self.listener)

        self.loop.run_until_complete(begin())
        started.set()
        self.loop.run_forever()
        tasks = asyncio.all_tasks(self.loop)
        for t in tasks:
            t.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    async def _pump(self, reader, writer):
        while data := await reader.read(CHUNK):
            if self.delay:
                await asyncio.sleep(self.delay)
            step = max(1, self.trickle // 10) if self.trickle else len(data)
            for k in range(0, len(data), step):
                await self.open.wait()
                writer.write(data[k:k + step])
                await writer.drain()
                if self.trickle:
                    await asyncio.sleep(0.1)
            self.carried += len(data)

    async def _connected(self, reader, writer):
        await self.open.wait()
        try:
            sock = await asyncio.to_thread(self.server.connect, PORT)
            up_reader, up_writer = await asyncio.open_connection(sock=sock)
        except OSError:
            writer.close()
            return
        pair = (writer, up_writer)
        self.pairs.add(pair)
        tasks = [asyncio.create_task(self._pump(reader, up_writer)), asyncio.create_task(self._pump(up_reader, writer))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for t in tasks:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for w in pair:
            w.close()
        self.pairs.discard(pair)
