"""The first-party service-scripts, run by hand in a host as root: what they say, and that they do not guess."""
import re
import shutil
import subprocess

import pytest

from hosts import TOP, wait_until

SCRIPTS = sorted((TOP / "scripts").glob("*.bash"))
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d, (OK|UPDATE|WARNING|FAILURE), (.+)")


@pytest.fixture(scope="module")
def host(_boot):
    return _boot()


def run(host, script, edits="", before=""):
    """(status, message), or (None, stderr). edits: sed commands on a copy. before: what is done to the host first."""
    host.write("/tmp/s.bash", (TOP / "scripts" / f"{script}.bash").read_text())
    if edits:
        host.run(["sed", "-i", edits, "/tmp/s.bash"])
    r = host.run(f"{before}\nbash /tmp/s.bash", check=False)
    if r.returncode != 0:
        assert r.stdout == ""
        return None, r.stderr
    match = LINE.fullmatch(r.stdout.rstrip("\n"))
    assert match, r.stdout
    return match[1], match[2]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_each_gives_one_line(host, path):
    status, message = run(host, path.stem)
    assert status, message


def test_all_bash_is_clean():
    if not shutil.which("shellcheck"):
        pytest.skip("needs shellcheck")
    files = [*SCRIPTS, TOP / "tests/testhost", TOP / "tests/run", TOP / ".ci/run", TOP / "tools/demo", TOP / "tools/install-deps",
             TOP / "tests/fixtures/apt-check",
             TOP / "tests/fuzz/smoke"]
    r = subprocess.run(["shellcheck", "-x", "-P", str(TOP), *map(str, files)], capture_output=True, text=True)
    assert r.stdout == ""


def test_the_example_is_the_blueprints_own():
    """By its checksum: nobody is to improve it."""
    import hashlib
    text = (TOP / "tests/fixtures/check-system-updates.bash").read_bytes()
    assert hashlib.sha256(text).hexdigest() == "45523a2b5d04f4a1648518a595f527cd9828f066cbb559f36f81bc2159da4c49"


@pytest.mark.parametrize("tool", ["apt-get", "dpkg-query"])
def test_updates_are_not_ok_when_apt_cannot_answer(host, tool):
    host.write(f"/usr/local/bin/{tool}", "#!/bin/sh\necho 'E: broken' >&2\nexit 100\n", "0755")
    try:
        status, message = run(host, "system-updates")
        assert status is None and "Cannot tell" in message
    finally:
        host.run(["rm", f"/usr/local/bin/{tool}"])


def test_updates_without_package_lists(host):
    host.run("mv /var/lib/apt/lists /var/lib/apt/lists.away && mkdir /var/lib/apt/lists")
    try:
        assert run(host, "system-updates")[0] == "WARNING"
    finally:
        host.run("rm -r /var/lib/apt/lists && mv /var/lib/apt/lists.away /var/lib/apt/lists")


@pytest.mark.parametrize("plan, status, message", [
    ("", "OK", "All packages are up to date"),
    ("Inst a [1] (2 Debian:12.1/stable [amd64])", "UPDATE", "1 available update"),
    ("Inst a [1] (2 Debian:12.1/stable [amd64])\nInst b [1] (2 Debian-Security:12/stable-security [amd64])\nConf a (2)", "UPDATE",
     "2 available updates, 1 of security"),
])
def test_updates_are_counted(host, plan, status, message):
    host.write("/usr/local/bin/apt-get", f"#!/bin/sh\ncat <<'E'\n{plan}\nE\n", "0755")
    host.write("/var/lib/apt/lists/now_Packages", "")
    try:
        assert run(host, "system-updates") == (status, message)
        assert run(host, "system-updates", before="find /var/lib/apt/lists -type f -exec touch -d '9 days ago' {} +")[0] == "WARNING"
    finally:
        host.run("rm /usr/local/bin/apt-get /var/lib/apt/lists/now_Packages")


def test_a_full_disk(host):
    host.run("mkdir -p /mnt/full && mount -t tmpfs -o size=1M tmpfs /mnt/full && head -c 990000 /dev/zero >/mnt/full/file")
    try:
        with_tmpfs = "s/^SKIP_TYPES=.*/SKIP_TYPES=(devtmpfs)/"
        status, message = run(host, "disk-space", with_tmpfs)
        assert status in ("WARNING", "FAILURE") and "/mnt/full is 9" in message
        assert "/mnt/full" not in run(host, "disk-space", with_tmpfs + ";s#^SKIP_MOUNTS=.*#SKIP_MOUNTS=(/mnt/full)#")[1]
        assert "/mnt/full" not in run(host, "disk-space")[1]
    finally:
        host.run("umount /mnt/full")


def test_limits_are_configurable(host):
    assert run(host, "disk-space", "s/^FAILURE_PERCENT=.*/FAILURE_PERCENT=0/;s/^WARNING_PERCENT=.*/WARNING_PERCENT=0/")[0] == "FAILURE"
    assert run(host, "memory", "s/^FAILURE_AVAILABLE_PERCENT=.*/FAILURE_AVAILABLE_PERCENT=101/")[0] == "FAILURE"
    assert run(host, "memory", "s/^WARNING_AVAILABLE_PERCENT=.*/WARNING_AVAILABLE_PERCENT=101/")[0] == "WARNING"
    assert run(host, "cpu-load", "s/^FAILURE_LOAD=.*/FAILURE_LOAD=0/")[0] == "FAILURE"


def test_failed_units_are_named(host):
    assert run(host, "failed-units")[0] == "OK"
    host.run("systemd-run --unit=breaks-now false")
    wait_until(lambda: host.show("breaks-now", "ActiveState")["ActiveState"] == "failed")
    try:
        assert run(host, "failed-units") == ("FAILURE", "1 failed: breaks-now.service")
        assert run(host, "failed-units", "s/^IGNORE=.*/IGNORE=('breaks-*')/")[0] == "OK"
    finally:
        host.run("systemctl reset-failed breaks-now")
    status, message = run(host, "failed-units", before="export PATH=/nowhere:$PATH; systemctl() { return 1; }; export -f systemctl")
    assert status is None and "Cannot tell" in message
