# SPDX-License-Identifier: LGPL-2.1-or-later
"""Peers from the distribution's archive, kept away from the machine: fetched into a folder, never installed on it."""
import glob
import os
import subprocess


class Missing(Exception):
    """A peer is not to be had: its part is left out, and says so."""


def fetch(folder, *names):
    """The packages and what they need that this machine has not, as files. The machine's own state is not changed."""
    os.makedirs(folder + "/partial", exist_ok=True)
    command = ["apt-get", "install", "-y", "-q", "--download-only", "--no-install-recommends", "-o",
               f"Dir::Cache::archives={folder}", "-o", "Debug::NoLocking=1", *names]
    r = subprocess.run(command, text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    if r.returncode:
        raise Missing(f"{' '.join(names)}: not to be had from apt (apt-get update?): {r.stderr.strip()[-300:]}")
    return sorted(glob.glob(folder + "/*.deb"))


def unpack(folder, files):
    for f in files:
        subprocess.run(["dpkg-deb", "-x", f, folder], check=True)
    return folder


def library_path(root):
    return ":".join(sorted(p for p in glob.glob(root + "/usr/lib/*-linux-gnu") + glob.glob(root + "/lib/*-linux-gnu")))


def install_in(host, files):
    """Installs into a throwaway host, which has no network."""
    for f in files:
        host.write("/tmp/debs/" + os.path.basename(f).replace("%3a", ":"), open(f, "rb").read())
    host.run("DEBIAN_FRONTEND=noninteractive dpkg -i --force-confdef /tmp/debs/*.deb", timeout=300)
