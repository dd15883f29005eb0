# SPDX-License-Identifier: LGPL-2.1-or-later
"""The D-Bus protocol by hand (D-Bus Specification, "Message Protocol"): errors with their names, and messages that no
library would send."""
import os
import socket
import struct

METHOD_CALL, METHOD_RETURN, ERROR, SIGNAL = 1, 2, 3, 4
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SENDER, SIGNATURE = 1, 2, 3, 4, 5, 6, 7, 8
FIXED = {"y": ("B", 1), "b": ("I", 4), "n": ("h", 2), "q": ("H", 2), "i": ("i", 4), "u": ("I", 4), "x": ("q", 8),
         "t": ("Q", 8), "d": ("d", 8)}


class BusError(Exception):
    def __init__(self, name, message):
        super().__init__(f"{name}: {message}")
        self.name, self.message = name, message


class Variant:
    def __init__(self, signature, value):
        self.signature, self.value = signature, value


def alignment(t):
    return FIXED[t][1] if t in FIXED else {"s": 4, "o": 4, "a": 4, "(": 8, "{": 8}.get(t, 1)


def split(signature):
    """The complete types in it."""
    types, at = [], 0
    while at < len(signature):
        start = at
        while signature[at] == "a":
            at += 1
        if signature[at] in "({":
            depth = 0
            while True:
                depth += (signature[at] in "({") - (signature[at] in ")}")
                if depth == 0:
                    break
                at += 1
        at += 1
        types.append(signature[start:at])
    return types


def pad(buffer, n):
    buffer += b"\0" * (-len(buffer) % n)


def put(buffer, t, value):
    """A str or, for text that is none, bytes."""
    pad(buffer, alignment(t[0]))
    if t in FIXED:
        buffer += struct.pack("<" + FIXED[t][0], value)
    elif t in ("s", "o", "g"):
        raw = value if isinstance(value, bytes) else value.encode()
        buffer += struct.pack("<B" if t == "g" else "<I", len(raw)) + raw + b"\0"
    elif t == "v":
        put(buffer, "g", value.signature)
        put(buffer, value.signature, value.value)
    elif t == "ay" and isinstance(value, bytes):
        buffer += struct.pack("<I", len(value)) + value
    elif t[0] == "a":
        items = value.items() if hasattr(value, "items") else value
        at = len(buffer)
        buffer += b"\0" * 4
        pad(buffer, alignment(t[1]))
        start = len(buffer)
        for item in items:
            put(buffer, t[1:], item)
        buffer[at:at + 4] = struct.pack("<I", len(buffer) - start)
    else:
        for inner, item in zip(split(t[1:-1]), value):
            put(buffer, inner, item)


def get(data, at, t):
    """(value, where it ends)"""
    at += -at % alignment(t[0])
    if t in FIXED:
        return struct.unpack_from("<" + FIXED[t][0], data, at)[0], at + FIXED[t][1]
    if t in ("s", "o", "g"):
        n, head = (data[at], 1) if t == "g" else (struct.unpack_from("<I", data, at)[0], 4)
        return data[at + head:at + head + n].decode(), at + head + n + 1
    if t == "v":
        inner, at = get(data, at, "g")
        return get(data, at, inner)
    items = []
    if t[0] == "a":
        n = struct.unpack_from("<I", data, at)[0]
        at += 4
        at += -at % alignment(t[1])
        end = at + n
        while at < end:
            item, at = get(data, at, t[1:])
            items.append(item)
        return (dict(items) if t[1] == "{" else items), at
    for inner in split(t[1:-1]):
        item, at = get(data, at, inner)
        items.append(item)
    return tuple(items), at


class Bus:
    """A connection to the system bus: of a host, by root; or, inside of it, by whoever calls (host is None)."""

    def __init__(self, host, timeout=60):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect((f"/proc/{host.leader}/root" if host else "") + "/run/dbus/system_bus_socket")
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\nBEGIN\r\n")
        self.buffer, self.serial = b"", 0
        while b"\r\n" not in self.buffer:
            self.receive()
        answer, _, self.buffer = self.buffer.partition(b"\r\n")
        assert answer.startswith(b"OK"), answer
        self.name = self.bus("Hello")[0]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def receive(self):
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionResetError("the bus has closed the connection")
        self.buffer += data

    def message(self):
        """(type, header fields, body as values), of the next one."""
        while True:
            if len(self.buffer) >= 16:
                n_body, _, n_fields = struct.unpack_from("<III", self.buffer, 4)
                head = 16 + n_fields + (-n_fields % 8)
                if len(self.buffer) >= head + n_body:
                    break
            self.receive()
        data, self.buffer = self.buffer[:head + n_body], self.buffer[head + n_body:]
        fields = dict(get(data, 12, "a(yv)")[0])
        body, values, at = data[head:], [], 0
        for t in split(fields.get(SIGNATURE, "")):
            value, at = get(body, at, t)
            values.append(value)
        return data[1], fields, values

    def encode(self, kind, destination, path, interface, member, signature="", *args, flags=0, reply_to=0):
        """A message as bytes, with a serial of its own. destination: None for a broadcast. reply_to: the serial that it answers;
        an error has its name for a member."""
        self.serial += 1
        body = bytearray()
        for t, value in zip(split(signature), args):
            put(body, t, value)
        if kind in (METHOD_CALL, SIGNAL):
            fields = [(PATH, Variant("o", path)), (INTERFACE, Variant("s", interface)), (MEMBER, Variant("s", member))]
        else:
            fields = [(ERROR_NAME, Variant("s", member))] if kind == ERROR else []
        if reply_to:
            fields.append((REPLY_SERIAL, Variant("u", reply_to)))
        if destination:
            fields.append((DESTINATION, Variant("s", destination)))
        if signature:
            fields.append((SIGNATURE, Variant("g", signature)))
        head = bytearray(struct.pack("<cBBBII", b"l", kind, flags, 1, len(body), self.serial))
        put(head, "a(yv)", fields)
        pad(head, 8)
        return bytes(head + body)

    def send(self, *args):
        """A method call. Its serial."""
        self.socket.sendall(self.encode(METHOD_CALL, *args))
        return self.serial

    def call(self, *args):
        """The answer's values; raises BusError."""
        serial = self.send(*args)
        while True:
            kind, fields, values = self.message()
            if fields.get(REPLY_SERIAL) != serial:
                continue
            if kind == ERROR:
                raise BusError(fields[ERROR_NAME], values[0] if values else "")
            return values

    def bus(self, member, signature="", *args):
        return self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", member, signature, *args)

    def manager(self, member, signature="", *args):
        return self.call("org.ssi.Agent1", "/org/ssi/Agent1", "org.ssi.Agent1.Manager", member, signature, *args)

    def service(self, slug, member, signature="", *args):
        return self.call("org.ssi.Agent1", "/org/ssi/Agent1/service/" + slug.replace("-", "_2d"), "org.ssi.Agent1.Service",
                         member, signature, *args)

    def properties(self, slug):
        return self.call("org.ssi.Agent1", "/org/ssi/Agent1/service/" + slug.replace("-", "_2d"),
                         "org.freedesktop.DBus.Properties", "GetAll", "s", "org.ssi.Agent1.Service")[0]
