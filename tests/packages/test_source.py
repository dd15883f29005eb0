# SPDX-License-Identifier: LGPL-2.1-or-later
"""Installing from source, as CONTRIBUTING.md has it, in a bare Debian that has nothing of what a build needs."""
import os
import re
import subprocess
from pathlib import Path

import pytest

from hosts import STATE, TOP, Host

FOLDER = Path(os.environ.get("SSI_PACKAGES", "/nonexistent"))
pytestmark = pytest.mark.skipif(not (FOLDER / "commit").exists(), reason="SSI_PACKAGES names no folder of tests/packages/prepare")


def commands():
    """The block that follows "To install it on the machine itself"."""
    text = (TOP / "CONTRIBUTING.md").read_text()
    block = re.search(r"on the machine itself.*?^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]
    return [re.sub(r"^sudo ", "", line) for line in block.splitlines()]


def test_commands_of_contributing():
    assert commands()[0].startswith("tools/install-deps")
    with Host("pkg-source", f"--root={FOLDER / 'root'}") as host:
        checkout = STATE / "pkg-source/fs/root/root/ssi"
        checkout.mkdir(parents=True)
        tree = subprocess.run(["git", "-C", TOP, "archive", "HEAD"], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", checkout], check=True, input=tree)
        host.run("ip link set lo up")
        for command in commands():
            print(command)
            print(host.run(f"cd /root/ssi && {command}", timeout=900).stdout[-2000:])
        # A machine that has no cmocka was asked for none, and has all that it was to have.
        assert host.run("dpkg-query -W libcmocka-dev", check=False).returncode != 0
        assert host.run("systemctl is-active ssid ssi-uplinkd ssi-serverd.socket").stdout.split() == ["active"] * 3
        host.run(["ssictl", "add", "--run", "/usr/share/ssi/scripts/uptime.bash"])
