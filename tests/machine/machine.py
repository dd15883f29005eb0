# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine that qemu emulates, with the face of a throwaway host: commands, files, the journal; and its power."""
import contextlib
import datetime
import re
import subprocess
import time
from pathlib import Path

from hosts import Host, wait_until
from qmp import Qmp

ADDRESS = "10.84.0.2"
GATEWAY = "10.84.0.1"
SHELL_PORT = 2323
TAP = "ssi-machine"

CMDLINE = "root=/dev/nvme0n1 rw console=ttyS0 quiet mitigations=off systemd.show_status=no net.ifnames=0 cryptomgr.notests tsc=reliable"

# Emulated, each thing takes some twenty times as long.
BOOT_TIMEOUT = 900


def say(text):
    print(f"  [{time.strftime('%H:%M:%S')}] {text}", flush=True)


class Machine(Host):
    """Boots the disk (which it writes to) with its kernel. Its network is a cable into the host `server`, a Host that runs."""

    def __init__(self, name, folder, server, memory=1024):
        super().__init__(name)
        self.folder = Path(folder)
        self.server = server
        self.memory = memory
        self.process = None
        self.qmp = None
        self.boots = 0

    # -- power ---------------------------------------------------------------------------------------------------

    def lay_cable(self):
        self._in_servers_network("ip", "tuntap", "add", "dev", TAP, "mode", "tap")
        self._in_servers_network("ip", "address", "add", f"{GATEWAY}/24", "dev", TAP)
        self._in_servers_network("ip", "link", "set", TAP, "up")

    def _in_servers_network(self, *argv):
        subprocess.run(["nsenter", "-t", str(self.server.leader), "-n", *argv], check=True)

    def power_on(self, wait=True):
        """Boots, and waits until commands are taken."""
        assert not self.process
        monitor = self.folder / "monitor"
        monitor.unlink(missing_ok=True)
        self.boots += 1
        console = self.folder / f"console-{self.boots}.log"
        self.process = subprocess.Popen([
            "nsenter", "-t", str(self.server.leader), "-n", "--",
            "setpriv", "--pdeathsig", "KILL", "--",
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc",
            "-accel", "tcg,tb-size=512", "-cpu", "max", "-smp", "1", "-m", str(self.memory), "-rtc", "base=utc,clock=host",
            "-kernel", str(self.folder / "vmlinuz"), "-append", CMDLINE,
            "-drive", f"file={self.folder}/disk,format=raw,if=none,id=disk,cache=writethrough",
            "-device", "nvme,serial=1,drive=disk",
            "-netdev", f"tap,id=cable,ifname={TAP},script=no,downscript=no", "-device", "virtio-net-pci,netdev=cable,romfile=",
            "-device", "virtio-rng-pci", "-serial", f"file:{console}", "-qmp", f"unix:{monitor},server=on,wait=off",
        ], stdin=subprocess.DEVNULL, start_new_session=True)
        wait_until(lambda: self.process.poll() is not None or monitor.exists(), what="qemu's monitor")
        self.qmp = wait_until(lambda: Qmp(str(monitor)), what="qemu's monitor")
        if wait:
            self.wait_up()

    def wait_up(self):
        begin = time.monotonic()

        def answers():
            assert self.process.poll() is None, "qemu has ended"
            with contextlib.suppress(ValueError):
                return self.run("systemctl is-system-running --wait", check=False, timeout=BOOT_TIMEOUT).stdout.strip()

        state = wait_until(answers, timeout=BOOT_TIMEOUT, interval=1, what=f"it boots (see {self.folder}/console-{self.boots}.log)")
        assert state == "running", (state, self.run("systemctl --failed --no-legend --plain").stdout)
        say(f"{self.name} is up after {time.monotonic() - begin:.0f} s")

    def cut_power(self):
        """As if somebody pulled the plug: what the guest has not written is gone."""
        self.process.kill()
        self.process.wait()
        self._is_off()

    def power_off(self):
        """In order."""
        with contextlib.suppress(ConnectionError, ValueError):
            self.run("systemctl poweroff")
        self.process.wait(timeout=BOOT_TIMEOUT)
        self._is_off()

    def _is_off(self):
        self.qmp.close()
        self.process = self.qmp = None

    def down(self):
        if self.process:
            self.cut_power()

    def wait_event(self, name, timeout=BOOT_TIMEOUT):
        """Of qemu: RESET, SUSPEND, …"""
        self.qmp.wait_event(name, timeout)

    def wake_up(self):
        self.qmp.command("system_wakeup")
        self.qmp.wait_event("WAKEUP", 30)

    def advance_rtc(self, seconds):
        """Sets the clock that runs while the machine sleeps, as the time would."""
        def read(register):
            self.qmp.human(f"o/b 0x70 {register}")
            return int(re.search(r"= (0x[0-9a-f]+)", self.qmp.human("i/b 0x71"))[1], 16)

        def write(register, value):
            self.qmp.human(f"o/b 0x70 {register}")
            self.qmp.human(f"o/b 0x71 {value}")

        assert not read(0x0b) & 0x04 and read(0x0b) & 0x02, "the clock counts in BCD, by 24 hours"
        registers = (9, 8, 7, 4, 2, 0)
        now = [int(f"{read(r):x}") for r in registers]
        then = datetime.datetime(2000 + now[0], *now[1:]) + datetime.timedelta(seconds=seconds)
        write(0x0b, read(0x0b) | 0x80)
        for r, v in zip(registers, (then.year % 100, then.month, then.day, then.hour, then.minute, then.second)):
            write(r, int(str(v), 16))
        write(0x0b, read(0x0b) & ~0x80)

    # -- commands ------------------------------------------------------------------------------------------------

    @property
    def leader(self):
        """For the network, which is the server's: a connection made there reaches this machine."""
        return self.server.leader

    def run(self, cmd, user=None, input=None, check=True, timeout=300):
        """As Host.run(), through the guest's shell socket."""
        argv = self._argv(cmd, user)
        command = b"\0".join(a.encode() for a in argv) + b"\0"
        data = (input or "").encode()
        with self.connect(SHELL_PORT, ADDRESS) as s:
            s.settimeout(timeout)
            s.sendall(f"{len(command)} {len(data)}\n".encode() + command + data)
            with s.makefile("rb") as f:
                head = f.readline()
                if not head.endswith(b"\n"):
                    raise ConnectionResetError(f"{self.name} ended the connection in {cmd!r}")
                code, out, err = map(int, head.split())
                stdout, stderr = f.read(out).decode(), f.read(err).decode()
        if check and code != 0:
            raise AssertionError(f"{cmd!r} in {self.name} gave {code}\n{stdout}{stderr}")
        return subprocess.CompletedProcess(argv, code, stdout, stderr)

    def write(self, path, content, mode="0644"):
        assert isinstance(content, str)
        self.run(f'mkdir -p "$(dirname {path})" && cat >{path} && chmod {mode} {path}', input=content)
        return path

    # -- at the backend ------------------------------------------------------------------------------------------

    @staticmethod
    def wait_until(fn, timeout=300, what=None):
        return wait_until(fn, timeout, 0.5, what)

    def state(self):
        return self.server.account.get(f"/api/v1/servers/{self.server_id}")["state"]

    def wait_state(self, state, timeout=300):
        self.wait_until(lambda: self.state() == state, timeout, f"the backend says {state}")

    def stored(self, kind, column, slug=None):
        """What the backend has of this machine, in the order in which it was committed."""
        service = f"AND e.service = '{slug}'" if slug else ""
        return [row[0] for row in self.server.sql(
            f"SELECT {column} FROM events e JOIN servers s ON s.id = e.server_id WHERE s.public_id = '{self.server_id}' "
            f"AND e.kind = '{kind}' {service} ORDER BY e.id")]

    def results(self, slug):
        return self.stored("result", "e.message", slug)

    def errors(self, slug=None):
        return self.stored("error", "e.error_kind", slug)

    def gaps(self):
        return len(self.stored("gap", "e.at"))

    def kept(self, slug):
        """The messages of the status lines that the journal has, of all boots."""
        return [m[1] for m in (re.match(r"[-\d]+ [:\d]+, [A-Z]+, (.*)", line) for line in self.lines(slug)) if m]

    def start(self, cmd, user=None, **kwargs):
        raise NotImplementedError("run systemd-run")

    def tail(self):
        """The last that the journal says of the agent, for whoever reads about a failure."""
        return self.run("journalctl -q --no-pager -o short-precise -n 60 -u ssid -u ssi-uplinkd; systemctl --failed --no-legend --plain",
                        check=False).stdout

    def boot_id(self):
        return self.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout.strip().replace("-", "")
