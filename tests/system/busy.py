# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keeps ssid busy, inside a host and as whoever runs it:  busy.py KIND CONNECTIONS CALLS [SECONDS]

Sends as many calls over as many connections at once, and reads all answers; again for so long, if SECONDS are given. Prints the names of the answers' errors
("" for none) and how many there were of each, as a line of JSON.
"""
import json
import sys
import time

from rawbus import ERROR, ERROR_NAME, REPLY_SERIAL, Bus, Variant

AGENT, PATH = "org.ssi.Agent1", "/org/ssi/Agent1"
HEADER = "#!/bin/bash\n# name: Busy\n# description: d\n# version: 1\n# schedule: hourly\n# timeout: 5\n"
# Of a function, Bash keeps everything.
COSTLY = HEADER + "f(){ " + "a;" * 500_000 + "}\n"


class Pairs(list):
    """A dict in which a key may repeat."""

    def items(self):
        return self


CALLS = {
    "history": (f"{PATH}/service/busy", f"{AGENT}.Service", "GetHistory", "u", 1000),
    "validate": (PATH, f"{AGENT}.Manager", "ValidateScript", "ss", "busy.bash", COSTLY),
    "objects": (PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"),
    "list": (PATH, f"{AGENT}.Manager", "ListServices"),
    "long-name": (PATH, f"{AGENT}.Manager", "RemoveService", "s", "x" * (4 << 20)),
    "many-options": (PATH, f"{AGENT}.Manager", "FollowLog", "sa{sv}", "busy", Pairs([("lines", Variant("u", 1))] * 100_000)),
}


def answers(bus, serials):
    """The error's name of each, in the order in which they come."""
    while serials:
        kind, fields, values = bus.message()
        serial = fields.get(REPLY_SERIAL)
        if serial in serials:
            serials.remove(serial)
            yield serial, fields[ERROR_NAME] if kind == ERROR else "", values


def once(kind, connections, calls, counts):
    buses = [Bus(None, timeout=120) for _ in range(connections)]
    asked = [[bus.send(AGENT, *CALLS[kind]) for _ in range(calls)] for bus in buses]
    for bus, serials in zip(buses, asked):
        order = []
        for serial, name, _ in answers(bus, list(serials)):
            counts[name] = counts.get(name, 0) + 1
            order += [serial] if not name else []
        assert order == sorted(order), order
        bus.socket.close()


def main(kind, connections, calls, seconds="0"):
    end, counts = time.monotonic() + float(seconds), {}
    while True:
        once(kind, int(connections), int(calls), counts)
        if time.monotonic() >= end:
            break
    print(json.dumps(counts))


if __name__ == "__main__":
    main(*sys.argv[1:])
