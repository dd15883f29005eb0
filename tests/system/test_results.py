# SPDX-License-Identifier: LGPL-2.1-or-later
"""What services print arrives in the backend's database: everything, once, in order."""
import re
import time

import pytest

from hosts import BUILD, NOW, prints, script, wait_until

pytestmark = pytest.mark.essential


def test_every_line_is_an_event_once(stack, add):
    add(stack, script("Counted", f'echo "{NOW}, OK, run $INVOCATION_ID"'))
    stack.run("for i in $(seq 100); do systemctl start ssi-counted.service; done", timeout=120)
    lines = stack.lines("counted")
    assert len(lines) == 100
    messages = [line.split(", ", 2)[2] for line in lines]
    wait_until(lambda: len(stack.events("counted")) >= 100, timeout=30)
    assert stack.events("counted") == messages


def test_a_journal_that_is_opened_anew_is_read_on_where_it_stood(stack, add):
    """As it is in the middle of a long backlog: sd-journal maps more and more until then."""
    add(stack, script("Backlog", prints("OK", "run $INVOCATION_ID")))
    # Not all that other tests have left: opening the journal anew for each of its entries takes minutes.
    begin = stack.run("journalctl --sync; journalctl -q -n 1 -o cat --show-cursor").stdout.split("-- cursor: ")[1].strip()
    stack.run("for i in $(seq 20); do systemctl start ssi-backlog.service; done; journalctl --sync", timeout=60)
    probe = stack.write("/usr/local/bin/journal-probe", (BUILD / "tests/system/journal-probe").read_bytes(), "0755")
    read = {n: [line for line in stack.run([probe, str(n), begin]).stdout.splitlines() if line.startswith("backlog ")]
            for n in (1, 2, 7, 1000000)}
    assert len(read[1]) == len(stack.lines("backlog")) == 20
    assert all(lines == read[1000000] for lines in read.values())


def test_many_services_at_once(stack, add):
    for i in range(10):
        add(stack, script(f"Parallel {i}", f'echo "{NOW}, UPDATE, {i} $INVOCATION_ID"'), filename=f"p{i}.bash")
    units = " ".join(f"ssi-parallel-{i}.service" for i in range(10))
    stack.run(f"for r in $(seq 10); do systemctl start {units}; done", timeout=120)
    for i in range(10):
        messages = [line.split(", ", 2)[2] for line in stack.lines(f"parallel-{i}")]
        assert len(messages) == 10
        wait_until(lambda: len(stack.events(f"parallel-{i}")) >= 10, timeout=30)
        assert stack.events(f"parallel-{i}") == messages


def test_the_last_valid_line_of_a_run_is_its_result(stack, add):
    add(stack, script("Several Lines", "\n".join([
        "echo not a status line", prints("OK", "first"), prints("PERFECT", "no such status"),
        prints("FAILURE", "second, and last"), "echo trailing", "echo to stderr >&2"])))
    assert stack.run(["ssictl", "run", "several-lines"], check=False).returncode == 3
    wait_until(lambda: stack.events("several-lines"))
    assert stack.events("several-lines") == ["second, and last"]
    assert stack.events("several-lines", kind="error") == []


def test_a_run_without_a_line_is_an_execution_error(stack, add):
    add(stack, script("Silent", "exit 0"))
    stack.run(["ssictl", "run", "silent"], check=False)
    rows = wait_until(lambda: stack.sql("SELECT kind, status, error_kind FROM events WHERE service = 'silent'"))
    assert rows == [["error", "", "no-status-line"]]


def test_a_run_that_is_stopped_is_nobodys_alarm(stack, add):
    """As systemd stops it when the host goes down; on the host it shows."""
    add(stack, script("Stopped", f'[[ -e /run/stop-me ]] && sleep 15; {prints("OK", "later")}'))
    stack.run("touch /run/stop-me; systemctl start --no-block ssi-stopped.service")
    wait_until(lambda: stack.show("ssi-stopped.service", "SubState")["SubState"] == "start")
    stack.run("systemctl stop ssi-stopped.service; rm /run/stop-me")
    wait_until(lambda: "was stopped before it ended" in stack.run(["ssictl", "history", "stopped"]).stdout)
    stack.run(["ssictl", "run", "stopped"])
    wait_until(lambda: stack.events("stopped") == ["later"])
    assert stack.sql("SELECT kind FROM events WHERE service = 'stopped'") == [["result"]]


def test_an_exit_code_is_an_execution_error(stack, add):
    add(stack, script("Exits", f'{prints("OK", "but")}; exit 3'))
    stack.run(["ssictl", "run", "exits"], check=False)
    rows = wait_until(lambda: stack.sql("SELECT kind, status, error_kind, error_detail FROM events WHERE service = 'exits'"))
    assert len(rows) == 1
    assert rows[0][:3] == ["error", "", "exit-code"]
    assert "3" in rows[0][3]


def test_unusual_messages_arrive_whole(stack, add):
    text = 'quotes " and \' and \\ backslash, commas,, {"json": null} <b>html</b> %s %n ünï¢ödé 🚦'
    stack.write("/etc/ssi-test-message", text + "\n")
    add(stack, script("Unusual", f'echo "{NOW}, OK, $(cat /etc/ssi-test-message)"'))
    stack.run(["ssictl", "run", "unusual"])
    wait_until(lambda: stack.events("unusual"))
    assert stack.events("unusual") == [text]
    assert stack.account.services(stack.server_id)["unusual"]["message"] == text


