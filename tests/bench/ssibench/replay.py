# SPDX-License-Identifier: LGPL-2.1-or-later
"""A long backlog after an outage: a real agent reads it from a real journal and sends it to a real backend.

What is made up: the runs. The journal entries of one real run are taken as they are and written again with numbers and
times of their own, by systemd-journal-remote, because a million real ones would take hours. They lie 30 us apart.
"""
import re
import shutil
import subprocess
import tempfile
import time
import uuid

from .hostkit import agent_and_backend, host_pids, prints, script, wait_until
from .measure import Sampler, cpu, cpu_fine, family
from .packages import fetch, unpack

RUN_USEC = 30
SLUG = "backlog"


class Template:
    """One run's entries in the export format, cut where a number, an id or a time stands."""

    def __init__(self, host):
        host.run("journalctl --sync")
        invocation = host.show(f"ssi-{SLUG}.service", "InvocationID")["InvocationID"]
        out = subprocess.run([*self.reader(host), "-o", "export", f"INVOCATION_ID={invocation}", "+",
                              f"_SYSTEMD_INVOCATION_ID={invocation}"], capture_output=True, check=True).stdout
        self.entries = [e for e in out.split(b"\n\n") if e.strip()]
        assert len(self.entries) >= 3, out
        # A binary field would not be lines.
        assert all(b"=" in line for e in self.entries for line in e.splitlines()), out
        self.realtime = self.last(b"__REALTIME_TIMESTAMP")
        self.monotonic = self.last(b"__MONOTONIC_TIMESTAMP")
        self.invocation = invocation.encode()
        self.parts = [self.cut(e) for e in self.entries]

    @staticmethod
    def reader(host):
        from hosts import TESTHOST
        return [TESTHOST, "exec", host.name, "journalctl", "-q", "--no-pager"]

    def last(self, field):
        return max(int(v) for e in self.entries for v in re.findall(b"^" + field + rb"=(\d+)$", e, re.M))

    def cut(self, entry):
        lines = []
        for line in entry.strip().splitlines():
            key, value = line.split(b"=", 1)
            if key in (b"__CURSOR", b"__SEQNUM", b"__SEQNUM_ID"):
                continue
            if key == b"__REALTIME_TIMESTAMP":
                value = b"%(realtime)d"
            elif key == b"__MONOTONIC_TIMESTAMP":
                value = b"%(monotonic)d"
            elif key in (b"_SOURCE_REALTIME_TIMESTAMP", b"SYSLOG_TIMESTAMP"):
                value = b"%(realtime)d"
            elif key == b"_STREAM_ID":
                value = b"%(stream)s"
            else:
                value = value.replace(b"%", b"%%").replace(self.invocation, b"%(invocation)s").replace(b"number 0", b"number %(n)d")
            lines.append(key + b"=" + value)
        return b"\n".join(lines) + b"\n\n"

    def write(self, f, lines):
        step = RUN_USEC // (len(self.parts) + 1)
        for n in range(1, lines + 1):
            at = 100000 + n * RUN_USEC
            values = {b"n": n, b"invocation": uuid.uuid4().hex.encode(), b"stream": uuid.uuid4().hex.encode()}
            for k, part in enumerate(self.parts):
                f.write(part % {**values, b"realtime": self.realtime + at + k * step, b"monotonic": self.monotonic + at + k * step})


