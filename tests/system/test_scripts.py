# SPDX-License-Identifier: LGPL-2.1-or-later
"""The first-party service-scripts, run by hand in a host as root: what they say, and that they do not guess."""
import re
import shlex

import pytest

from hosts import TOP, wait_until

SCRIPTS = sorted((TOP / "scripts").glob("*.bash"))
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d, (OK|UPDATE|WARNING|FAILURE), (.+)")


@pytest.fixture(scope="module")
def host(boot_for_module):
    return boot_for_module()


def run(host, script, edits="", before=""):
    """(status, message), or (None, stderr). edits: sed commands on a copy. before: what is done to the host first."""
    host.write("/tmp/s.bash", (TOP / "scripts" / f"{script}.bash").read_text())
    r = host.run(f"sed -i {shlex.quote(edits)} /tmp/s.bash\n{before}\nbash /tmp/s.bash", check=False)
    if r.returncode != 0:
        assert r.stdout == ""
        return None, r.stderr
    match = LINE.fullmatch(r.stdout.rstrip("\n"))
    assert match, r.stdout
    return match[1], match[2]


# These want to be configured, or hardware.
SILENT = ("backup-age", "endpoint", "raid", "smart", "tls-expiry")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_each_gives_one_line_or_none(host, path):
    status, message = run(host, path.stem)
    if path.stem in SILENT:
        assert status is None and message.startswith("Cannot check: ")
    else:
        assert status, message


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
        assert status is None and "Cannot check" in message
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
     "2 available updates, 1 for security"),
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
    # A check that broke is told by SSI itself, but not the end of its own daemons.
    several = "systemctl() { printf '%s.service loaded failed\\n' ssi-broken ssi-uplinkd ssid ssi-; }; export -f systemctl"
    assert run(host, "failed-units", before=several) == ("FAILURE", "2 failed: ssi-uplinkd.service ssid.service")
    status, message = run(host, "failed-units", before="export PATH=/nowhere:$PATH; systemctl() { return 1; }; export -f systemctl")
    assert status is None and "Cannot check" in message


# ---- against faked conditions: commands earlier in PATH, and files named by the scripts' constants ------------------

FAKES = "export PATH=/tmp/fake:$PATH"


@pytest.fixture
def fake(host):
    """fake(name, text): a command that prints the text, or does what a script (with "#!") says."""
    def make(name, text, status=0):
        if not text:
            text = f"#!/bin/sh\nexit {status}\n"
        elif not text.startswith("#!"):
            text = f"#!/bin/sh\ncat <<'E'\n{text}\nE\nexit {status}\n"
        host.write(f"/tmp/fake/{name}", text, "0755")

    yield make
    host.run("rm -rf /tmp/fake /tmp/with")


def constants(**values):
    """sed commands that set a script's constants."""
    return ";".join(f"s|^{name}=[^ ]*|{name}={value}|" for name, value in values.items())


def cannot_tell(result, text=""):
    assert result[0] is None and "Cannot check: " in result[1] and text in result[1], result
    return True


@pytest.mark.parametrize("total, free, swapped, status, message", [
    (0, 0, 0, "OK", "There is no swap"),
    (2048000, 2048000, 0, "OK", "0% of 2000 MiB in use, 0 pages/s"),
    (2048000, 512000, 0, "WARNING", "75% of 2000 MiB in use, 0 pages/s"),
    (2048000, 20480, 0, "FAILURE", "99% of 2000 MiB in use, 0 pages/s"),
    (2048000, 2048000, 3000, "WARNING", "0% of 2000 MiB in use, 3000 pages/s"),
])
def test_swap(host, fake, total, free, swapped, status, message):
    host.write("/tmp/with/meminfo", f"MemTotal: 1 kB\nSwapTotal: {total} kB\nSwapFree: {free} kB\n")
    host.write("/tmp/with/vmstat", "pswpin 10\npswpout 20\n")
    fake("sleep", f"#!/bin/sh\nprintf 'pswpin 10\\npswpout {20 + swapped}\\n' >/tmp/with/vmstat\n")
    edits = constants(MEMINFO="/tmp/with/meminfo", VMSTAT="/tmp/with/vmstat", SAMPLE_SECONDS="1")
    assert run(host, "swap", edits, FAKES) == (status, message)
    if total == 0:
        assert run(host, "swap", edits + ";" + constants(REQUIRE_SWAP="yes"), FAKES)[0] == "WARNING"


