# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a caller on the bus may send: every method refuses it by name and says what is wrong, and ssid goes on."""
import pytest

from hosts import prints, script
from rawbus import Bus, BusError, Variant

OWN = "org.ssi.Agent1.Error."
LIMITS = "org.freedesktop.DBus.Error.LimitsExceeded"
DOCUMENTED = {OWN + n for n in ("InvalidScript", "InvalidName", "InvalidOption", "NoSuchService", "AlreadyExists", "TooLarge",
                                "InstallFailed", "RemoveFailed", "ChangeFailed", "TestFailed", "RunFailed", "ReadFailed",
                                "ValidationFailed", "TimedOut")}
SCRIPT = script("Hostile", prints("OK", "x"))


@pytest.fixture(scope="module")
def bus(agent):
    """All hostile calls are one connection's, and there is one service. The same ssid answers to the end, and nothing is
    changed."""
    def files():
        return agent.run("ls -A /usr/local/bin/ssi /etc/systemd/system /run/ssid").stdout

    with Bus(agent) as b:
        before = files()
        b.manager("AddService", "ssa{sv}", "x", script("Genuine", prints("OK", "x")), {})
        ssid = pid(b)
        yield b
        assert pid(b) == ssid
        assert [s[0] for s in b.manager("ListServices")[0]].count("genuine") == 1
        b.manager("RemoveService", "s", "genuine")
        assert files() == before


def pid(b):
    return b.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionUnixProcessID", "s",
                  "org.ssi.Agent1")[0]


def refused(call, *args):
    with pytest.raises(BusError) as e:
        call(*args)
    error = e.value
    assert len(error.message) < 4096 and "\n" not in error.message, error
    assert not any(ord(c) < 32 for c in error.message)
    return error


NAMES = {
    "empty": "", "dots": "../hostile", "path": "/etc/passwd", "newline": "hos\ntile", "escape": "\x1b[31mhostile\x1b[0m",
    "10 kB": "a" * 10_000, "10 kB of two bytes each, off by one": "x" + "é" * 5_000, "upper": "A" * 64, "unit": "ssi-x.service",
    "percent": "%s%n%p", "other script": "日本語", "surroundings": " genuine ", "slash": "genuine/", "nearly": "GENUINE\n",
}


def test_names(bus):
    for name in NAMES.values():
        for member, signature, more in (("RemoveService", "s", ()), ("GetService", "s", ()), ("GetLog", "su", (10,))):
            error = refused(bus.manager, member, signature, name, *more)
            assert error.name == OWN + "NoSuchService", name
            assert "ssictl list" in error.message


def test_the_title_of_a_service_is_a_name(bus):
    assert bus.manager("GetService", "s", "Genuine") == bus.manager("GetService", "s", "genuine")


def test_paths(bus):
    for path in ("no_2dsuch", "_2e_2e_2fgenuine", "genuine/below", "_zz", "x" * 1000):
        for member in ("Run", "Enable", "Disable", "Remove", "GetScript"):
            error = refused(bus.call, "org.ssi.Agent1", "/org/ssi/Agent1/service/" + path, "org.ssi.Agent1.Service", member)
            assert error.name == "org.freedesktop.DBus.Error.UnknownObject", path


def with_script(bus, member, filename, content, options=()):
    if member == "AddService":
        return bus.manager(member, "ssa{sv}", filename, content, options)
    return bus.manager(member, "ss", filename, content)


def test_scripts_that_are_too_large_and_file_names(bus):
    for member in ("ValidateScript", "TestScript", "AddService"):
        error = refused(with_script, bus, member, "x", SCRIPT + "#" * (1024 * 1024 + 1))
        assert error.name == OWN + "TooLarge" and "1048576" in error.message
        # What no method takes does not get that far.
        error = refused(with_script, bus, member, "x", SCRIPT + "#" * (10 * 1024 * 1024))
        assert error.name == LIMITS and "1179648 bytes" in error.message
        for name in ("x" * 10_000, "a\nb:1: error: forged", "\x1b[2J"):
            error = refused(with_script, bus, member, name, SCRIPT)
            assert error.name == OWN + "InvalidName" and "base name" in error.message


def test_a_header_that_cannot_be(bus):
    """Named by its lines; an error's text is text, whatever the script holds."""
    header = "# name: {}\n# description: d\n# version: 1\n# schedule: {}\n# timeout: 5\n"
    for content in (header.format("../../etc/x/" + "y" * 200, "daily"), header.format("\x1b[31m", "daily"),
                    header.format("x", "é" * 120), header.format("x", "%n%n"), "", "\x01" * 1000, "# name: x\r\n" * 3000,
                    header.format("Ok", "daily") + "if [ \x1b[2J" + "é" * 300 + "\x07 ))\n", header.format("x", "--help")):
        valid, problems, _ = bus.manager("ValidateScript", "ss", "x", content)
        assert not valid and problems
        for _, _, text in problems:
            assert len(text) < 2048 and not any(ord(c) < 32 for c in text), text
        with pytest.raises(BusError) as e:
            bus.manager("AddService", "ssa{sv}", "x", content, {})
        assert e.value.name == OWN + "InvalidScript"


