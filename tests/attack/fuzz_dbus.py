# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every method and property of a live daemon's interfaces, called with arguments of their types that are as odd as they can
be, and of other types."""
import xml.etree.ElementTree as ET

from rawbus import Bus, BusError, Variant, split

TARGETS = (("org.ssi.Agent1", "/org/ssi/Agent1"), ("org.ssi.Uplink1", "/org/ssi/Uplink1"), ("org.ssi.Server1", "/org/ssi/Server1"))
STANDARD = ("org.freedesktop.DBus.Properties", "org.freedesktop.DBus.ObjectManager", "org.freedesktop.DBus.Introspectable",
            "org.freedesktop.DBus.Peer")
TEXTS = ("", "a", "tick", "../../etc/passwd", "x" * 300, "x" * 70000, "Tick\nx", "%s%n%s", "\u202etxt\u0007", "ü😀" * 40,
         "# name: A\n# description: b\n# version: 1\n# schedule: hourly\n# timeout: 5\necho x\n",
         "#!/bin/bash\n# name: Fuzz\n# description: b\n# version: 1\n# schedule: *:*:0\n# timeout: 1s\necho 'x'\n",
         "https://localhost:1", "a@b", "-1", "1970-01-01", "/", "org.ssi.Agent1.Service", "Status")
INTS = (0, 1, -1, 2, 127, 255, 1000, 65535, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 63 - 1, 2 ** 64 - 1)
RANGES = {"y": (0, 255), "n": (-2 ** 15, 2 ** 15 - 1), "q": (0, 2 ** 16 - 1), "i": (-2 ** 31, 2 ** 31 - 1),
          "u": (0, 2 ** 32 - 1), "x": (-2 ** 63, 2 ** 63 - 1), "t": (0, 2 ** 64 - 1)}


def text(random):
    s = random.choice(TEXTS)
    if random.random() < 0.3 and s:
        at = random.randrange(len(s))
        s = s[:at] + random.choice(TEXTS)[:20] + s[at + 1:]
    return s.replace("\0", "")


def value(random, t, depth=0):
    if t == "b":
        return random.choice((0, 1))
    if t in RANGES:
        low, high = RANGES[t]
        return min(max(random.choice(INTS) if random.random() < 0.7 else random.randint(low, high), low), high)
    if t == "d":
        return random.choice((0.0, -1.5, 1e308, float("nan")))
    if t == "o":
        return random.choice(("/", "/org/ssi/Agent1", "/org/ssi/Agent1/service/tick", "/org/ssi/Agent1/service/_2e_2e"))
    if t == "g":
        return random.choice(("", "s", "a{sv}"))
    if t == "s":
        return text(random)
    if t == "v":
        inner = signature(random, depth + 1, 1)
        return Variant(inner, value(random, inner, depth + 1))
    if t[0] == "a":
        n = random.choice((0, 0, 1, 2, 5)) if depth < 3 else 0
        return [value(random, t[1:], depth + 1) for _ in range(n)]
    return [value(random, inner, depth + 1) for inner in split(t[1:-1])]


def signature(random, depth=0, n=None):
    def one():
        t = random.choice("ybnqiuxtdsogv" + ("aa(" if depth < 3 else ""))
        if t == "a":
            return "a" + (random.choice(("{sv}", "{us}")) if random.random() < 0.5 else signature(random, depth + 1, 1))
        return f"({signature(random, depth + 1, random.randint(1, 3))})" if t == "(" else t

    return "".join(one() for _ in range(random.randint(0, 4) if n is None else n))


def members(bus, name, path):
    """[(path, interface, member, signature)], of the object and of those below it."""
    try:
        tree = ET.fromstring(bus.call(name, path, "org.freedesktop.DBus.Introspectable", "Introspect")[0])
    except BusError:
        return []
    found = []
    for interface in tree.iter("interface"):
        for method in interface.iter("method"):
            args = "".join(a.get("type") for a in method.iter("arg") if a.get("direction", "in") == "in")
            found.append((path, interface.get("name"), method.get("name"), args))
    for node in list(tree.findall("node"))[:3]:
        found += members(bus, name, path.rstrip("/") + "/" + node.get("name"))
    return found


def calls(host, random):
    """Makes a call, again and again: yields its name and its answer, an error's name or None."""
    bus, known = Bus(host, timeout=60), {}
    while True:
        name, root = random.choice(TARGETS)
        if name not in known or random.random() < 0.01:
            known[name] = members(bus, name, root)
        if not known[name]:
            continue
        path, interface, member, args = random.choice(known[name])
        if random.random() < 0.15:
            args = signature(random)
        if random.random() < 0.05:
            interface, member = random.choice(STANDARD + (interface,)), text(random)[:20] or "x"
            if not (member.isascii() and member.isidentifier()):
                member = "Nothing"
        try:
            bus.call(name, path, interface, member, args, *(value(random, t) for t in split(args)))
            answer = None
        except BusError as e:
            answer = e.name
        except ConnectionError:
            # The broker refuses what no library would let through.
            bus, answer = Bus(host, timeout=60), "the bus refused it"
        yield f"{interface}.{member}", answer