def test_swap_that_cannot_be_read(host, fake):
    cannot_tell(run(host, "swap", constants(MEMINFO="/nowhere")), "SwapTotal")
    host.write("/tmp/with/meminfo", "SwapTotal: 10 kB\nSwapFree: 10 kB\n")
    cannot_tell(run(host, "swap", constants(MEMINFO="/tmp/with/meminfo", VMSTAT="/dev/null")), "pswpin")


UP = constants(REBOOT_REQUIRED="/tmp/with/reboot", BOOT="/tmp/with/boot", UPTIME="/tmp/with/uptime")


@pytest.fixture
def bare_metal(host, fake):
    """A machine with a kernel, up for two days."""
    fake("systemd-detect-virt", "", 1)
    fake("uname", "6.1.0-9-amd64")
    host.write("/tmp/with/uptime", "183600.12 1.00\n")
    host.write("/tmp/with/boot/vmlinuz-6.1.0-9-amd64", "")
    host.write("/tmp/with/boot/vmlinuz-6.1.0-8-amd64", "")
    host.run("touch -d '9 days ago' /tmp/with/boot/*")


def test_uptime(host, bare_metal):
    assert run(host, "uptime", UP, FAKES) == ("OK", "Up for 2 d 3 h, no reboot required")
    assert run(host, "uptime", UP + ";" + constants(WARNING_UPTIME_DAYS="1"), FAKES)[0] == "WARNING"
    assert run(host, "uptime", UP + ";" + constants(WARNING_UPTIME_MINUTES="6000"), FAKES) == ("WARNING", "Up for 2 d 3 h only")


def test_reboot_asked_for_by_packages(host, bare_metal):
    host.write("/tmp/with/reboot", "")
    assert run(host, "uptime", UP, FAKES) == ("UPDATE", "Reboot required (requested by packages); up for 2 d 3 h")
    host.write("/tmp/with/reboot.pkgs", "libc6\ndbus\nlibc6\n")
    assert run(host, "uptime", UP, FAKES) == ("UPDATE", "Reboot required (dbus libc6); up for 2 d 3 h")


def test_reboot_for_a_kernel(host, bare_metal, fake):
    host.run("touch /tmp/with/boot/vmlinuz-6.1.0-9-amd64")
    assert "was replaced since boot" in run(host, "uptime", UP, FAKES)[1]
    host.write("/tmp/with/boot/vmlinuz-6.1.0-10-amd64", "")
    status, message = run(host, "uptime", UP, FAKES)
    assert status == "UPDATE" and "kernel 6.1.0-10-amd64 is installed, 6.1.0-9-amd64 is running" in message
    host.run("rm /tmp/with/boot/*")
    cannot_tell(run(host, "uptime", UP, FAKES), "no kernel")
    fake("systemd-detect-virt", "", 0)
    assert run(host, "uptime", UP, FAKES)[0] == "OK"


@pytest.mark.parametrize("code, status", [(0, "OK"), (1, "UPDATE"), (2, None)])
def test_reboot_by_needs_restarting(host, bare_metal, fake, code, status):
    fake("needs-restarting", "", code)
    assert run(host, "uptime", UP, FAKES)[0] == status


def test_backup_age(host, fake):
    cannot_tell(run(host, "backup-age"), "BACKUPS is empty")
    edits = constants(BACKUPS="(/tmp/with/a)", MIN_BYTES="3")
    cannot_tell(run(host, "backup-age", edits), "does not exist")
    host.run("mkdir -p /tmp/with/a/b")
    assert run(host, "backup-age", edits) == ("FAILURE", "no files in /tmp/with/a")
    host.write("/tmp/with/a/old", "12345678")
    host.run("printf 1234 >'/tmp/with/a/b/new one'")
    host.run("touch -d '9 days ago' /tmp/with/a/old; touch -d '2 hours ago' '/tmp/with/a/b/new one'")
    assert run(host, "backup-age", edits) == ("OK", "/tmp/with/a is 2 h old (new one, 4 bytes)")
    host.run("touch -d '30 hours ago' '/tmp/with/a/b/new one'")
    assert run(host, "backup-age", edits)[0] == "WARNING"
    host.run("touch -d '60 hours ago' '/tmp/with/a/b/new one'")
    assert run(host, "backup-age", edits)[0] == "FAILURE"
    host.run("printf x >'/tmp/with/a/b/new one'")
    assert "too small" in run(host, "backup-age", edits)[1]


