# SPDX-License-Identifier: LGPL-2.1-or-later
"""Forges signals and replies, inside a host and as whoever runs it:  forger.py SECONDS RATE [SERVICE…]

Sends to each of SSI's programs on the bus, by its unique and its well-known name, everything that any of them listens to, with contents
that would do harm to the services named. RATE: signals per second, 0 for as many as the bus takes. Prints what it has sent, as a line of
JSON.
"""
import itertools
import json
import sys
import time

from rawbus import ERROR, METHOD_RETURN, SIGNAL, Bus, BusError, Variant

SYSTEMD, UNIT = "org.freedesktop.systemd1", "/org/freedesktop/systemd1/unit/"
AGENT, AGENT_PATH = "org.ssi.Agent1", "/org/ssi/Agent1"
PROPERTIES, OBJECTS = "org.freedesktop.DBus.Properties", "org.freedesktop.DBus.ObjectManager"
NO_REPLY_EXPECTED = 1
NAMES = (AGENT, "org.ssi.Uplink1", "org.ssi.Server1")
PROGRAMS = ("ssid", "ssi-uplinkd", "ssi-serverd", "ssictl")
ROUND_SEC = 1


def escape(text):
    return "".join(c if c.isalnum() else f"_{ord(c):02x}" for c in text)


def changed(path, interface, **values):
    return path, PROPERTIES, "PropertiesChanged", "sa{sv}as", interface, values, []


def texts(**values):
    return {k: Variant("s", v) for k, v in values.items()}


def about_service(slug):
    path = f"{AGENT_PATH}/service/{escape(slug)}"
    service = {**texts(Name=slug, Title="forged", Description="forged", ScriptVersion="666", Schedule="forged", Status="FAILURE",
                       Message="forged", LastRunResult="timeout", LastRunDetail="forged"),
               "Metadata": Variant("a{ss}", {"description": "forged", "version": "666"}), "Enabled": Variant("b", 0), "TimeoutUSec": Variant("t", 1), "NextRunUSec": Variant("t", 1),
               "LastRunUSec": Variant("t", 1), "Watches": Variant("as", ["forged.service"]), "DependsOn": Variant("as", ["forged"])}
    yield changed(path, f"{AGENT}.Service", **service)
    yield AGENT_PATH, OBJECTS, "InterfacesRemoved", "oas", path, [f"{AGENT}.Service"]
    yield AGENT_PATH, f"{AGENT}.Manager", "StatusReported", "ssst", slug, "FAILURE", "forged", 1
    yield path, f"{AGENT}.Service", "StatusChanged", "ssst", "OK", "FAILURE", "forged", 1
    for unit, interface, values in (
            (f"ssi-{slug}.timer", "Timer", {"NextElapseUSecRealtime": Variant("t", 1)}),
            (f"ssi-{slug}.service", "Unit", texts(ActiveState="failed")),
            ("watched-thing.service", "Unit", texts(ActiveState="failed")),
            ("watched-thing.service", "Unit", texts(ActiveState="active"))):
        yield changed(UNIT + escape(unit), f"{SYSTEMD}.{interface}", **values)


