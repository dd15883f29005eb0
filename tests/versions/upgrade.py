# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host with agent and backend gets the newer version, and the older one again: data, sessions, units, results."""
import json
import os
import time

import fleet
import rolling
from builds import BuiltHost
from hosts import Account, script, wait_until
from mixed import BODY, PATIENCE, Agent, ctl

BACKUP = "/root/before.backup"
PASSWORD = "ten bytes!"  # less than the newer version takes
SINK = """
import http.server
class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        open("/tmp/told", "a").write(body + "\\n")
        self.send_response(200)
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", 9099), Sink).serve_forever()
"""
STATUSES = ("OK", "UPDATE", "WARNING", "FAILURE")
# What changes by itself, or is another's business.
VOLATILE = {"last_seen", "last_used_at", "received_at", "next_run", "expires_at", "features", "readyz"}


class One(Agent):
    """Agent and backend on one host, without a wire."""

    def __init__(self, name, build):
        fleet.Agent.__init__(self, name, self)
        self.host = self.server = BuiltHost(name, build, "--agent", "--server")

    def register(self):
        self.account = Account(self.host)
        created = self.account.new_server(self.host.name, labels=("prod", "a \"b\""))
        self.server_id = created["server_id"]
        ctl(self.host, "register", "https://localhost:8443", created["claim_token"], "--ca", "/var/lib/ssi-server/tls/ca.pem")

    def server_is(self, state):
        return self.account.get(f"/api/v1/servers/{self.server_id}")["state"] == state

    def wait_for_state(self, state):
        wait_until(lambda: self.server_is(state), PATIENCE, what=f"{self.host.name} is {state}")

    def ready(self):
        wait_until(lambda: self.host.request("GET", "/readyz")[0] == 200, PATIENCE, what="the backend is ready")

    def settle(self):
        self.end()
        wait_until(self.settled, PATIENCE, what="the last line is there")


def fill(one):
    """Data of every kind. Gives the secrets that must be good afterwards."""
    host, account = one.host, one.account
    post = account.request

    def made(path, body, method="POST"):
        status, answer = post(method, "/api/v1" + path, body)
        assert status in (200, 201, 204), (path, status, answer)
        return answer

    for status in STATUSES:
        slug = status.lower()
        ctl(host, "add", host.write(f"/tmp/{slug}.bash", script(f"Is {status}", f'echo "$(date "+%Y-%m-%d %H:%M:%S"), {status}, as ever \u00e9"')))
        ctl(host, "run", f"is-{slug}", check=False)
    ctl(host, "add", host.write("/tmp/breaks.bash", script("Breaks", "exit 7", schedule="*:0/5")))
    ctl(host, "run", "breaks", check=False)
    wait_until(lambda: (one.services().get("breaks", {}).get("error") or {}).get("kind") == "exit-code", PATIENCE)
    wait_until(lambda: all(one.services().get(f"is-{s.lower()}", {}).get("status") == s for s in STATUSES), PATIENCE)

    made(f"/servers/{one.server_id}/services/is-failure/acknowledgement", {"reason": "known"})
    made("/silences", {"server_id": one.server_id, "service": "is-warning", "reason": "planned", "ends_at": "2099-01-01T00:00:00Z"})
    page = made(f"/servers/{one.server_id}/public-page", {}, "PUT")["page"]
    made("/notifications/settings", {"timezone": "Europe/Vienna", "quiet_hours": None, "damping": 1}, "PATCH")
    made("/notifications/channels", {"type": "webhook", "name": "sink", "config": {"url": "http://127.0.0.1:9099/hook"}})
    made("/notifications/channels", {"type": "ntfy", "name": "phone", "enabled": False, "config": {"url": "https://ntfy.example.org", "topic": "t"}})
    token = made("/api-tokens", {"name": "program", "scopes": ["read"]})["token"]
    host.sql("INSERT INTO push_subscriptions (public_id, user_id, endpoint, p256dh, auth, public_key)"
             " SELECT 'psh-1', id, 'https://push.example.org/1', 'p', 'a', 'k' FROM users LIMIT 1")
    pending = account.new_server("pending")
    status, _ = host.request("POST", "/api/v1/users/register", {"email": "short@example.org", "password": PASSWORD})
    assert status == 201
    status, session = host.request("POST", "/api/v1/users/login", {"email": "short@example.org", "password": PASSWORD})
    assert status == 200
    host.run("echo SSI_HISTORY_DAYS=30 >>/etc/ssi/serverd.conf")
    return {"page": page, "token": token, "claim_token": pending["claim_token"], "session": session, "access_token": account.token}


