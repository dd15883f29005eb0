# SPDX-License-Identifier: LGPL-2.1-or-later
"""Journal entries that look like results, written by those who must not."""
import time

import pytest

from hosts import NOW, prints, script, wait_until

pytestmark = pytest.mark.essential

# Stands in the journal entries of each generated unit (LogExtraFields).
FIELDS = "SSI_SERVICE=genuine\nSYSLOG_IDENTIFIER=ssi-genuine\nUNIT=ssi-genuine.service\n_SYSTEMD_UNIT=ssi-genuine.service\n" \
         "_TRANSPORT=stdout\nPRIORITY=6\n"


@pytest.fixture
def genuine(stack, add):
    add(stack, script("Genuine", f'echo "{NOW}, OK, genuine $INVOCATION_ID"'))
    stack.add_user("mallory")
    before = len(stack.events("genuine"))
    stack.run(["ssictl", "run", "genuine"])
    wait_until(lambda: len(stack.events("genuine")) == before + 1)
    extra = stack.show("ssi-genuine.service", "LogExtraFields")["LogExtraFields"]
    yield extra
    # A genuine result that comes later has arrived, so the forged one before it has been seen and dropped.
    before = len(stack.events("genuine"))
    stack.run(["ssictl", "run", "genuine"])
    wait_until(lambda: len(stack.events("genuine")) > before)
    messages = [row[0] or row[1] for row in stack.sql("SELECT message, error_detail FROM events WHERE service = 'genuine'")]
    assert all(m.startswith("genuine ") for m in messages), messages
    out = stack.run(["ssictl", "status", "genuine"], check=False).stdout
    assert "forged" not in out
    assert "forged" not in str(stack.account.services(stack.server_id))


def line(message="forged"):
    return time.strftime("%Y-%m-%d %H:%M:%S, FAILURE, ") + message


def test_native_protocol(stack, genuine):
    fields = FIELDS + "\n".join(genuine.split()) + "\n"
    stack.run(["logger", "--journald"], user="mallory", input=fields + f"MESSAGE={line()}\n")
    stack.run(["logger", "--journald"], input=fields + f"MESSAGE={line('forged by root')}\n")


def test_forged_end_of_a_run(stack, genuine):
    """Messages of systemd about the unit, by another sender."""
    for message_id in ("7ad2d189f7e94e70a38c781354912448", "d9b373ed55a64feb8242e02dbe79a49c", "98e322203f7a4ed290d09fe03c09fe15"):
        stack.run(["logger", "--journald"], user="mallory", input=(
            f"MESSAGE_ID={message_id}\nUNIT=ssi-genuine.service\nUNIT_RESULT=exit-code\nEXIT_CODE=exited\nEXIT_STATUS=3\n"
            "CODE_FUNC=unit_log_failure\nINVOCATION_ID=0123456789abcdef0123456789abcdef\n"
            "MESSAGE=forged: ssi-genuine.service: Failed with result 'exit-code'.\n"))


def test_syslog_and_identifier(stack, genuine):
    stack.run(["logger", "-t", "ssi-genuine", line()], user="mallory")
    stack.run(["systemd-cat", "-t", "ssi-genuine", "echo", line()], user="mallory")
    stack.run(["systemd-cat", "-t", "ssi-genuine", "echo", line()])


def test_units_with_similar_names(stack, genuine):
    for unit in ("ssi-genuine-2", "ssi-genuine@1", "ssi-Genuine", "xssi-genuine", "ssi-genuine.service-x"):
        stack.run(["systemd-run", "--wait", "--collect", f"--unit={unit}.service", "-p", "SyslogIdentifier=ssi-genuine",
                   "-p", "LogExtraFields=SSI_SERVICE=genuine", "-p", f"LogExtraFields={genuine.split()[0]}",
                   "bash", "-c", f"echo '{line()}'"])
    assert stack.sql("SELECT count(*) FROM events WHERE message LIKE '%forged%'") == [["0"]]


def test_a_users_own_manager(stack, genuine):
    uid = stack.run(["id", "-u", "mallory"]).stdout.strip()
    stack.run(f"systemctl start user@{uid}.service")
    wait_until(lambda: stack.run(["test", "-S", f"/run/user/{uid}/systemd/private"], check=False).returncode == 0)
    stack.run(["env", f"XDG_RUNTIME_DIR=/run/user/{uid}", "systemd-run", "--user", "--wait", "--unit=ssi-genuine.service",
               "-p", "LogExtraFields=SSI_SERVICE=genuine", "bash", "-c", f"echo '{line()}'"], user="mallory", check=False)
    stack.run(f"systemctl stop user@{uid}.service")


def test_a_service_that_is_not_installed(stack, genuine):
    stack.write("/run/systemd/system/ssi-stranger.service", "[Service]\nType=oneshot\nLogExtraFields=SSI_SERVICE=stranger\n"
                "ExecStart=/bin/bash -c 'echo \"$(date +%%Y-%%m-%%d\\ %%H:%%M:%%S), OK, forged stranger\"'\n")
    stack.run("systemctl daemon-reload && systemctl start ssi-stranger.service; rm /run/systemd/system/ssi-stranger.service;"
              " systemctl daemon-reload")
    assert "stranger" not in stack.run(["ssictl", "list"]).stdout


def test_a_script_cannot_speak_for_another(stack, genuine, add):
    add(stack, script("Impostor", f"""
printf 'SSI_SERVICE=genuine\\n' >/dev/null
logger --journald <<E || true
SSI_SERVICE=genuine
SYSLOG_IDENTIFIER=ssi-genuine
MESSAGE={line()}
E
{prints("OK", "impostor")}"""))
    stack.run(["ssictl", "run", "impostor"])
    wait_until(lambda: stack.events("impostor") == ["impostor"])


FLOOD = r"""
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("/run/systemd/journal/socket")
ids = ("7d4958e842da4a758f6c1cdc7b36dcc5", "7ad2d189f7e94e70a38c781354912448", "d9b373ed55a64feb8242e02dbe79a49c")
for i in range(int(sys.argv[1])):
    s.send((f"MESSAGE=forged\nPRIORITY={2 + i % 6}\nMESSAGE_ID={ids[i % 3]}\nUNIT=ssi-genuine.service\n"
            f"INVOCATION_ID={i:032x}\nUNIT_RESULT=exit-code\n").encode())
"""


@pytest.mark.slow
@pytest.mark.other_release
def test_a_flood_of_forged_entries_hides_nothing(boot):
    """More of them than a reader looks at: they are not even found."""
    host = boot("--agent")
    host.add_user("mallory")
    host.run(["ssictl", "add", host.write("/tmp/genuine.bash", script("Genuine", prints("OK", "genuine")))])
    host.run("ssictl run genuine; ssictl run genuine")
    host.run(["python3", "-c", FLOOD, "90000"], user="mallory", timeout=120)
    host.run("journalctl --sync")
    kept = int(host.run("journalctl -q -o cat MESSAGE=forged | wc -l", timeout=120).stdout)
    print(f"{kept} forged entries are in the journal")
    assert kept > 66000
    history = host.run(["ssictl", "history", "genuine"]).stdout
    assert history.count("genuine") == 2, history
    host.run("systemctl restart ssid")
    assert "OK" in host.run(["ssictl", "status", "genuine"]).stdout
    host.run(["ssictl", "run", "genuine"])
