# SPDX-License-Identifier: LGPL-2.1-or-later
"""The token of a registration: where it comes from, and who sees it."""
import pytest

from hosts import wait_until

pytestmark = pytest.mark.essential

TOKEN = "ssi_claim_of-this-test"
NOWHERE = "https://localhost:1"
# Takes connections and says nothing.
SILENT = "import socket, time; s = socket.create_server(('127.0.0.1', 9999)); print(flush=True); time.sleep(60)"


@pytest.fixture
def silent(agent):
    process = agent.start(["/usr/bin/python3", "-c", SILENT], stdout=-1)
    process.stdout.readline()
    yield "https://localhost:9999"
    agent.run(["pkill", "-f", "localhost:9999"], check=False)
    process.kill()
    process.wait()


def sees(agent, word):
    """Whether somebody else finds the word among the processes."""
    return word in agent.run(["runuser", "-u", "nobody", "--", "ps", "-eo", "args", "ww"]).stdout


def registering(agent):
    return "ssictl" in agent.run("cat /proc/[0-9]*/comm").stdout.split()


@pytest.mark.parametrize("how", ["argument", "stdin", "here-string", "file"])
def test_no_token_is_seen(agent, silent, how):
    path = agent.write("/tmp/token", TOKEN + "\n", mode="0600")
    command = {"argument": f"exec ssictl register {silent} {TOKEN}", "stdin": f"exec ssictl register {silent} <{path}",
               "here-string": f"read -r t <{path}; exec ssictl register {silent} - <<<$t",
               "file": f"exec ssictl register {silent} --token-file={path}"}[how]
    # The shell that takes the command is no part of it.
    process = agent.start(["bash", agent.write("/tmp/register.bash", command)], stderr=-1)
    wait_until(lambda: registering(agent) and sees(agent, f"register {silent}"))
    wait_until(lambda: not sees(agent, TOKEN), timeout=3)
    assert process.poll() is None, process.stderr.read()
    agent.run(["pkill", "-x", "ssictl"])
    process.wait()
    wait_until(lambda: not registering(agent))


def test_it_is_asked_for_on_a_terminal(agent):
    with agent.terminal(["ssictl", "register", NOWHERE]) as t:
        t.expect("Token: ")
        wait_until(lambda: not t.echoes())
        t.send(TOKEN + "\n")
        assert t.finish() == 1
        assert TOKEN not in t.text
        assert t.echoes()


def test_without_a_token(agent):
    for more in ([], ["-"], ["--token-file=/dev/null"]):
        r = agent.run(["ssictl", "register", NOWHERE, *more], check=False)
        assert r.returncode == 2 and "no token" in r.stderr, r
    r = agent.run(["ssictl", "register", NOWHERE, "--token-file=/nowhere"], check=False)
    assert r.returncode == 1 and "/nowhere" in r.stderr
