# SPDX-License-Identifier: LGPL-2.1-or-later
"""tools/debian-root, which makes and keeps the roots of other Debian releases, as far as that goes without the network."""
import fcntl
import os
import subprocess
import time

import pytest

from hosts import BUILD, RELEASE, TOP

TOOL = TOP / "tools" / "debian-root"

DEB822 = """Types: deb
URIs: http://mirror.example/debian
Suites: trixie
Components: main
"""
ONE_LINE = "deb [arch=amd64 signed-by=/x.gpg] http://mirror.example/debian/ trixie main\n"
OF_ANOTHER = "deb http://archive.example/ubuntu noble main\n"


def call(*args, env=()):
    return subprocess.run([TOOL, *map(str, args)], text=True, capture_output=True, timeout=120, stdin=subprocess.DEVNULL,
                          env={**os.environ, **dict(env)})


@pytest.mark.parametrize("name, text, expected", [
    ("debian.sources", DEB822, "http://mirror.example/debian"),
    ("debian.list", ONE_LINE, "http://mirror.example/debian"),
    ("ubuntu.list", OF_ANOTHER, "http://deb.debian.org/debian"),
    ("none", "", "http://deb.debian.org/debian"),
], ids=["deb822", "one line", "another distribution", "none"])
def test_the_mirror_is_apts(tmp_path, name, text, expected):
    parts = tmp_path / "parts"
    parts.mkdir()
    if text:
        (parts / name).write_text(text)
    config = tmp_path / "apt.conf"
    config.write_text(f'Dir::Etc::sourcelist "{tmp_path}/missing"; Dir::Etc::sourceparts "{parts}";')
    r = call("mirror", env={"APT_CONFIG": config})
    assert (r.returncode, r.stdout) == (0, expected + "\n")


@pytest.fixture
def roots(tmp_path):
    """A folder of roots, which has one, with a mirror that does not exist."""
    young = tmp_path / "trixie-bare.young1"
    (young / "etc").mkdir(parents=True)
    (young / "etc/ssi-root").write_text("\n")
    (tmp_path / "trixie-bare").symlink_to(young.name)
    return tmp_path


def make(roots, *args):
    return call("make", *args, env={"SSI_ROOTS": roots, "SSI_MIRROR": "file:///nonexistent/debian"})


def test_a_young_root_is_used_again(roots):
    r = make(roots, "trixie", "bare")
    assert (r.returncode, r.stdout) == (0, f"{roots}/trixie-bare.young1\n")


def test_what_is_too_old_is_made_anew_and_a_failure_says_why(roots):
    week = time.time() - 8 * 86400
    os.utime(roots / "trixie-bare/etc/ssi-root", (week, week))
    r = make(roots, "trixie", "bare")
    assert r.returncode == 1 and r.stdout == ""
    # What debootstrap said.
    assert "Failed getting release file" in r.stderr and "failed (complete log: " in r.stderr
    # The old one stays until there is a new one, and of that nothing is left.
    assert sorted(p.name for p in roots.iterdir()) == ["trixie-bare", "trixie-bare.lock", "trixie-bare.log", "trixie-bare.young1"]


def test_a_package_more_is_missed(roots):
    suite = roots / "trixie-suite.young1"
    (suite / "etc").mkdir(parents=True)
    (roots / "trixie-suite").symlink_to(suite.name)
    packages = subprocess.run([TOP / "tools/install-deps", "--test", "--list"], capture_output=True, text=True, check=True).stdout.split()
    (suite / "etc/ssi-root").write_text("\n".join(sorted({"another", *packages})) + "\n")
    assert make(roots, "trixie", "suite").stdout == f"{suite}\n"
    (suite / "etc/ssi-root").write_text("\n".join(sorted({"another", *packages} - {"meson"})) + "\n")
    r = make(roots, "trixie", "suite")
    assert r.returncode == 1 and r.stdout == ""
    assert sorted(p.name for p in roots.glob("*.??????")) == ["trixie-bare.young1", suite.name]


def test_what_is_left_over_goes_unless_it_is_used(roots):
    for name in ("used11", "unused"):
        (roots / f"trixie-bare.{name}/etc").mkdir(parents=True)
    used = os.open(roots / "trixie-bare.used11", os.O_RDONLY)
    try:
        fcntl.flock(used, fcntl.LOCK_SH)
        assert make(roots, "trixie", "bare").returncode == 0
    finally:
        os.close(used)
    assert sorted(p.name for p in roots.glob("*.??????")) == ["trixie-bare.used11", "trixie-bare.young1"]


@pytest.mark.parametrize("args, message", [
    (("make", "../x", "bare"), "not the name of a Debian release"),
    (("make", "trixie", "large"), "unknown kind 'large'"),
    (("run", "/nonexistent", "true"), "no such root: /nonexistent"),
    (("run", "/", "true"), "not the root of a system"),
    (("run", "--bind=/nonexistent", "/", "true"), "no such directory: /nonexistent"),
])
def test_clear_messages(roots, args, message):
    r = call(*args, env={"SSI_ROOTS": roots})
    assert r.returncode == 1 and message in r.stderr


def test_usage():
    assert "Usage" in call("--help").stdout
    assert call().returncode == 2 and call("make", "trixie").returncode == 2


@pytest.mark.essential
@pytest.mark.skipif(not RELEASE, reason="SSI_TEST_RELEASE names no release")
def test_run(tmp_path):
    root = (BUILD / "built-in").read_text().strip()

    def run(command, *options):
        return call("run", *options, root, "sh", "-c", command)

    assert f"VERSION_CODENAME={RELEASE}" in run("cat /etc/os-release").stdout or RELEASE in ("sid", "unstable")
    r = run("pwd; cat; echo err >&2; exit 7")
    assert (r.returncode, r.stdout, r.stderr) == (7, f"{TOP}\n", "err\n")
    # The root is not changed, the checkout cannot be, and what is bound can.
    assert run("touch /usr/a-file && ls /usr/a-file").returncode == 0
    assert not os.path.exists(f"{root}/usr/a-file")
    assert run("touch meson.build").returncode != 0
    assert run(f"echo written >{tmp_path}/file", f"--bind={tmp_path}").returncode == 0
    assert (tmp_path / "file").read_text() == "written\n"
    # What it leaves running ends with it.
    assert run(f"(sleep 2; touch {tmp_path}/late) >/dev/null 2>&1 &", f"--bind={tmp_path}").returncode == 0
    time.sleep(3)
    assert not (tmp_path / "late").exists()
    assert str(tmp_path) not in open("/proc/self/mountinfo").read()