def routes(host):
    """The addresses of all that can be read."""
    lines = host.run(["/usr/lib/ssi/ssi-serverd", "--list-routes"]).stdout.splitlines()
    return [path for method, path, access in map(str.split, lines)
            if method == "GET" and access in ("read", "account") and not path.endswith(("/stream", "/push/key", "/events"))]


def read(one, paths):
    """What each answers to its owner."""
    answers, ids = {}, {}
    for path in sorted(paths, key=lambda p: p.count(":")):
        for name, value in (("server_id", one.server_id), ("name", "is-failure"), ("id", ids.get(path.rsplit("/", 1)[0]))):
            path = path.replace(f":{name}", str(value))
        answer = one.account.get(path + ("?limit=1000" if path in ("/api/v1/services", "/api/v1/notifications") else ""))
        if isinstance(answer, list) and answer and isinstance(answer[0], dict) and "id" in answer[0]:
            ids[path] = answer[0]["id"]
        answers[path] = answer
    return answers


def differences(before, after, place=""):
    """What the older version has said and the newer one does not. It may say more."""
    if isinstance(before, dict) and isinstance(after, dict):
        if "metadata" in after:
            after = {**after, **after["metadata"]}
        return [d for key in before if key not in VOLATILE for d in differences(before[key], after.get(key), f"{place}.{key}")]
    if isinstance(before, list) and isinstance(after, list):
        by = next((k for k in ("id", "name") if all(isinstance(x, dict) and k in x for x in before + after)), None)
        if by:
            known = {x[by]: x for x in after}
            return [d for x in before for d in differences(x, known.get(x[by]), f"{place}[{x[by]}]")]
    return [] if before == after else [f"{place}: {before!r} became {after!r}"]


def units(host):
    """The files of all services, by path."""
    out = host.run("cd /etc/systemd/system && for f in ssi-*.service ssi-*.timer; do printf '\\036%s\\037' $f; cat $f; done").stdout
    return dict(part.split("\x1f", 1) for part in out.split("\x1e")[1:])


def is_good(one, secrets):
    """Who was let in before is let in now."""
    host = one.host
    for token in (secrets["access_token"], secrets["token"]):
        status, answer = host.request("GET", "/api/v1/servers", token=token)
        assert status == 200, answer
    status, session = host.request("POST", "/api/v1/users/refresh", {"refresh_token": secrets["session"]["refresh_token"]})
    assert status == 200, session
    assert host.request("POST", "/api/v1/users/login", {"email": "short@example.org", "password": PASSWORD})[0] == 200
    assert host.request("GET", secrets["page"])[0] == 200


def regenerated(host, before):
    """Units of installed services are those that an installation would write now. Gives those that are not."""
    after, stale = units(host), []
    assert set(after) == set(before)
    for slug in sorted(name[4:-8] for name in after if name.endswith(".service")):
        source = host.run(["ssictl", "cat", slug]).stdout
        # These go on running, and a removal takes their units away for a moment.
        if slug not in fleet.SERVICES:
            ctl(host, "remove", slug)
        ctl(host, "add", "--replace", host.write("/tmp/again.bash", source))
    fresh = units(host)
    for name, text in fresh.items():
        if after[name] != text:
            stale.append(f"{name} is not what an installation writes:\n{after[name]}---\n{text}")
    print(f"units: {sum(after[n] != before[n] for n in after)} of {len(after)} were rewritten by the upgrade")
    return stale


