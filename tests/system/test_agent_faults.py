# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes of services on a host that fails them in the middle: all or nothing, and an error that says what to do."""
import pytest

from hosts import prints, script, wait_until
from rawbus import Bus, BusError, Variant

BIN, UNITS = "/usr/local/bin/ssi", "/etc/systemd/system"
PREFIX = "org.ssi.Agent1.Error."


@pytest.fixture(scope="module")
def host(boot_for_module):
    """The two folders are file systems of their own, so that they can be full or read-only."""
    host = boot_for_module("--agent")
    host.run(f"cp -a {UNITS} /root/units && mount -t tmpfs -o mode=755 tmpfs {UNITS} && cp -a /root/units/. {UNITS}/ &&"
             f" mkdir -p {BIN} && mount -t tmpfs -o mode=755 tmpfs {BIN} && systemctl daemon-reload && systemctl restart ssid")
    return host


@pytest.fixture
def bus(host):
    with Bus(host) as b:
        yield b


@pytest.fixture
def former(host, bus):
    """A service that has run and that nothing may harm."""
    bus.manager("AddService", "ssa{sv}", "former.bash", script("Former", prints("OK", "first")), {})
    # A service of this name that was there before has left its last run in the journal.
    last = bus.properties("former")["LastRunUSec"]
    host.run("systemctl start ssi-former.service")
    wait_until(lambda: bus.properties("former")["LastRunUSec"] > last)
    assert bus.properties("former")["Status"] == "OK"
    yield
    bus.manager("RemoveService", "s", "former")
    assert state(host) == []


def state(host):
    """The files of services and their identity, also under other names, and what systemd makes of them."""
    out = host.run(f"cd / && find {BIN} {UNITS} -type f -path '*ssi*' ! -name filler -printf '%p %m %s %i %T@\\n';"
                   f" find {UNITS} -type l -printf '%p %l\\n';"
                   " systemctl list-units --all --plain --no-legend 'ssi-*' | awk '{print $1, $2, $3}'").stdout
    known = ("multi-user.target.wants", "ssi-testhost", ".service.d/", "ssi-serverd", "ssi-uplinkd", "ssi-postgres", "/dev/null")
    return sorted(line for line in out.splitlines() if not any(k in line for k in known))


class Room:
    """Leaves a file system so many inodes, or no room at all."""

    def __init__(self, host, path, inodes=None):
        self.host, self.path, self.inodes = host, path, inodes

    def __enter__(self):
        if self.inodes is None:
            self.host.run(f"n=$(df -k --output=used {self.path} | tail -1); mount -o remount,size=$((n + 4))k {self.path};"
                          f" ! dd if=/dev/zero of={self.path}/filler bs=4k status=none")
        else:
            self.host.run(f"n=$(df --output=iused {self.path} | tail -1);"
                          f" mount -o remount,nr_inodes=$((n + {self.inodes})) {self.path}")

    def __exit__(self, *exc):
        self.host.run(f"rm -f {self.path}/filler; mount -o remount,size=10m,nr_inodes=10000 {self.path}")


class ReadOnly:
    def __init__(self, host, path):
        self.host, self.path = host, path

    def __enter__(self):
        self.host.run(f"mount -o remount,ro {self.path}")

    def __exit__(self, *exc):
        self.host.run(f"mount -o remount,rw {self.path}")


class NoReload:
    """The bus keeps ssid's Reload from PID 1; systemctl has another way."""

    POLICY = "/etc/dbus-1/system.d/zz-no-reload.conf"
    CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><policy context="mandatory">
  <deny send_destination="org.freedesktop.systemd1" send_interface="org.freedesktop.systemd1.Manager" send_member="Reload"/>