def test_backups_that_may_not_be_listed(host, fake):
    host.run("mkdir -p /tmp/with/a/closed && chmod 0700 /tmp/with/a/closed && touch /tmp/with/a/new && chmod 0755 /tmp/with /tmp/with/a")
    host.write("/tmp/s2.bash", (TOP / "scripts/backup-age.bash").read_text().replace("BACKUPS=()", "BACKUPS=(/tmp/with/a)"))
    r = host.run("bash /tmp/s2.bash", user="nobody", check=False)
    assert r.returncode != 0 and r.stdout == "" and "cannot be searched" in r.stderr


@pytest.mark.parametrize("leap, offset, status, message", [
    ("Normal", "-0.000123456", "OK", "Off by 0 ms, synchronized with 192.0.2.1 (stratum 2)"),
    ("Normal", "0.250000000", "WARNING", "Off by 250 ms, synchronized with 192.0.2.1 (stratum 2)"),
    ("Normal", "-7.000000000", "FAILURE", "Off by 7000 ms, synchronized with 192.0.2.1 (stratum 2)"),
    ("Not synchronised", "0.000000000", "WARNING", "The clock is not synchronized (chrony)"),
])
def test_time_by_chrony(host, fake, leap, offset, status, message):
    fake("chronyc", f"C0000201,192.0.2.1,2,1795428000.123456789,{offset},0.000000001,0.000012,-1.5,0.001,0.02,0.03,0.001,64.5,{leap}")
    assert run(host, "time-sync", "", FAKES) == (status, message)


@pytest.mark.parametrize("answer, code, status", [
    ("NTP=yes\nNTPSynchronized=yes", 0, "OK"),
    ("NTP=yes\nNTPSynchronized=no", 0, "WARNING"),
    ("NTP=no\nNTPSynchronized=no", 0, "WARNING"),
    ("", 0, None),
    ("", 1, None),
])
def test_time_by_systemd(host, fake, answer, code, status):
    fake("chronyc", "506 Cannot talk to daemon", 1)
    fake("timedatectl", answer, code)
    assert run(host, "time-sync", "", FAKES)[0] == status


def certificate(host, path, days):
    """A real one; days may be negative."""
    host.run(f"mkdir -p /tmp/with/ca && cd /tmp/with/ca && : >index && echo 01 >serial && "
             "{ [ -e key ] || openssl req -newkey rsa:2048 -nodes -keyout key -subj /CN=localhost -out csr; } 2>/dev/null && "
             "printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\n"
             "commonName=supplied\n' >conf && openssl ca -batch -config conf -selfsign -keyfile key -in csr -notext -out cert "
             f"-startdate \"$(date -u -d '-90 days' +%Y%m%d%H%M%SZ)\" -enddate \"$(date -u -d '{days} days 1 hour' +%Y%m%d%H%M%SZ)\" "
             f"2>/dev/null && mv cert {path}")
    return path


@pytest.mark.parametrize("days, status, message", [
    (60, "OK", "expires in 60 days"), (10, "WARNING", "expires in 10 days"), (1, "FAILURE", "expires in 1 day"), (-5, "FAILURE", "has expired"),
])
def test_certificates(host, fake, days, status, message):
    """In a file, and from a real server."""
    path = certificate(host, "/tmp/with/cert.pem", days)
    got = run(host, "tls-expiry", constants(FILES=f"({path})"))
    assert got[0] == status and got[1].startswith(f"{path} {message}")
    server = host.start("openssl s_server -accept 7443 -cert /tmp/with/cert.pem -key /tmp/with/ca/key -quiet")
    try:
        wait_until(lambda: host.connect(7443).close() or True)
        got = run(host, "tls-expiry", constants(ENDPOINTS="(localhost:7443)"))
        assert got[0] == status and got[1].startswith(f"localhost:7443 {message}")
    finally:
        server.kill()
        server.wait()
        host.run("fuser -k 7443/tcp || true", check=False)