@pytest.mark.other_release
def test_the_first_result_of_a_service_stays(stack, add):
    """It comes before ssid shows the service: no inventory may take it away again."""
    names = [f"first-{i}" for i in range(20)]
    for name in names:
        stack.write(f"/tmp/{name}.bash", script(name, prints("OK", "first"), schedule="*-*-* 05:00:00"))
    stack.run("for i in $(seq 0 19); do ssictl add --run /tmp/first-$i.bash || exit; done", timeout=120)
    try:
        for name in names:
            wait_until(lambda: stack.events(name) == ["first"])
        # The last inventory has been sent.
        time.sleep(6)
        services = stack.account.services(stack.server_id)
        assert {name: services.get(name, {}).get("status") for name in names} == dict.fromkeys(names, "OK")
    finally:
        stack.run(["ssictl", "remove", *names], check=False)


def test_rest_shows_the_state(stack, add):
    add(stack, script("Rest State", prints("WARNING", "look here"), schedule="*-*-* 05:00:00", timeout="7s", version="2.1"))
    service = wait_until(lambda: stack.account.services(stack.server_id).get("rest-state"))
    assert service["status"] is None

    assert stack.run(["ssictl", "run", "rest-state"], check=False).returncode == 3
    wait_until(lambda: stack.account.services(stack.server_id)["rest-state"]["status"] == "WARNING")
    service = stack.account.services(stack.server_id)["rest-state"]
    assert service["message"] == "look here"
    assert service["title"] == "Rest State"
    assert service["metadata"] == {"description": "A script of the tests", "version": "2.1"}
    assert service["schedule"] == "*-*-* 05:00:00"
    assert service["timeout_ms"] == 7000
    assert service["enabled"] is True
    assert re.fullmatch(r"[0-9a-f]{32}", service["invocation_id"])
    assert service["error"] is None
    next_run = wait_until(lambda: stack.account.services(stack.server_id)["rest-state"]["next_run"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT05:0\d:\d\d(\.\d+)?Z", next_run), next_run

    server = stack.account.get(f"/api/v1/servers/{stack.server_id}")
    assert server["state"] == "online"
    assert server["counts"]["WARNING"] >= 1

    events = stack.account.get(f"/api/v1/servers/{stack.server_id}/services/rest-state/events?limit=5")
    assert [(e["kind"], e["status"], e["message"]) for e in events] == [("result", "WARNING", "look here")]


def test_removed_services_leave_the_list(stack):
    path = stack.write("/tmp/short.bash", script("Short Lived", prints("OK", "x")))
    stack.run(["ssictl", "add", path])
    wait_until(lambda: "short-lived" in stack.account.services(stack.server_id))
    stack.run(["ssictl", "remove", "short-lived"])
    wait_until(lambda: "short-lived" not in stack.account.services(stack.server_id))


def test_results_from_while_the_server_was_away(stack, add):
    add(stack, script("While Away", f'echo "{NOW}, OK, run $INVOCATION_ID"'))
    stack.run("systemctl stop ssi-serverd.socket ssi-serverd.service")
    stack.run("for i in $(seq 20); do systemctl start ssi-while-away.service; done")
    stack.run("systemctl start ssi-serverd.socket ssi-serverd.service")
    messages = [line.split(", ", 2)[2] for line in stack.lines("while-away")]
    assert len(messages) == 20
    wait_until(lambda: len(stack.events("while-away")) >= 20, timeout=60)
    assert stack.events("while-away") == messages


def test_another_user_sees_nothing(stack):
    from hosts import Account
    other = Account(stack)
    assert other.get("/api/v1/servers") == []
    for path in ("", "/services", "/services/counted", "/services/counted/events"):
        status, problem = other.request("GET", f"/api/v1/servers/{stack.server_id}{path}")
        assert status == 404, path
        assert problem["type"].startswith("urn:ssi:problem:")
    assert other.request("DELETE", f"/api/v1/servers/{stack.server_id}")[0] == 404


def test_uplink_says_where_it_reports(stack):
    out = stack.run(["ssictl", "uplink"]).stdout
    assert "https://localhost:8443" in out


def test_a_claim_token_is_used_once(stack):
    server = stack.account.new_server("twice")
    claim = {"claim_token": server["claim_token"]}
    assert stack.request("POST", "/api/v1/agents/claim", claim)[0] == 200
    status, problem = stack.request("POST", "/api/v1/agents/claim", claim)
    assert (status, problem["type"]) == (401, "urn:ssi:problem:bad-claim-token")


def test_a_result_does_not_wait_for_journald(stack, add):
    """journald tells readers 250 ms late that there is something new. The sleep separates the line from what came before it."""
    add(stack, script("Prompt", 'sleep 0.4; echo "$(date "+%Y-%m-%d %H:%M:%S"), OK, $EPOCHREALTIME"'))

    def one_is_earlier():
        """A busy machine may be late often, but not always."""
        stack.run("systemctl start ssi-prompt.service")
        rows = stack.sql("SELECT extract(epoch FROM received_at) - message::float8 FROM events WHERE service = 'prompt' AND kind = 'result'")
        return rows and min(float(row[0]) for row in rows) < 0.15

    wait_until(one_is_earlier, timeout=60)