def about_nothing_in_particular(n):
    made_up = f"made-up-{n}"
    yield AGENT_PATH, OBJECTS, "InterfacesAdded", "oa{sa{sv}}", f"{AGENT_PATH}/service/{escape(made_up)}", {
        f"{AGENT}.Service": {**texts(Name=made_up, Title="forged", Schedule="forged"), "Enabled": Variant("b", 1)}}
    yield changed(AGENT_PATH, f"{AGENT}.Manager", ShuttingDown=Variant("b", 1), **texts(OverallStatus="FAILURE"))
    for interface, member, *values in (
            ("Manager", "UnitFilesChanged", ""), ("Manager", "Reloading", "b", 1), ("Manager", "Reloading", "b", 0),
            ("Manager", "UnitNew", "so", "ssi-forged.service", UNIT + "forged"),
            ("Manager", "UnitRemoved", "so", "ssi-forged.service", UNIT + "forged")):
        yield "/org/freedesktop/systemd1", f"{SYSTEMD}.{interface}", member, *values
    yield "/org/freedesktop/login1", "org.freedesktop.login1.Manager", "PrepareForShutdown", "b", 1
    yield changed("/org/freedesktop/login1", "org.freedesktop.login1.Manager", PreparingForShutdown=Variant("b", 1))
    yield changed("/org/freedesktop/timedate1", "org.freedesktop.timedate1", **texts(Timezone="Antarctica/Troll"))
    yield "/org/freedesktop/PolicyKit1/Authority", "org.freedesktop.PolicyKit1.Authority", "Changed", ""
    yield "/org/ssi/Server1", "org.ssi.Server1", "Progress", "ss", "backup", "forged"
    yield changed("/org/ssi/Uplink1", "org.ssi.Uplink1", Connected=Variant("b", 0))


def lost_names(own, names):
    """That they have gone, and that the forger is who owns them now."""
    for name in (*NAMES, SYSTEMD, "org.freedesktop.login1", *names):
        for owner in ("", own):
            yield "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged", "sss", name, name, owner


def ended_jobs(jobs):
    for number, _, _, _, path, _ in jobs:
        yield "/org/freedesktop/systemd1", f"{SYSTEMD}.Manager", "JobRemoved", "uoss", number, path, "ssi-forged.service", "failed"


def command(bus, name):
    try:
        pid = bus.bus("GetConnectionUnixProcessID", "s", name)[0]
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip()
    except (BusError, OSError):
        return ""


def replies(bus, name, serials):
    """Answers to calls that name may have made, each as a success and as a failure."""
    for serial in serials:
        yield bus.encode(METHOD_RETURN, name, None, None, None, "s", "forged", reply_to=serial)
        yield bus.encode(ERROR, name, None, None, "org.freedesktop.DBus.Error.UnknownObject", "s", "forged", reply_to=serial)
        # Of no type that answers, and yet with the serial of a call.
        yield bus.encode(SIGNAL, name, "/forged", "org.example.Forged", "Reply", reply_to=serial)


def targets(bus):
    """(unique names of SSI's programs, the well-known ones that are there)"""
    names = bus.bus("ListNames")[0]
    return [n for n in names if n.startswith(":") and command(bus, n) in PROGRAMS], [n for n in NAMES if n in names]


def main(seconds, rate, *services):
    end, sent, started = time.monotonic() + float(seconds), 0, time.monotonic()
    counts, made_up = {}, itertools.count()
    rate = float(rate)
    with Bus(None) as bus:
        while time.monotonic() < end:
            round_end = min(end, time.monotonic() + ROUND_SEC)
            unique, well_known = targets(bus)
            jobs = bus.call(SYSTEMD, "/org/freedesktop/systemd1", f"{SYSTEMD}.Manager", "ListJobs")[0]
            signals = [*lost_names(bus.name, unique), *ended_jobs(jobs), *about_nothing_in_particular(next(made_up))]
            for s in services:
                signals += about_service(s)
            for signal in itertools.cycle(signals):
                if time.monotonic() >= round_end:
                    break
                for destination in (*unique, *well_known):
                    bus.socket.sendall(bus.encode(SIGNAL, destination, *signal, flags=NO_REPLY_EXPECTED))
                    counts[signal[2]] = counts.get(signal[2], 0) + 1
                    sent += 1
                    if rate and (wait := started + sent / rate - time.monotonic()) > 0:
                        time.sleep(wait)
                    if sent % 10 == 0 and unique:
                        for reply in replies(bus, unique[sent // 10 % len(unique)], [sent // 10 % 500 + 1]):
                            bus.socket.sendall(reply)
                            counts["replies"] = counts.get("replies", 0) + 1
        # Whether the bus has had enough of it, this tells.
        bus.bus("GetId")
    print(json.dumps({"sent": sent, **counts}))


if __name__ == "__main__":
    main(*sys.argv[1:])