</policy></busconfig>
"""

    def __init__(self, host):
        self.host = host

    def reload_bus(self):
        self.host.run("busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig")

    def __enter__(self):
        self.host.write(self.POLICY, self.CONFIG)
        self.reload_bus()

    def __exit__(self, *exc):
        self.host.run(f"rm {self.POLICY}")
        self.reload_bus()


class FullRun:
    """systemd refuses to reload when /run has less than 16 MiB left for its state."""

    def __init__(self, host):
        self.host = host

    def __enter__(self):
        self.host.run("n=$(df -k --output=used /run | tail -1); findmnt -no OPTIONS /run >/root/run-options;"
                      " mount -o remount,size=$((n + 4096))k /run")

    def __exit__(self, *exc):
        self.host.run("mount -o remount,$(cat /root/run-options) /run")


FAULTS = {
    "no room for the script": (lambda h: Room(h, BIN), "No space left on device", f"Make room in {BIN}"),
    "no room for the units": (lambda h: Room(h, UNITS), "No space left on device", f"Make room in {BIN} and {UNITS}"),
    "no inode for the second unit": (lambda h: Room(h, UNITS, 1), "No space left on device", "Make room"),
    "no inode to go on": (lambda h: Room(h, UNITS, 2), "No space left on device", ""),
    "read-only units": (lambda h: ReadOnly(h, UNITS), "Read-only file system", f"Make {BIN} and {UNITS} writable"),
    "read-only scripts": (lambda h: ReadOnly(h, BIN), "Read-only file system", f"Make {BIN} and {UNITS} writable"),
    "Reload is denied": (NoReload, "", 'Try again when "systemctl daemon-reload" works'),
    "systemd refuses Reload": (FullRun, "Refusing to reload", 'Try again when "systemctl daemon-reload" works'),
}


def refused(call, *args):
    with pytest.raises(BusError) as e:
        call(*args)
    print(e.value)
    return e.value


def check(error, name, what, hint):
    assert error.name == PREFIX + name
    assert what in error.message and hint in error.message
    assert "Nothing has changed." in error.message
    assert "\n" not in error.message


@pytest.mark.parametrize("fault", FAULTS)
def test_add(host, bus, former, fault):
    context, what, hint = FAULTS[fault]
    before = state(host)
    text = script("Latter", prints("OK", "x") + "\n" + "# filling\n" * 3000)
    with context(host):
        error = refused(bus.manager, "AddService", "ssa{sv}", "latter.bash", text, {})
        during = state(host)
        assert not any("latter" in s[0] for s in bus.manager("ListServices")[0])
    check(error, "InstallFailed", what, hint)
    assert during == before == state(host)
    assert "latter" not in host.run("ls /var/lib/systemd/timers").stdout


@pytest.mark.parametrize("fault", FAULTS)
def test_replace(host, bus, former, fault):
    context, what, hint = FAULTS[fault]
    before, properties = state(host), bus.properties("former")
    text = script("Former", prints("WARNING", "second") + "\n" + "# filling\n" * 3000, version="2.0", timeout="77s")
    with context(host):
        error = refused(bus.manager, "AddService", "ssa{sv}", "former.bash", text, {"replace": Variant("b", True)}.items())
        assert state(host) == before
    check(error, "InstallFailed", what, hint)
    assert state(host) == before
    after = bus.properties("former")
    for key in ("ScriptVersion", "TimeoutUSec", "Enabled", "Status", "Message", "LastRunUSec"):
        assert after[key] == properties[key], key
    host.run("systemctl start ssi-former.service")
    wait_until(lambda: bus.properties("former")["LastRunUSec"] > properties["LastRunUSec"])
    assert bus.properties("former")["Message"] == "first"


@pytest.mark.parametrize("fault, enabled", [
    ("no room for the script", True), ("read-only units", True), ("read-only units", False), ("read-only scripts", True),
    ("Reload is denied", True), ("Reload is denied", False), ("systemd refuses Reload", True),
])
def test_remove(host, bus, former, fault, enabled):
    context, what, hint = FAULTS[fault]
    if not enabled:
        bus.service("former", "Disable")
    before, properties = state(host), bus.properties("former")
    with context(host):
        error = refused(bus.manager, "RemoveService", "s", "former")
        assert state(host) == before
    check(error, "RemoveFailed", what, hint)
    after = bus.properties("former")
    for key in ("Enabled", "Status", "Message", "LastRunUSec"):
        assert after[key] == properties[key], key
    assert host.show("ssi-former.timer", "ActiveState")["ActiveState"] == ("active" if enabled else "inactive")


@pytest.mark.parametrize("fault", ["Reload is denied", "systemd refuses Reload"])
@pytest.mark.parametrize("enabled", [True, False])
def test_enable_and_disable(host, bus, former, fault, enabled):
    context, what, hint = FAULTS[fault]
    if not enabled:
        bus.service("former", "Disable")
    before = state(host)
    with context(host):
        error = refused(bus.service, "former", "Disable" if enabled else "Enable")
        assert state(host) == before
    check(error, "ChangeFailed", what, hint)
    assert bus.properties("former")["Enabled"] == enabled
    assert host.show("ssi-former.timer", "ActiveState")["ActiveState"] == ("active" if enabled else "inactive")


def test_what_ssictl_says(host, former):
    path = host.write("/tmp/latter.bash", script("Latter", prints("OK", "x")))
    with ReadOnly(host, UNITS):
        r = host.run(["ssictl", "add", path], check=False)
    assert r.returncode == 1 and r.stdout == ""
    print(r.stderr)
    assert len(r.stderr.splitlines()) == 1 and "writable" in r.stderr


def test_a_restart_after_a_fault_finds_nothing_to_do(host, former):
    before = state(host)
    host.run("systemctl restart ssid")
    assert state(host) == before
    assert "interrupted change" not in host.run("journalctl -b -u ssid -o cat").stdout