def make_journal(host, template, lines, folder):
    """Fills the host's journal with the backlog; gives how many entries it has."""
    root = unpack(folder + "/root", fetch(folder + "/debs", "systemd-journal-remote"))
    machine = host.run("cat /etc/machine-id").stdout.strip()
    target = f"/proc/{host.leader}/root/var/log/journal/{machine}"
    host.run(f"mkdir -p /tmp/remote; mkdir -p /var/log/journal/{machine}")
    program = next(p for p in (root + "/lib/systemd/systemd-journal-remote", root + "/usr/lib/systemd/systemd-journal-remote",
                               "/lib/systemd/systemd-journal-remote") if subprocess.run(["test", "-x", p], check=False).returncode == 0)
    for path in (program, *subprocess.run(["find", root, "-name", "libmicrohttpd.so.*"], capture_output=True, text=True,
                                          check=True).stdout.split()):
        host.write("/tmp/remote/" + path.rsplit("/", 1)[1], open(path, "rb").read(), "0755")
    # In the host, so that the file is of its machine; aside first, so that nobody reads it half-written.
    p = host.start("LD_LIBRARY_PATH=/tmp/remote /tmp/remote/systemd-journal-remote --split-mode=none -o /tmp/remote/backlog.journal -"
                   " >/tmp/remote/log 2>&1", stdin=subprocess.PIPE)
    try:
        template.write(p.stdin.buffer, lines)
        p.stdin.close()
        if p.wait(900) != 0:
            raise RuntimeError(host.run("tail /tmp/remote/log").stdout)
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()
    host.run(f"chmod 640 /tmp/remote/*.journal; chgrp systemd-journal /tmp/remote/*.journal; mv /tmp/remote/*.journal {target.split('/root', 1)[1]}")
    return int(host.run(f"journalctl -q --no-pager -o cat --output-fields=_PID _SYSTEMD_UNIT=ssi-{SLUG}.service | wc -l",
                        timeout=300).stdout)


def part_replay(bench):
    lines = bench.options.lines
    folder = tempfile.mkdtemp(prefix="ssi-bench-replay-", dir="/var/tmp")
    try:
        with agent_and_backend(bench) as (host, b, _, _):
            replay(bench, host, b, lines, folder)
    finally:
        shutil.rmtree(folder)


def replay(bench, host, b, lines, folder):
    host.write("/etc/systemd/journald.conf.d/bench.conf", "[Journal]\nSystemMaxUse=20G\nSystemKeepFree=1M\n")
    host.run("systemctl restart systemd-journald")
    host.run(["ssictl", "add", host.write("/tmp/backlog.bash", script(SLUG, prints("OK", "number 0")))])
    host.run(f"systemctl start ssi-{SLUG}.service")
    count = "SELECT count(*) FROM events WHERE service = '" + SLUG + "'"
    wait_until(lambda: b.db.sql(count) == "1", what="the real run is committed")
    b.stop()
    template = Template(host)
    begin = time.monotonic()
    # What is written must not lie in the future.
    time.sleep(max(1.0, lines * RUN_USEC / 1e6 - 5))
    entries = make_journal(host, template, lines, folder)
    filled = time.monotonic() - begin
    host.run("systemctl restart ssi-uplinkd.service")
    ssid, uplink = (host_pids(host, unit) for unit in ("ssid.service", "ssi-uplinkd.service"))
    b.start()
    s = Sampler({"ssid": ssid, "uplinkd": uplink, "serverd": [b.pid]})
    first, used = None, None
    end = time.monotonic() + 1200
    while time.monotonic() < end:
        done = b.metrics()["ssi_ingest_items_total"]
        if done > 0 and first is None:
            first, used = time.monotonic(), (cpu_fine(ssid), cpu_fine(uplink), cpu([b.pid]), cpu(family(b.db.pid)))
        if first:
            s.look(0.5 if lines > 50000 else 0.05)
        if done >= lines:
            break
        time.sleep(0.05)
    took = time.monotonic() - (first or begin)
    now = (cpu_fine(ssid), cpu_fine(uplink), cpu([b.pid]), cpu(family(b.db.pid)))
    each = dict(zip(("ssid_cpu_us_each", "uplinkd_cpu_us_each", "serverd_cpu_us_each", "database_cpu_us_each"),
                    (round((a - c) / lines * 1e6, 2) for a, c in zip(now, used or now))))
    rows, distinct, wrong = b.db.sql("SELECT count(*), count(DISTINCT message), count(*) FILTER (WHERE n <> before + 1) FROM (SELECT message,"
                                     " substring(message FROM '[0-9]+')::int AS n, lag(substring(message FROM '[0-9]+')::int)"
                                     f" OVER (ORDER BY id) AS before FROM events WHERE service = '{SLUG}') e").split("|")
    bench.report.row("replay", f"{lines} lines", journal_lines=entries, journal_filled_s=round(filled, 1), seconds=round(took, 2),
                     lines_per_second=round(lines / took), rows=int(rows) - 1, twice=int(rows) - int(distinct), out_of_order=int(wrong),
                     **each, **s.figures())