def test_certificates_that_cannot_be_seen(host, fake):
    cannot_tell(run(host, "tls-expiry"), "ENDPOINTS and FILES are empty")
    good = certificate(host, "/tmp/with/good.pem", 60)
    bad = certificate(host, "/tmp/with/bad.pem", 3)
    cannot_tell(run(host, "tls-expiry", constants(FILES="(/nowhere)")), "/nowhere cannot be read")
    cannot_tell(run(host, "tls-expiry", f"s|^FILES=.*|FILES=({good} /etc/hostname)|"), "provides no certificate")
    cannot_tell(run(host, "tls-expiry", constants(ENDPOINTS="(localhost:9)")), "localhost:9")
    status, message = run(host, "tls-expiry", f"s|^FILES=.*|FILES=({bad} /nowhere)|")
    assert status == "FAILURE" and "/nowhere cannot be read" in message


SMART_OK = "SMART overall-health self-assessment test result: PASSED"
ATTRIBUTE = "{id:3} {name} 0x0033 100 100 010 Pre-fail Always - {raw}"
SECTORS = "\n".join(ATTRIBUTE.format(id=i, name=n, raw=r) for i, n, r in
                    [(5, "Reallocated_Sector_Ct", 4), (9, "Power_On_Hours", 7000), (197, "Current_Pending_Sector", 1)])


@pytest.mark.parametrize("answer, code, status, message", [
    (SMART_OK, 0, "OK", "1 healthy"),
    ("SMART Health Status: OK\nElements in grown defect list: 0", 0, "OK", "1 healthy"),
    (SMART_OK, 4 + 64, "OK", "1 healthy"),
    (SMART_OK + "\n" + SECTORS, 0, "WARNING", "/dev/sda has 5 bad sectors"),
    (SMART_OK + "\nPercentage Used:                    97%", 0, "WARNING", "/dev/sda is 97% worn"),
    (SMART_OK + "\nMedia and Data Integrity Errors:    1,234", 0, "WARNING", "/dev/sda has 1234 integrity errors"),
    (SMART_OK, 16, "FAILURE", "/dev/sda has an attribute beyond its limit"),
    ("SMART overall-health self-assessment test result: FAILED!", 8, "FAILURE", "/dev/sda reports that it is failing"),
    ("Unable to detect device type", 1, None, "/dev/sda does not respond"),
    ("Smartctl open device failed: Permission denied", 2, None, "/dev/sda does not respond"),
    ("SMART support is: Unavailable", 4, None, "/dev/sda does not report its health"),
    ("Device is in STANDBY mode, exit(0)", 0, None, "asleep: /dev/sda"),
])
def test_smart(host, fake, answer, code, status, message):
    fake("smartctl", "#!/bin/sh\nif [ \"$1\" = --scan ]; then echo '/dev/sda -d sat # /dev/sda [SAT], ATA device'; exit; fi\n"
         f"cat <<'E'\n{answer}\nE\nexit {code}\n")
    got = run(host, "smart", "", FAKES)
    assert got[0] == status and message in got[1]


def test_smart_with_several_disks(host, fake):
    fake("smartctl", f"""#!/bin/bash
case " $* " in
*" --scan "*) printf '/dev/sda -d sat # x\\n/dev/sdb -d sat # x\\n/dev/nvme0 -d nvme # x\\n' ;;
*" /dev/sdb "*) echo 'Device is in STANDBY mode, exit(0)' ;;
*) echo '{SMART_OK}' ;;
esac
""")
    assert run(host, "smart", "", FAKES) == ("OK", "2 healthy, asleep: /dev/sdb")
    assert run(host, "smart", constants(IGNORE="(/dev/sdb)"), FAKES) == ("OK", "2 healthy")
    fake("smartctl", "#!/bin/sh\n")
    cannot_tell(run(host, "smart", "", FAKES), "no disk")


def array(host, name="md0", **files):
    files = {"array_state": "clean", "level": "raid1", "degraded": "0", "raid_disks": "2", "sync_action": "idle",
             "sync_completed": "none", **files}
    for file, text in files.items():
        host.write(f"/tmp/with/block/{name}/md/{file}", text + "\n")


def pool(host, name, state):
    host.write(f"/tmp/with/zfs/{name}/state", state + "\n")


RAID = constants(SYSFS_BLOCK="/tmp/with/block", ZFS_KSTAT="/tmp/with/zfs")