def missing_units(host):
    """Starts that failed since a unit was not there: at no moment of an upgrade, restore or downgrade may one be missing."""
    said = host.run("grep -h 'not found' /run/*.said", check=False).stdout
    return [f"while it went on: {line}" for line in said.splitlines()]


def downgrade(one, old):
    """As administration.md says."""
    host = one.host
    if old.schema < rolling.FIRST:
        # On a newer schema, these are never ready; and they look for the authority's key in their own folder.
        host.run("systemctl stop ssi-serverd.socket ssi-serverd.service ssi-postgres.service ssi-server-ca.service &&"
                 " mv /var/lib/ssi-server/postgres /var/lib/ssi-server/postgres-newer &&"
                 " install -o ssi-server -g ssi-server -m 0600 /var/lib/ssi-server-ca/ca.key /var/lib/ssi-server/tls/ca.key &&"
                 " rm -r /var/lib/ssi-server-ca")
    host.install(old)
    host.run("systemctl start ssi-serverd.socket ssi-serverd.service", timeout=120)
    one.ready()
    ctl(host, "server", "restore", BACKUP, timeout=120)


def told(host):
    return [json.loads(line) for line in host.run("cat /tmp/told 2>/dev/null", check=False).stdout.splitlines()]


def check(old, new):
    one = One(f"v{os.getpid()}-one", old)
    host = one.host
    wrong = []
    try:
        host.up()
        host.run("install -d /etc/ssi && echo SSI_ALLOW_PRIVATE_TARGETS=yes >>/etc/ssi/serverd.conf && systemctl restart ssi-serverd.service")
        one.ready()
        one.register()
        one.wait_for_state("online")
        one.begin(BODY)
        one.wait_for_results()
        secrets = fill(one)
        sink = host.start(["python3", "-c", SINK])
        ctl(host, "server", "backup", BACKUP)
        one.wait_for_results()
        # A message that was not delivered before the upgrade.
        sink.kill()
        sink.wait()
        queued = [row[0] for row in host.sql("SELECT count(*) FROM notification_outbox WHERE state = 'queued'")]
        paths = routes(host)
        before, files, moment = read(one, paths), units(host), time.monotonic()
        print(f"{len(paths)} routes are compared, {queued[0]} messages are queued")

        host.install(new)
        one.ready()
        print(f"ready again {time.monotonic() - moment:.1f} s after the installation began")
        is_good(one, secrets)
        one.wait_for_state("online")
        one.wait_for_results()
        wrong += [f"after the upgrade: {d}" for d in differences(still(before), still(read(one, paths)))]
        claimed = host.request("POST", "/api/v1/agents/claim", {"claim_token": secrets["claim_token"]})
        assert claimed[0] == 200, claimed
        sink = host.start(["python3", "-c", SINK])
        wait_until(lambda: host.sql("SELECT count(*) FROM notification_outbox WHERE state = 'queued'") == [["0"]], 600, what="all is delivered")
        assert told(host)
        assert json.loads(ctl(host, "--json", "server", "stats").stdout)["SchemaVersion"] == new.schema
        wrong += regenerated(host, files)
        one.wait_for_results()

        # A backup of the older version.
        ctl(host, "server", "restore", BACKUP, timeout=120)
        is_good(one, secrets)
        one.wait_for_state("online")
        one.wait_for_results()

        # The way back.
        downgrade(one, old)
        is_good(one, secrets)
        one.wait_for_state("online")
        one.wait_for_results()
        one.settle()
        faults, counts = one.check()
        return wrong + faults + missing_units(host) + host.deaths(), counts
    finally:
        host.down()


def still(answers):
    """Without the services that never stop, and what follows from them."""
    return {path: [x for x in answer if not (isinstance(x, dict) and (x.get("name") in fleet.SERVICES or x.get("service") in fleet.SERVICES))]
            if isinstance(answer, list) else answer for path, answer in answers.items()}
