# SPDX-License-Identifier: LGPL-2.1-or-later
"""The network between the hosts: a bridge in a network namespace, to which each host is plugged. A test's own sockets begin there."""
import ctypes
import http.client
import os
import socket
import ssl
import subprocess

from hosts import Host

ADDRESS = "10.77.0.{}"


def mac(address):
    return "02:77:00:00:00:%02x" % int(address.rsplit(".", 1)[1])


class Switch(Host):
    """The namespace is that of a process which does nothing, and ends with it."""

    def __init__(self):
        super().__init__("switch")
        self.process = None
        self.plugs = {}   # by host: the switch's end of the cable
        self.tls = ssl.create_default_context()
        self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE

    def up(self):
        self.process = subprocess.Popen(["unshare", "--net", "setpriv", "--pdeathsig", "KILL", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        # Not before it is in its namespace.
        while subprocess.run(["cmp", "-s", f"/proc/{self.process.pid}/comm", "-"], input=b"sleep\n").returncode:
            pass
        self.link("link set lo up", "link add br0 type bridge", f"address add {ADDRESS.format(1)}/24 dev br0",
                  f"link set br0 address {mac(ADDRESS.format(1))}", "link set br0 up")
        return self

    def down(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    @property
    def leader(self):
        return self.process.pid

    def link(self, *commands):
        subprocess.run(["nsenter", "--net", f"--target={self.leader}", "ip", "-batch", "-"], input="".join(c + "\n" for c in commands),
                       text=True, check=True, capture_output=True)

    # -- cables --------------------------------------------------------------------------------------------------

    def plug(self, host, address):
        end = f"p{address.rsplit('.', 1)[1]}"
        self.plugs[host] = (end, address)
        self.link(f"link add {end} type veth peer name eth0 netns {host.leader}", f"link set {end} master br0 up")
        host.run(f"ip link set eth0 address {mac(address)} && ip address add {address}/24 dev eth0 && ip link set lo up && ip link set eth0 up")

    def introduce(self):
        """Each host knows the others for good, as if they were behind a router: a host that is gone is silence, not an error."""
        known = "".join(f"neigh replace {a} lladdr {mac(a)} dev {{0}} nud permanent\n" for _, a in self.plugs.values())
        self.link(*known.format("br0").splitlines())
        for host in self.plugs:
            host.run(["ip", "-batch", "-"], input="".join(
                line + "\n" for line in known.format("eth0").splitlines() if f" {self.plugs[host][1]} " not in line) +
                f"neigh replace {ADDRESS.format(1)} lladdr {mac(ADDRESS.format(1))} dev eth0 nud permanent\n")

    def cut(self, host):
        """The cable is pulled: the host notices."""
        self.link(f"link set {self.plugs[host][0]} down")

    def black_hole(self, host):
        """Nothing passes, and nobody is told."""
        self.link(f"link set {self.plugs[host][0]} nomaster")

    def mend(self, host):
        self.link(f"link set {self.plugs[host][0]} master br0 up")
        # A cable that was pulled takes what the kernel had learnt with it.
        self.introduce()

    def in_network_for_good(self, work):
        """Calls work() in this thread, which stays in the switch's network."""
        fd = os.open(f"/proc/{self.leader}/ns/net", os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) < 0:
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(fd)
        work()

    # -- questions -----------------------------------------------------------------------------------------------

    def get(self, address, port, path, tls=False, timeout=2, here=False, name="ssi.example.org"):
        """(status, body) of one GET from the switch. here: this thread is there."""
        sock = socket.create_connection((address, port), timeout) if here else self.connect(port, address, timeout)
        try:
            sock.settimeout(timeout)
            if tls:
                sock = self.tls.wrap_socket(sock, server_hostname=name)
            c = http.client.HTTPConnection(name)
            c.sock = sock
            c.request("GET", path, headers={"Connection": "close"})
            r = c.getresponse()
            return r.status, r.read()
        except (http.client.HTTPException, socket.timeout) as e:
            raise OSError(str(e)) from e
        finally:
            sock.close()