@pytest.mark.parametrize("files, status, message", [
    ({}, "OK", "Healthy: md0 md1"),
    ({"sync_action": "check", "sync_completed": "1 / 2"}, "OK", "Healthy: md0 md1"),
    ({"degraded": "1"}, "WARNING", "md0 (raid1) is missing 1 of 2 disks"),
    ({"degraded": "1", "sync_action": "recover", "sync_completed": "250 / 1000"}, "WARNING",
     "md0 (raid1): recover in progress, 25% done; md0 (raid1) is missing 1 of 2 disks"),
    ({"array_state": "inactive"}, "FAILURE", "md0 (raid1) is inactive"),
    ({"array_state": "broken", "level": "raid0"}, "FAILURE", "md0 (raid0) is broken"),
])
def test_raid(host, fake, files, status, message):
    array(host, **files)
    array(host, "md1", level="raid0")
    host.run("rm /tmp/with/block/md1/md/degraded /tmp/with/block/md1/md/sync_action")
    assert run(host, "raid", RAID) == (status, message)


def test_zfs(host, fake):
    pool(host, "tank", "ONLINE")
    assert run(host, "raid", RAID) == ("OK", "Healthy: tank")
    assert run(host, "raid", RAID + ";s/^EXPECTED=()/EXPECTED=(tank md0)/") == ("FAILURE", "md0 does not exist")
    pool(host, "tank", "DEGRADED")
    assert run(host, "raid", RAID) == ("WARNING", "pool tank is degraded")
    pool(host, "tank", "SUSPENDED")
    assert run(host, "raid", RAID) == ("FAILURE", "pool tank is SUSPENDED")
    host.run("rm -r /tmp/with/zfs")
    cannot_tell(run(host, "raid", RAID), "no RAID array or ZFS pool")


def targets(*names, **values):
    return "s|^TARGETS=.*|TARGETS=(" + " ".join(f"'{n}'" for n in names) + ")|;" + constants(**values)


def test_endpoints(host, fake):
    """Against a real server."""
    host.write("/tmp/with/www/index.html", "all is well\n")
    server = host.start("exec /usr/bin/python3 -m http.server --bind 127.0.0.1 --directory /tmp/with/www 7080 2>/dev/null")
    try:
        wait_until(lambda: host.connect(7080).close() or True)
        status, message = run(host, "endpoint", targets("http://127.0.0.1:7080/"))
        assert status == "OK" and message.startswith("http://127.0.0.1:7080/ answers in ")
        assert run(host, "endpoint", targets("tcp://127.0.0.1:7080", "http://127.0.0.1:7080/ all is well"))[0] == "OK"
        assert run(host, "endpoint", targets("tcp://127.0.0.1:7080", WARNING_MS="0"))[0] == "WARNING"
        assert run(host, "endpoint", targets("http://127.0.0.1:7080/ all is ill")) == \
            ("FAILURE", "http://127.0.0.1:7080/: the page does not contain 'all is ill'")
        assert run(host, "endpoint", targets("http://127.0.0.1:7080/nothing")) == \
            ("FAILURE", "http://127.0.0.1:7080/nothing: HTTP status 404")
        status, message = run(host, "endpoint", targets("tcp://127.0.0.1:7080", "tcp://127.0.0.1:9", "http://127.0.0.1:9/"))
        assert status == "FAILURE" and message.count("refused") + message.count("connect") >= 2
        assert run(host, "endpoint", targets("https://127.0.0.1:7080/"))[0] == "FAILURE"
    finally:
        server.kill()
        server.wait()
        host.run("fuser -k 7080/tcp || true", check=False)


def test_endpoints_that_cannot_be_asked(host, fake):
    cannot_tell(run(host, "endpoint"), "TARGETS is empty")
    cannot_tell(run(host, "endpoint", targets("localhost:22")), "is not a valid endpoint")
    fake("curl", "", 127)
    cannot_tell(run(host, "endpoint", targets("http://localhost/"), FAKES), "curl")


POSTGRES = "3 100 10 0 0 primary 15"


