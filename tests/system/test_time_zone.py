# SPDX-License-Identifier: LGPL-2.1-or-later
"""Schedules on hosts with daylight saving: nothing is skipped in the hour that comes twice, and a change of the zone changes
the timers that have to."""
import datetime
import re

import pytest

from hosts import prints, script, wait_until

FIVE, TEN = "*:0/5", "*:10"
FIVE_UTC, TEN_UTC = "*-*-* *:00/5:00 UTC", "*-*-* *:10:00 UTC"


def set_zone(host, zone):
    host.run(f"ln -sfn /usr/share/zoneinfo/{zone} /etc/localtime.new && mv -T /etc/localtime.new /etc/localtime")


def calendar(host, slug):
    """What the timer says, and what systemd takes it for."""
    text = host.run(f"cat /etc/systemd/system/ssi-{slug}.timer").stdout
    written = re.findall(r"^OnCalendar=(.*)$", text, re.MULTILINE)
    assert len(written) == 1, text
    loaded = host.show(f"ssi-{slug}.timer", "TimersCalendar", "NeedDaemonReload")
    assert loaded["NeedDaemonReload"] == "no"
    return written[0], re.search(r"OnCalendar=(.*?) ;", loaded["TimersCalendar"])[1]


def elapses(host, expression, zone, base, n):
    """The next n times, in UTC."""
    out = host.run(["env", f"TZ={zone}", "systemd-analyze", "calendar", f"--iterations={n}", f"--base-time={base} UTC", expression]).stdout
    times = re.findall(r"\(in UTC\): \w+ (\S+ \S+) UTC", out)
    assert len(times) == n, out
    return [datetime.datetime.fromisoformat(t) for t in times]


def gaps(times):
    return {int((b - a).total_seconds()) for a, b in zip(times, times[1:])}


def next_run(host, slug):
    out = host.run(["busctl", "get-property", "org.ssi.Agent1", f"/org/ssi/Agent1/service/{slug}", "org.ssi.Agent1.Service",
                    "NextRunUSec"]).stdout
    return datetime.datetime.utcfromtimestamp(int(out.split()[1]) / 1e6)


def schedule(host, slug):
    return host.run(["busctl", "get-property", "org.ssi.Agent1", f"/org/ssi/Agent1/service/{slug}", "org.ssi.Agent1.Service",
                     "Schedule"]).stdout.strip()


@pytest.fixture(scope="module")
def host(boot_for_module):
    return boot_for_module("--agent")


@pytest.fixture
def athens(host, add):
    """Two services on a host in Greece."""
    set_zone(host, "Europe/Athens")
    add(host, script("Five", prints("OK", "x"), schedule=FIVE))
    add(host, script("Ten", prints("OK", "x"), schedule=TEN))
    return host


def test_the_hour_that_comes_twice(athens):
    written, _ = calendar(athens, "five")
    assert gaps(elapses(athens, written, "Europe/Athens", "2026-10-24 23:30:00", 50)) == {300}
    # What the author wrote would be blind for 65 minutes: else all of this has become superfluous.
    assert gaps(elapses(athens, FIVE, "Europe/Athens", "2026-10-24 23:30:00", 50)) == {300, 3900}
    written, _ = calendar(athens, "ten")
    assert gaps(elapses(athens, written, "Europe/Athens", "2026-10-24 20:30:00", 12)) == {3600}
    # The hour that is left out in spring is none: every hour has its ten past.
    assert gaps(elapses(athens, written, "Europe/Athens", "2027-03-27 20:30:00", 12)) == {3600}


def test_what_the_author_wrote_is_shown(athens):
    assert calendar(athens, "five") == (FIVE_UTC, FIVE_UTC)
    assert calendar(athens, "ten") == (TEN_UTC, TEN_UTC)
    assert schedule(athens, "five") == f's "{FIVE}"'
    assert f'"Schedule":"{FIVE}"' in athens.run("ssictl --json show five").stdout


def test_the_zone_changes(athens):
    for zone, ten, minute in (("Australia/Lord_Howe", TEN, {10, 40}), ("Asia/Kolkata", TEN, {40}), ("Europe/Athens", TEN_UTC, {10})):
        set_zone(athens, zone)
        wait_until(lambda: calendar(athens, "ten")[0] == ten, what=f"the timer for {zone}")
        assert calendar(athens, "five")[0] == FIVE_UTC
        # In UTC: ten past of the local hour.
        wait_until(lambda: next_run(athens, "ten").minute in minute, what=f"the next run in {zone}")
        assert athens.run(["date", "+%M", "-d", f"{next_run(athens, 'ten').isoformat()}Z"]).stdout == "10\n"
        assert schedule(athens, "ten") == f's "{TEN}"'
        assert athens.run("systemctl is-active ssi-ten.timer ssi-five.timer").stdout == "active\nactive\n"


def test_the_zone_changes_while_ssid_is_away(athens):
    athens.run(["ssictl", "disable", "ten"])
    athens.run(["systemctl", "stop", "ssid.service"])
    set_zone(athens, "Asia/Kolkata")
    athens.run(["systemctl", "start", "ssid.service"])
    wait_until(lambda: calendar(athens, "ten") == (TEN, "*-*-* *:10:00"))
    # A service that is disabled stays so.
    assert athens.run("systemctl is-active ssi-ten.timer", check=False).stdout == "inactive\n"
    assert athens.run("systemctl is-enabled ssi-ten.timer", check=False).stdout == "disabled\n"
    assert athens.run("systemctl is-active ssi-five.timer").stdout == "active\n"


def test_timers_of_an_older_version(athens):
    """They hold the schedule as it was written, and nothing else."""
    for slug, expression in (("five", FIVE), ("ten", TEN)):
        athens.run(f"sed -i -e '/^.X-SSI.$/,$d' -e 's|^OnCalendar=.*|OnCalendar={expression}|' /etc/systemd/system/ssi-{slug}.timer")
    # Somebody has edited one by hand, in spite of what its first line says.
    athens.run("sed -i 's|^OnCalendar=.*|&\\nOnCalendar=daily|' /etc/systemd/system/ssi-ten.timer && systemctl daemon-reload")
    athens.run(["busctl", "call", "org.ssi.Agent1", "/org/ssi/Agent1", "org.ssi.Agent1.Manager", "Reload"])
    wait_until(lambda: calendar(athens, "five") == (FIVE_UTC, FIVE_UTC))
    assert "OnCalendar=daily" in athens.run("cat /etc/systemd/system/ssi-ten.timer").stdout
    assert athens.run("ls -A /etc/systemd/system | grep ssi-new", check=False).stdout == ""


def test_nothing_to_do_does_nothing(athens):
    """No reload of systemd for a link that is written again."""
    after = athens.journal_end()
    set_zone(athens, "Europe/Athens")
    set_zone(athens, "Asia/Kolkata")
    wait_until(lambda: calendar(athens, "ten")[0] == TEN)
    wait_until(lambda: [e for e in athens.journal("_SYSTEMD_UNIT=ssid.service", after=after) if "Wrote the timers of 1 " in e["MESSAGE"]])
    assert len(athens.journal("_SYSTEMD_UNIT=ssid.service", after=after)) == 1
