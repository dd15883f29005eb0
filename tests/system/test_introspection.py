# SPDX-License-Identifier: LGPL-2.1-or-later
"""The interfaces on the bus are those of the design, and the installed XML says the same."""
import xml.etree.ElementTree as ET

import pytest

from hosts import prints, script

pytestmark = pytest.mark.essential

MANAGER = {
    "ValidateScript": "ss", "TestScript": "ss", "AddService": "ssa{sv}", "RemoveService": "s", "GetService": "s", "ListServices": "", "Reload": "",
}
SERVICE_PROPERTIES = {
    "Name": "s", "Title": "s", "Description": "s", "ScriptVersion": "s", "Metadata": "a{ss}",
    "Schedule": "s", "TimeoutUSec": "t", "Unit": "s",
    "User": "s", "Labels": "as", "Watches": "as", "DependsOn": "as", "Enabled": "b", "Status": "s", "Message": "s", "StatusTimestampUSec": "t", "LastRunUSec": "t", "LastRunInvocationID": "s",
    "LastRunResult": "s", "LastRunDurationUSec": "t", "LastRunCPUUSec": "t", "LastRunMemoryPeakBytes": "t", "NextRunUSec": "t",
}


def live(host, name, path):
    xml = host.run(["busctl", "--json=short", "call", name, path, "org.freedesktop.DBus.Introspectable", "Introspect"]).stdout
    import json
    root = ET.fromstring(json.loads(xml)["data"][0])
    return {i.get("name"): describe(i) for i in root.findall("interface") if i.get("name").startswith("org.ssi.")}


def describe(interface):
    """Everything that matters, in a form that compares."""
    members = {}
    for member in interface:
        if member.tag not in ("method", "signal", "property"):
            continue
        args = [(a.get("name"), a.get("type"), a.get("direction", "in" if member.tag == "method" else "out"))
                for a in member.findall("arg")]
        notes = sorted((a.get("name"), a.get("value")) for a in member.findall("annotation"))
        members[member.tag, member.get("name")] = (member.get("type"), member.get("access"), args, notes)
    return members


@pytest.fixture
def service_path(agent, add):
    add(agent, script("Introspected One", prints("OK", "x")))
    return "/org/ssi/Agent1/service/introspected_2done"


def test_the_manager(agent):
    out = agent.run(["busctl", "introspect", "org.ssi.Agent1", "/org/ssi/Agent1"]).stdout
    for name in ("org.ssi.Agent1.Manager", "org.freedesktop.DBus.ObjectManager", ".StatusReported", ".OverallStatus",
                 ".StatusCounts", ".Version", *("." + m for m in MANAGER)):
        assert name in out.split(), name
    interface = live(agent, "org.ssi.Agent1", "/org/ssi/Agent1")["org.ssi.Agent1.Manager"]
    for method, signature in MANAGER.items():
        args = interface["method", method][2]
        assert "".join(t for _, t, d in args if d == "in") == signature, method
        assert all(n for n, _, _ in args), f"{method} has arguments without names"


def test_a_service(agent, service_path):
    interface = live(agent, "org.ssi.Agent1", service_path)["org.ssi.Agent1.Service"]
    properties = {n: v[0] for (tag, n), v in interface.items() if tag == "property"}
    assert properties | SERVICE_PROPERTIES == properties
    assert ("signal", "StatusChanged") in interface
    assert "".join(t for _, t, _ in interface["signal", "StatusChanged"][2]) == "ssst"
    for method in ("Run", "Remove", "Enable", "Disable", "GetScript", "GetHistory"):
        assert ("method", method) in interface


def test_the_object_manager_lists_services(agent, service_path):
    out = agent.run(["busctl", "tree", "--list", "org.ssi.Agent1"]).stdout.split()
    assert service_path in out
    out = agent.run(["busctl", "call", "org.ssi.Agent1", "/org/ssi/Agent1", "org.freedesktop.DBus.ObjectManager",
                     "GetManagedObjects"]).stdout
    assert service_path in out


def test_the_uplink(agent):
    interface = live(agent, "org.ssi.Uplink1", "/org/ssi/Uplink1")["org.ssi.Uplink1"]
    assert "".join(t for _, t, d in interface["method", "Register"][2] if d == "in") == "ssa{sv}"
    assert ("method", "Unregister") in interface
    for name in ("Connected", "ServerURL", "AgentID", "LastAckUSec", "BacklogEntries", "Sent", "Failed", "Reconnects"):
        assert ("property", name) in interface, name


def test_the_installed_xml_is_the_live_one(agent, service_path):
    on_bus = {}
    for name, path in (("org.ssi.Agent1", "/org/ssi/Agent1"), ("org.ssi.Agent1", service_path),
                       ("org.ssi.Uplink1", "/org/ssi/Uplink1")):
        on_bus.update(live(agent, name, path))
    installed = {}
    for path in agent.run("ls /usr/share/dbus-1/interfaces/org.ssi.*.xml").stdout.split():
        for interface in ET.fromstring(agent.run(["cat", path]).stdout).iter("interface"):
            installed[interface.get("name")] = describe(interface)
    installed = {k: v for k, v in installed.items() if k in on_bus}
    assert installed.keys() == on_bus.keys()
    for name in on_bus:
        assert installed[name] == on_bus[name], name