def test_no_path_leads_out(agent, bus):
    """The name of a script is no path: what is installed stands in its folder."""
    path, *_ = bus.manager("AddService", "ssa{sv}", "../../../etc/passwd", SCRIPT.replace("# name: Hostile", "# name: ../../etc/hostile"), {})
    try:
        assert path == "/org/ssi/Agent1/service/etc_2dhostile"
        assert agent.run(["ls", "/etc/hostile", "/usr/local/etc/hostile"], check=False).stdout == ""
    finally:
        bus.manager("RemoveService", "s", "etc-hostile")


OPTIONS = {
    "unknown": ([("no-such", Variant("b", True))], '"no-such" is not known'),
    "a name of 10 kB": ([("x" + "é" * 5000, Variant("b", True))], "is not known"),
    "a name with line breaks": ([("a\nb", Variant("b", True))], "is not known"),
    "the wrong type": ([("replace", Variant("s", "yes"))], '"replace" has a value of the wrong type'),
    "a container": ([("run", Variant("a{sv}", [("run", Variant("b", True))]))], '"run" has a value of the wrong type'),
    "a deep one": ([("run", Variant("aaaaaaaaaaaaaaaaau", []))], "wrong type"),
    "many": ([(f"option-{i}", Variant("t", i)) for i in range(100)], '"option-0" is not known'),
    "an array": ([("run", Variant("ay", bytes(500)))], "wrong type"),
}

MORE_THAN_ANY_METHOD_TAKES = {
    "many": [(f"option-{i}", Variant("t", i)) for i in range(10_000)],
    "a large one": [("run", Variant("ay", bytes(8 * 1024 * 1024)))],
}


def test_options(bus):
    for what, (options, text) in OPTIONS.items():
        error = refused(bus.manager, "AddService", "ssa{sv}", "x", SCRIPT, options)
        assert error.name == OWN + "InvalidOption" and text in error.message, what
    for what, options in MORE_THAN_ANY_METHOD_TAKES.items():
        error = refused(bus.manager, "AddService", "ssa{sv}", "x", SCRIPT, options)
        assert error.name == LIMITS and "1179648 bytes, or too many values" in error.message, what
    # Repeating one is none.
    with pytest.raises(BusError) as e:
        bus.manager("AddService", "ssa{sv}", "x", "", [("run", Variant("b", True))] * 200)
    assert e.value.name == OWN + "InvalidScript"


def test_arguments_of_other_types(bus):
    for member, signature, args in (
            ("AddService", "ss", ("x", SCRIPT)), ("AddService", "ssas", ("x", SCRIPT, [])), ("RemoveService", "", ()),
            ("RemoveService", "u", (7,)), ("GetLog", "ss", ("x", "y")), ("ListServices", "s", ("x",)), ("TestScript", "ay", (b"x",))):
        error = refused(bus.manager, member, signature, *args)
        assert error.name == "org.freedesktop.DBus.Error.InvalidArgs", member


def test_what_is_not_there(bus):
    assert refused(bus.manager, "NoSuchMethod").name == "org.freedesktop.DBus.Error.UnknownMethod"
    assert refused(bus.call, "org.ssi.Agent1", "/org/ssi/Nothing", "org.ssi.Agent1.Manager", "Reload").name == \
        "org.freedesktop.DBus.Error.UnknownObject"
    error = refused(bus.call, "org.ssi.Agent1", "/org/ssi/Agent1", "org.freedesktop.DBus.Properties", "Set", "ssv",
                    "org.ssi.Agent1.Manager", "Version", Variant("s", "9"))
    assert error.name == "org.freedesktop.DBus.Error.PropertyReadOnly"


def test_text_that_is_none(agent, bus):
    """dbus-daemon ends the connection of who sends it, and ssid never sees it."""
    for bad in (b"\xff\xfe", b"\xc3", b"a\x00b", b"\xed\xa0\x80"):
        for member, signature, args in (("RemoveService", "s", (bad,)), ("ValidateScript", "ss", (b"x", bad)),
                                        ("AddService", "ssa{sv}", ("x", SCRIPT, [(bad, Variant("b", True))]))):
            with Bus(agent) as b, pytest.raises(ConnectionError):
                b.manager(member, signature, *args)


def test_a_service_that_cannot_be_started(agent, bus):
    agent.write("/etc/systemd/system/ssi-genuine.service.d/refuse.conf", "[Unit]\nRefuseManualStart=yes\n")
    agent.run("systemctl daemon-reload")
    try:
        error = refused(bus.service, "genuine", "Run")
        assert error.name == OWN + "RunFailed" and "systemctl status" in error.message
    finally:
        agent.run("rm -r /etc/systemd/system/ssi-genuine.service.d; systemctl daemon-reload")


def test_the_names_are_documented(agent):
    """Each name of an error stands in the XML, and so in org.ssi.Agent1(5)."""
    xml = agent.run("cat /usr/share/dbus-1/interfaces/org.ssi.Agent1.Manager.xml").stdout
    for name in DOCUMENTED:
        assert "." + name.rpartition(".")[2] in xml, name
    for name in ("AccessDenied", "InteractiveAuthorizationRequired", "LimitsExceeded", "InvalidArgs", "UnknownMethod",
                 "UnknownObject", "PropertyReadOnly", "NoMemory"):
        assert name in xml, name
