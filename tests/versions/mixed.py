# SPDX-License-Identifier: LGPL-2.1-or-later
"""An agent of one version and a backend of the other."""
import json
import os

import fleet
from builds import OLDER, BuiltHost
from hosts import Account, script, wait_until

# The number says which run.
BODY = """read -r n </run/{slug}.n
echo "$(date '+%Y-%m-%d %H:%M:%S'), $([[ $((n % 9)) == 0 ]] && echo WARNING || echo OK), number $n"
"""
PATIENCE = 300  # for machines with much else to do


class Agent(fleet.Agent):
    def __init__(self, name, pair, build):
        super().__init__(name, pair)
        self.host = BuiltHost(name, build, "--agent")

    def up(self):
        self.host.up()
        self.register()
        self.wait_for_state("online")

    def server(self):
        return self.fleet.account.get(f"/api/v1/servers/{self.server_id}")

    def services(self):
        return self.fleet.account.services(self.server_id)

    def wait_for_state(self, state):
        wait_until(lambda: self.server()["state"] == state, PATIENCE, what=f"{self.host.name} is {state}")

    def wait_for_results(self, n=5):
        before = len(self.stored())
        wait_until(lambda: len(self.stored()) >= before + n, PATIENCE, what=f"{n} results of {self.host.name}")

    def wait_for_lines(self, n=5):
        """Until its journal holds n lines more."""
        self.note_kept()
        want = sum(map(len, self.kept.values())) + n

        def there():
            self.note_kept()
            return sum(map(len, self.kept.values())) >= want

        wait_until(there, PATIENCE)

    def settle(self):
        self.end()
        self.wire.mend()
        wait_until(self.settled, PATIENCE, what=f"{self.host.name} has sent its last line")


class Pair:
    def __init__(self, name, agent_build, server_build):
        self.server = BuiltHost(f"{name}-server", server_build, "--server")
        self.agent = Agent(f"{name}-agent", self, agent_build)

    def __enter__(self):
        self.server.up()
        self.account = Account(self.server)
        self.ca = self.server.run("cat /var/lib/ssi-server/tls/ca.pem").stdout
        self.agent.up()
        return self

    def __exit__(self, *exc):
        if self.agent.wire:
            self.agent.wire.close()
        for host in (self.agent.host, self.server):
            host.down()


def ctl(host, *args, **kwargs):
    return host.run(["ssictl", *args], **kwargs)


def interrupted(pair):
    """Lines that the backend has not acknowledged are sent again: after a cut, after its death, after the agent's restart."""
    agent = pair.agent
    agent.wire.cut()
    agent.wait_for_lines()
    agent.wire.reset()
    agent.wire.mend()
    agent.wait_for_results()
    for host, unit in ((pair.server, "ssi-serverd.service"), (agent.host, "ssi-uplinkd.service"), (agent.host, "ssid.service")):
        host.run(["systemctl", "kill", "-s", "KILL", unit])
        agent.wait_for_results()


def gap(pair):
    agent = pair.agent
    agent.wire.cut()
    agent.wait_for_lines(10)
    agent.host.run("journalctl --rotate; journalctl --vacuum-files=1")
    agent.wire.reset()
    agent.wire.mend()
    wait_until(lambda: None in agent.stored(), PATIENCE, what="a gap")


def commands(pair):
    """Each of the agent's commands, and what the backend makes of it."""
    agent, host = pair.agent, pair.agent.host
    assert {"tick", "tock"} <= set(agent.services())
    assert json.loads(ctl(host, "--json", "show", "tick").stdout)["Status"] in ("OK", "WARNING")
    for args in (("list",), ("status",), ("history", "tick", "-n3"), ("uplink",), ("cat", "tick")):
        assert ctl(host, *args, check=False).stdout, args  # the status is also that of a WARNING
    path = host.write("/tmp/broken.bash", script("Broken", "echo said nothing; exit 3"))
    ctl(host, "add", path)
    ctl(host, "run", "broken", check=False)
    wait_until(lambda: (agent.services().get("broken", {}).get("error") or {}).get("kind") == "exit-code", PATIENCE, what="an execution error")
    # Up to schema 8, a backend reads these from members of their own, and agents that are newer do not send them there.
    if pair.server.build.schema > 8:
        metadata = agent.services()["broken"]["metadata"]
        assert (metadata["description"], metadata["version"]) == ("A script of the tests", "1.0"), metadata
    ctl(host, "disable", "broken")
    wait_until(lambda: agent.services()["broken"]["enabled"] is False, PATIENCE, what="it is disabled")
    ctl(host, "enable", "broken")
    wait_until(lambda: agent.services()["broken"]["enabled"] is True and agent.services()["broken"]["next_run"], PATIENCE, what="it is enabled")
    host.write("/tmp/broken.bash", script("Broken", 'echo "$(date "+%Y-%m-%d %H:%M:%S"), OK, mended"'))
    ctl(host, "add", "--replace", path)
    ctl(host, "run", "broken")
    wait_until(lambda: agent.services()["broken"]["message"] == "mended", PATIENCE, what="it is mended")
    ctl(host, "remove", "broken")
    wait_until(lambda: "broken" not in agent.services(), PATIENCE, what="it is removed")


def presence(pair):
    agent = pair.agent
    agent.host.run("systemctl stop ssi-uplinkd.service")
    agent.wait_for_state("offline")
    agent.host.run("systemctl start ssi-uplinkd.service")
    agent.wait_for_state("online")
    agent.wait_for_results()


def check(agent_build, server_build):
    """Gives what is wrong with the history, and counts. Everything else raises."""
    agent_is_older = agent_build.name != "this tree"
    with Pair(f"v{os.getpid()}", agent_build, server_build) as pair:
        agent, account = pair.agent, pair.account
        agent.begin(BODY)
        agent.wait_for_results()
        for step in (interrupted, gap, commands, presence):
            step(pair)
            print(f"  {step.__name__}: done", flush=True)
        if agent_is_older:
            server = agent.server()
            assert (server["agent_version"], server["agent_outdated"]) == (OLDER, True), server
            listed = json.loads(ctl(pair.server, "--json", "server", "list").stdout)
            assert [s["agent_outdated"] for s in listed] == [True], listed
        elif "rotate_key" not in (server_build.source / "docs/protocol.md").read_text():
            refused = ctl(agent.host, "rotate-key", check=False)
            assert refused.returncode not in (0, 6), refused
            print(f"rotate-key: {refused.stderr.strip()}")
            agent.wait_for_results()
        # A second host with this identity, or the same one with another registration.
        again = account.request("POST", f"/api/v1/servers/{agent.server_id}/claim-token")[1]
        ctl(agent.host, "unregister")
        ctl(agent.host, "register", f"https://localhost:{fleet.PORT}", again["claim_token"], "--ca", fleet.CA)
        agent.wait_for_state("online")
        agent.wait_for_results()
        agent.settle()
        wrong, counts = agent.check()
        return wrong + pair.agent.host.deaths() + pair.server.deaths(), counts
