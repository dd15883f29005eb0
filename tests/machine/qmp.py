# SPDX-License-Identifier: LGPL-2.1-or-later
"""The monitor of a qemu, by its JSON protocol (QMP)."""
import json
import socket
import time


class Qmp:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.buffer = b""
        self.events = []
        self._receive(10)  # the greeting
        self.command("qmp_capabilities")

    def close(self):
        self.socket.close()

    def _receive(self, timeout):
        end = time.monotonic() + timeout
        while b"\n" not in self.buffer:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionResetError("the monitor is gone")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def command(self, name, timeout=30, **arguments):
        """What the command gives. Events that come meanwhile are kept for wait_event()."""
        self.socket.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        while True:
            m = self._receive(timeout)
            if "event" in m:
                self.events.append(m["event"])
            elif "error" in m:
                raise AssertionError(f"qemu refuses {name}: {m['error']['desc']}")
            else:
                return m["return"]

    def human(self, line):
        return self.command("human-monitor-command", **{"command-line": line})

    def wait_event(self, name, timeout):
        """Waits for an event that has come since the last call for it, or comes now."""
        end = time.monotonic() + timeout
        while name not in self.events:
            m = self._receive(max(0.01, end - time.monotonic()))
            if "event" in m:
                self.events.append(m["event"])
        self.events.remove(name)
