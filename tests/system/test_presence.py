# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the backend shows of a host's being there."""
import json
import time

import pytest

from conftest import register
from hosts import prints, script, wait_until

pytestmark = pytest.mark.other_release


def state(host):
    return host.account.get(f"/api/v1/servers/{host.server_id}")["state"]


def test_a_host_that_goes_down_says_so(stack):
    def holds_it():
        return "ssi-uplinkd" in stack.run("systemd-inhibit --list --no-legend").stdout

    wait_until(holds_it)
    with stack.about_to_go_down():
        wait_until(lambda: state(stack) == "rebooting", timeout=30)
        # It does not keep the host longer than it needs.
        wait_until(lambda: not holds_it())
    wait_until(lambda: state(stack) == "online", timeout=20)
    wait_until(holds_it)


def test_what_was_kept_is_told_as_it_stands_at_last(stack, add):
    add(stack, script("Flapping", 'read -r line </etc/flapping\n' + prints("$line", "as told")))

    def run(status):
        stack.write("/etc/flapping", status + "\n")
        stack.run("systemctl start ssi-flapping.service")

    run("OK")
    wait_until(lambda: stack.account.services(stack.server_id).get("flapping", {}).get("status") == "OK")
    # Nobody but this test reads them meanwhile.
    stack.run("systemctl stop ssi-uplinkd.service")
    last = int(stack.sql("SELECT coalesce(max(id), 0) FROM transitions")[0][0])
    for status in ("FAILURE", "OK", "WARNING"):
        run(status)
    stack.run("systemctl start ssi-uplinkd.service")
    wait_until(lambda: stack.account.services(stack.server_id)["flapping"]["status"] == "WARNING", timeout=20)
    wait_until(lambda: state(stack) == "online")
    assert stack.sql("SELECT told_status FROM services WHERE name = 'flapping'") == [["WARNING"]]
    told = stack.sql(f"SELECT before, after FROM transitions WHERE service = 'flapping' AND what = 'status' AND id > {last}")
    assert told in ([], [["OK", "WARNING"]])   # [] once whoever tells people has taken it
    events = stack.account.get(f"/api/v1/servers/{stack.server_id}/services/flapping/events")
    assert [e["status"] for e in events] == ["WARNING", "OK", "FAILURE", "OK"]


@pytest.mark.slow
def test_a_backend_that_hangs_is_noticed(boot):
    """By 45 seconds of silence, since its machine goes on taking what is sent."""
    host = register(boot("--agent", "--server"))
    sessions = "SELECT session_epoch FROM servers"

    def is_connected():
        return json.loads(host.run(["ssictl", "--json", "uplink"], check=False).stdout)["connected"]

    wait_until(is_connected)
    began = host.sql(sessions)
    host.run("systemctl kill -s STOP ssi-serverd.service")
    try:
        time.sleep(35)
        assert is_connected(), "the silence is shorter than what is waited for"
        wait_until(lambda: not is_connected(), timeout=60)
        assert "does not answer" in host.run("journalctl -b -u ssi-uplinkd --no-pager").stdout
    finally:
        host.run("systemctl kill -s CONT ssi-serverd.service")
    wait_until(is_connected, timeout=60)
    assert host.sql(sessions) > began
