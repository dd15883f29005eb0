# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keeps ssid busy, inside a host and as whoever runs it:  busy.py KIND CONNECTIONS CALLS [SECONDS]

Sends as many calls over each of so many connections at once, and reads all answers; again for so long, if SECONDS are given. Prints the names of the answers' errors
("" for none) and how many there were of each, as a line of JSON.
"""
import itertools
import json
import sys
import time

from rawbus import ERROR, ERROR_NAME, REPLY_SERIAL, Bus, Variant

UPLINK, SERVER = "org.ssi.Uplink1", "org.ssi.Server1"
AGENT, PATH = "org.ssi.Agent1", "/org/ssi/Agent1"
HEADER = "#!/bin/bash\n# name: Busy\n# description: d\n# version: 1\n# schedule: hourly\n# timeout: 5\n"
# Of a function, Bash keeps everything.
COSTLY = HEADER + "f(){ " + "a;" * 500_000 + "}\n"


class Pairs(list):
    """A dict in which a key may repeat."""

    def items(self):
        return self


PROPERTIES, INTROSPECT = ("org.freedesktop.DBus.Properties", "GetAll", "s"), ("org.freedesktop.DBus.Introspectable", "Introspect")

CALLS = {
    "history": (f"{PATH}/service/busy", f"{AGENT}.Service", "GetHistory", "u", 1000),
    "validate": (PATH, f"{AGENT}.Manager", "ValidateScript", "ss", "busy.bash", COSTLY),
    "objects": (PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"),
    "get-service": (PATH, f"{AGENT}.Manager", "GetService", "s", "busy"),
    "list": (PATH, f"{AGENT}.Manager", "ListServices"),
    "introspect": (f"{PATH}/service", *INTROSPECT),
    "properties": (PATH, *PROPERTIES, f"{AGENT}.Manager"),
    "long-name": (PATH, f"{AGENT}.Manager", "RemoveService", "s", "x" * (4 << 20)),
    "add": (PATH, f"{AGENT}.Manager", "AddService", "ssa{sv}", "busy.bash", COSTLY, {}),
    "test": (PATH, f"{AGENT}.Manager", "TestScript", "ss", "busy.bash", COSTLY),
    "unknown": (PATH, f"{AGENT}.Manager", "NoSuchMethod", "s", "x" * (1 << 20)),
    "uplink-register": ("/org/ssi/Uplink1", UPLINK, "Register", "ssa{sv}", "https://example.org/" + "x" * (1 << 20), "x", {}),
    "many-options": (PATH, f"{AGENT}.Manager", "FollowLog", "sa{sv}", "busy", Pairs([("lines", Variant("u", 1))] * 100_000)),
    "uplink-properties": ("/org/ssi/Uplink1", *PROPERTIES, UPLINK),
    "uplink-introspect": ("/org/ssi/Uplink1", *INTROSPECT),
    "server-properties": ("/org/ssi/Server1", *PROPERTIES, SERVER),
    "server-introspect": ("/org/ssi/Server1", *INTROSPECT),
}


# Several of them in turn.
MIXED = {"large": ("add", "test", "unknown", "uplink-register"),
         "reads": ("objects", "list", "introspect", "properties", "uplink-properties", "uplink-introspect", "server-properties", "server-introspect")}


# Two scripts at a time are looked at beside each other, and the second may be done first.
UNORDERED = {*MIXED, "validate", "test", "add"}


def whose(kind):
    """The name of the daemon."""
    return {"uplink": UPLINK, "server": SERVER}.get(kind.partition("-")[0], AGENT)



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
    kinds = MIXED.get(kind, (kind,))
    asked = [[bus.send(whose(k), *CALLS[k]) for k in itertools.islice(itertools.cycle(kinds), calls)] for bus in buses]
    for bus, serials in zip(buses, asked):
        order = []
        for serial, name, _ in answers(bus, list(serials)):
            counts[name] = counts.get(name, 0) + 1
            order += [serial] if not name else []
        assert kind in UNORDERED or order == sorted(order), order
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