@pytest.mark.parametrize("ready, code, row, status, message", [
    ("", 0, POSTGRES, "OK", "PostgreSQL 15, primary, 3 of 100 connections in use"),
    ("", 0, "85 100 10 0 0 primary 15", "WARNING", "85 of 100 connections in use"),
    ("", 0, "97 100 10 0 0 primary 15", "FAILURE", "97 of 100 connections in use"),
    ("", 0, "3 100 60 0 0 primary 15", "WARNING", "60% of the transaction IDs used: vacuum is behind"),
    ("", 0, "3 100 90 0 0 primary 15", "FAILURE", "90% of the transaction IDs used: vacuum is behind"),
    ("", 0, "3 100 10 90 0 primary 15", "WARNING", "a transaction has been open for 90 min"),
    ("", 0, "3 100 10 0 900 standby 15", "FAILURE", "replay is 900 s behind"),
    ("", 0, 'FATAL:  role "ssi-script" does not exist', None, "unexpected output of psql"),
    ("/run/postgresql:5432 - rejecting connections", 1, "", "FAILURE", "The server rejects connections: rejecting connections"),
    ("/run/postgresql:5432 - no response", 2, "", "FAILURE", "The server does not answer"),
    ("", 3, "", None, "pg_isready failed"),
])
def test_postgresql(host, fake, ready, code, row, status, message):
    fake("pg_isready", ready, code)
    fake("psql", row)
    got = run(host, "postgresql", "", FAKES)
    assert got[0] == status and message in got[1]


def test_a_real_postgresql(host, fake):
    """With a role that has pg_monitor only."""
    host.run("pg=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1); mkdir -p /tmp/with/pg && chown postgres /tmp/with/pg && "
             "runuser -u postgres -- $pg/initdb -D /tmp/with/pg/data -A trust >/dev/null && runuser -u postgres -- "
             "$pg/pg_ctl -D /tmp/with/pg/data -o '-k /tmp/with/pg -c listen_addresses=' -l /tmp/with/pg/log -w start >/dev/null && "
             "runuser -u postgres -- psql -qh /tmp/with/pg postgres -c 'CREATE ROLE \"ssi-script\" LOGIN IN ROLE pg_monitor'")
    try:
        as_role = "export PGUSER=ssi-script"
        edits = constants(**{"export PGHOST": "/tmp/with/pg"})
        status, message = run(host, "postgresql", edits, as_role)
        assert status == "OK" and re.fullmatch(r"PostgreSQL \d+, primary, 1 of 100 connections in use", message)
        cannot_tell(run(host, "postgresql", edits, "export PGUSER=nobody"), 'role "nobody" does not exist')
    finally:
        host.run("runuser -u postgres -- $(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)/pg_ctl -D /tmp/with/pg/data -m fast -w stop")
    assert run(host, "postgresql", edits, as_role)[0] == "FAILURE"


@pytest.mark.parametrize("metrics, status, message", [
    ("ssi_ingest_lag_seconds 0.012\nssi_ingest_queue_items 3", "OK", "7 agents, 3 results waiting (0.012 s), 0 notifications waiting"),
    ("ssi_database_writable 0", "FAILURE", "The database rejects writes"),
    ("ssi_ingest_lag_seconds 5.0", "WARNING", "A result has waited 5.0 s"),
    ("ssi_ingest_lag_seconds 31\nssi_ingest_queue_items 20000", "FAILURE", "A result has waited 31 s for its commit; 20000 results are waiting"),
    ("ssi_notification_outbox_items 4\nssi_notification_outbox_age_seconds 400.7", "WARNING", "4 notifications are waiting, the oldest for 400 s"),
    ("ssi_notification_outbox_items 4\nssi_notification_outbox_age_seconds 4000", "FAILURE", "the oldest for 4000 s"),
    ("ssi_database_disk_bytes 1000000000000\nssi_database_disk_free_bytes 100000000000", "OK", "7 agents"),
    ("ssi_database_disk_bytes 1000000000000\nssi_database_disk_free_bytes 99000000000", "WARNING", "only 9 % of the database's disk are free"),
    ("ssi_database_disk_bytes 1000000000000\nssi_database_disk_free_bytes 19000000000", "FAILURE", "only 1 % of the database's disk are free"),
    ("ssi_database_transaction_age 200000000\nssi_database_transaction_age_limit 200000000", "OK", "7 agents"),
    ("ssi_database_transaction_age 300000000\nssi_database_transaction_age_limit 200000000", "WARNING", "VACUUM does not keep up"),
    ("ssi_read_replica_used 0", "WARNING", "The read replica is not used"),
    ("ssi_read_replica_used 1", "OK", "7 agents"),
])
def test_ssi_backend(host, fake, metrics, status, message):
    fake("curl", f"#!/bin/sh\ncase $* in\n*/readyz*) echo 200 ;;\n*) cat <<'E'\nssi_database_up 1\nssi_agent_sessions 7\n{metrics}\n200\nE\n;; esac\n")
    got = run(host, "ssi-backend", "", FAKES)
    assert got[0] == status and message.lower() in got[1].lower()


