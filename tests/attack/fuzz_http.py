# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests and WebSocket frames to a live server, made from good ones by breaking them. Runs inside a host:

    python3 fuzz_http.py SECONDS SEED [AGENT_ID API_KEY]

Prints a line of JSON at its end: how many connections were made, how many got an answer, and by status.
"""
import collections
import json
import os
import random
import socket
import struct
import sys
import threading
import time

PORT, THREADS = 8080, 8
GOOD = [
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /api/v1/servers?limit=5&q=a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x.y.z\r\nAccept: application/json\r\n\r\n",
    b"POST /api/v1/users/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 41\r\n\r\n"
    b'{"email":"a@example.org","password":"bcd"}',
    b"POST /api/v1/users/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'5\r\n{"a":\r\n3\r\n1}\n\r\n0\r\n\r\n',
    b"PATCH /api/v1/servers/srv-x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nRange: bytes=0-5\r\nIf-None-Match: \"x\"\r\n\r\n",
    b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n",
    b"HEAD /js/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\nGET /%00 HTTP/1.0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
    b"GET /public/abc/badge.svg HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
]
UPGRADE = (b"GET /api/v1/agent/connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
ODD = (b"\0", b"\r\n", b"\n", b"\xff" * 9, b": ", b"%", b"..", b"A" * 5000, b"-1", b"99999999999999999999", b"{", b"[" * 200, b'"',
       b"\xed\xa0\x80", b"HTTP/9.9", b"chunked", b"\x81\xff")


def broken(data):
    data = bytearray(data)
    for _ in range(random.choice((0, 1, 1, 2, 4, 12))):
        if not data:
            break
        at, kind = random.randrange(len(data)), random.randrange(6)
        if kind == 0:
            data[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            del data[at:at + random.randint(1, 30)]
        elif kind == 2:
            data[at:at] = random.choice(ODD)
        elif kind == 3:
            end = at + random.randint(1, 60)
            data[at:at] = data[at:end] * random.randint(1, 3)
        elif kind == 4:
            data = data[:at]
        else:
            data[at:at + 1] = bytes([random.randrange(256)])
    return bytes(data)


def frame(payload, opcode=1, final=True):
    mask = os.urandom(4)
    n = len(payload)
    size = bytes([0x80 | n]) if n < 126 else b"\xfe" + struct.pack(">H", n) if n < 65536 else b"\xff" + struct.pack(">Q", n)
    return bytes([(0x80 if final else 0) | opcode]) + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def messages(credentials):
    good = [{"type": "auth", "payload": {"agent_id": credentials[0], "api_key": credentials[1]}} if credentials else {"type": "auth"},
            {"type": "status_update", "payload": {"service_name": "f", "timestamp": "2026-01-01T00:00:00Z", "status": "OK",
                                                  "message": "m", "cursor": "c"}},
            {"type": "inventory", "payload": {"services": [{"service_name": "f", "title": "F", "enabled": True}]}},
            {"type": "status_batch", "payload": {"items": [{"service_name": "f", "timestamp": "2026-01-01T00:00:00Z",
                                                           "status": "WARNING", "message": "m"}] * 3}},
            {"type": "gap", "payload": {"cursor": "c", "from": None, "to": "2026-01-01T00:00:00Z"}},
            {"type": "going_down", "payload": {}}, {"type": "resume", "payload": {}}, {"type": "live", "payload": {}}]
    yield frame(json.dumps(good[0]).encode())
    for _ in range(random.randint(1, 6)):
        payload = json.dumps(random.choice(good[1:])).encode()
        what = random.randrange(4)
        if what == 0:
            payload = broken(payload)
        data = frame(payload, *((random.randrange(16), random.random() < 0.7) if what == 1 else ()))
        yield broken(data) if what == 2 else data


def once(credentials):
    """The status of the first answer, or None."""
    with socket.create_connection(("127.0.0.1", PORT), timeout=10) as s:
        s.settimeout(0.25)
        try:
            if random.random() < 0.4:
                s.sendall(UPGRADE if random.random() < 0.9 else broken(UPGRADE))
                first = s.recv(4096)
                for data in messages(credentials):
                    s.sendall(data)
                while s.recv(65536):
                    pass
            else:
                data = b"".join(broken(random.choice(GOOD)) for _ in range(random.choice((1, 1, 2, 5))))
                s.sendall(data)
                if random.random() < 0.5:
                    s.shutdown(socket.SHUT_WR)
                first = s.recv(65536)
        except socket.timeout:
            return "no answer"
        except OSError:
            return "reset"
        return first[9:12].decode(errors="replace") if first.startswith(b"HTTP/1.") else "closed"


def main():
    end = time.monotonic() + float(sys.argv[1])
    random.seed(int(sys.argv[2]))
    counts = collections.Counter()

    def work():
        while time.monotonic() < end:
            counts[once(sys.argv[3:])] += 1

    # Most of the time is spent waiting for an answer that does not come.
    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(json.dumps({"connections": sum(counts.values()), **counts}))


main()
