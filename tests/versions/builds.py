# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds of two versions, and throwaway hosts that have one and get the other."""
import os
import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / name) for name in ("system", "fault", "unit")]

from hosts import STATE, TESTHOST, Host  # noqa: E402

CACHE = Path("/var/cache/ssi-tests/versions")
# What the older one says that it is: no version was released yet, so all commits have the same number.
OLDER = "0.0.9"


def quietly(log, *command, **kwargs):
    with open(log, "ab") as f:
        if subprocess.run(command, stdout=f, stderr=f, stdin=subprocess.DEVNULL, **kwargs).returncode != 0:
            sys.exit(f"tests/versions/run: failed, see {log}: {' '.join(map(str, command))}")


class Build:
    def __init__(self, name, source, folder):
        self.name, self.source, self.folder = name, source, folder

    def make(self):
        log = self.folder.parent / f"{self.folder.name}.log"
        if not (self.folder / "build.ninja").exists():
            quietly(log, "meson", "setup", "-Dtests=false", self.folder, self.source)
        quietly(log, "ninja", "-C", self.folder)
        return self

    @property
    def serverd(self):
        return self.folder / "src/ssi-serverd/ssi-serverd"

    @property
    def migrations(self):
        return next((self.source / "src/ssi-serverd").rglob("migrations"))

    @property
    def schema(self):
        """The number of the last migration."""
        return max(int(m[1]) for f in self.migrations.iterdir() if (m := re.match(r"(\d{4})-.*\.sql$", f.name)))


def build_commit(revision):
    """The commit, in a folder that is kept."""
    commit = subprocess.run(["git", "-C", TOP, "rev-parse", "--verify", f"{revision}^{{commit}}"], check=True, capture_output=True,
                            text=True).stdout.strip()
    folder = CACHE / commit
    source = folder / "source"
    if not (source / "meson.build").exists():
        source.mkdir(parents=True, exist_ok=True)
        archive = subprocess.run(["git", "-C", TOP, "archive", commit], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", source], check=True, input=archive)
    text = (source / "meson.build").read_text()
    older = re.sub(r"(?m)^(        version: )'[^']*'", rf"\g<1>'{OLDER}'", text, count=1)
    if older != text:
        (source / "meson.build").write_text(older)
    return Build(commit[:10], source, folder / "build").make()


def build_tree():
    """What is checked out."""
    CACHE.mkdir(parents=True, exist_ok=True)
    return Build("this tree", TOP, CACHE / ("tree" + str(TOP).replace("/", "-"))).make()


class BuiltHost(Host):
    """A host with one of them."""

    def __init__(self, name, build, *options):
        super().__init__(name, *options)
        self.build = build

    def up(self):
        subprocess.run([TESTHOST, "up", self.name, *self.options], check=True, timeout=180, stdin=subprocess.DEVNULL,
                       env={**os.environ, "SSI_BUILD_DIR": str(self.build.folder), "SSI_NO_BUILD": "1"})
        return self

    def install(self, build):
        """What an upgrade of packages does: other files, and none that only the version before had; then its daemons anew."""
        root = STATE / self.name / "fs/root"
        self.run("rm -rf /usr/share/ssi/migrations /usr/lib/ssi")
        subprocess.run(["meson", "install", "-C", build.folder, "--no-rebuild", "--quiet", f"--destdir={root}"], check=True,
                       capture_output=True, timeout=180)
        self.build = build
        # The folder as of the backend's postinst.
        self.run("systemd-sysusers && systemctl daemon-reload && systemctl reload dbus.service && "
                 "{ [ ! -d /run/ssi-postgres ] || chmod 0750 /run/ssi-postgres; } && "
                 "systemctl try-restart ssid.service ssi-uplinkd.service 'ssi-serverd*.service'", timeout=120)