def test_ssi_backend_that_is_none(host, fake):
    assert run(host, "ssi-backend")[0] == "FAILURE"
    for answers, message in (("404", "this is not an SSI backend"), ("200", "does not contain the backend's metrics")):
        fake("curl", answers)
        cannot_tell(run(host, "ssi-backend", "", FAKES), message)


def test_journal_errors(host, fake):
    """Of a real journal."""
    only = constants(MINUTES="1")
    first = run(host, "journal-errors", only)
    before = int(first[1].split()[0])
    host.run("for i in 1 2 3 4 5 6; do logger -p user.err -t one-of-ours 'two\nlines'; done; logger -p user.info -t quiet x; "
             "logger -p user.crit -t two y; journalctl --sync")
    status, message = run(host, "journal-errors", only + ";" + constants(WARNING_ERRORS=before + 7))
    assert status == "WARNING" and "one-of-ours 6" in message
    assert int(message.split()[0]) == before + 7
    assert run(host, "journal-errors", only + ";" + constants(FAILURE_ERRORS=before + 7))[0] == "FAILURE"
    assert int(run(host, "journal-errors", only + ";s/^IGNORE=.*/IGNORE=('one-of*')/")[1].split()[0]) == before + 1


def test_journal_that_may_not_be_read(host, fake):
    host.write("/tmp/s2.bash", (TOP / "scripts/journal-errors.bash").read_text())
    r = host.run("bash /tmp/s2.bash", user="nobody", check=False)
    assert r.returncode != 0 and r.stdout == "" and "user nobody cannot read the system journal" in r.stderr
    assert host.run("bash /tmp/s2.bash", user="ssi-journal").stdout
    fake("journalctl", "", 1)
    cannot_tell(run(host, "journal-errors", "", FAKES), "journalctl failed")


@pytest.mark.parametrize("code, updates, security, status, message", [
    (0, "", "", "OK", "All packages are up to date"),
    (100, "\nbash.x86_64   5.2-1   updates\nvim.x86_64   9.1-1   updates\nObsoleting Packages\nold.x86_64 1-1 updates", "", "UPDATE",
     "2 available updates"),
    (100, "bash.x86_64   5.2-1   updates", "FEDORA-2026-1 Important/Sec. bash-5.2-1.x86_64", "UPDATE", "1 available update, 1 for security"),
    (100, "", "", None, "lists none"),
    (1, "", "", None, "failed with status 1"),
])
def test_updates_by_dnf(host, fake, code, updates, security, status, message):
    fake("dnf", f"#!/bin/sh\ncase \" $* \" in\n*' check-update '*) cat <<'E'\n{updates}\nE\nexit {code} ;;\n"
         f"*) cat <<'E'\n{security}\nE\n;; esac\n")
    host.write("/tmp/with/dnf/updates-1/repodata/repomd.xml", "")
    # A machine without APT: only what the script needs is in PATH.
    for tool in ("bash", "cat", "date", "find", "sort", "tail", "awk"):
        host.run(f"ln -sf \"$(command -v {tool})\" /tmp/fake/{tool}")
    edits = constants(DNF_CACHE="/tmp/with/dnf")
    got = run(host, "system-updates", edits, "export PATH=/tmp/fake")
    assert got[0] == status and message in got[1]
    if code == 0:
        host.run("touch -d '9 days ago' /tmp/with/dnf/*/repodata/*")
        assert run(host, "system-updates", edits, "export PATH=/tmp/fake")[0] == "WARNING"
        host.run("rm -r /tmp/with/dnf/*")
        assert run(host, "system-updates", edits, "export PATH=/tmp/fake") == ("WARNING", "No package lists: dnf makecache has never run")
        host.run("rm /tmp/fake/dnf")
        cannot_tell(run(host, "system-updates", edits, "export PATH=/tmp/fake"), "neither apt-get nor dnf")
