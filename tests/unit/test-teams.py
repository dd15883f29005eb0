#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Teams: every route with every role, as the OpenAPI document has them; what strangers see; members, invitations and servers
that come and go, and the event streams of all of them.

Usage: test-teams.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import functools
import json
import os
import unittest
import urllib.parse

import serverd
from serverd import PASSWORD, User, get, post, request, sql, update, wait_until

ROLES = ["viewer", "operator", "admin", "owner"]


def make_team(maker, name="Night shift", **members):
    """Its id. members: user by role."""
    team = post("/teams", {"name": name}, maker.token, want=201)[1]["id"]
    for role, user in members.items():
        invite(maker, team, "admin" if role == "owner" else role, user)
        if role == "owner":
            request("PATCH", f"/api/v1/teams/{team}/members/{account(user)}", {"role": "owner"}, maker.token, want=204)
    return team


def invite(owner, team, role, user):
    token = post(f"/teams/{team}/invitations", {"role": role}, owner.token, want=201)[1]["token"]
    assert post("/teams/join", {"invitation": token}, user.token, want=200)[1] == {"id": team}


def account(user):
    return get("/users/me", user.token)["id"]


def make_server(user, team, name="web"):
    made = post("/agents/register", {"server_name": name, "team": team}, user.token, want=201)[1]
    return serverd.Agent(user, post("/agents/claim", {"claim_token": made["claim_token"]}, want=200)[1])


def report(agent, name="disk", status="WARNING", text="text"):
    async def run():
        async with agent.connect() as ws:
            await agent.start(ws)
            await ws.send(update(name, status, text, cursor=os.urandom(4).hex()))
            await ws.recv()

    asyncio.run(run())


def make_silence(user, team, reason="planned"):
    return post("/silences", {"label": "x", "reason": reason, "team": team}, user.token, want=201)[1]["id"]


def make_channel(user, team, name="pager"):
    return post("/notifications/channels", {"type": "webhook", "name": name, "team": team, "enabled": False,
                                            "config": {"url": "http://192.0.2.1/"}}, user.token, want=201)[1]["id"]


class Fixture:
    """A team with a member of each role, and something of all that a team has. What is named is named with its mark."""

    def __init__(self, mark):
        self.mark = mark
        self.people = {role: User() for role in ROLES}
        self.owner = self.people["owner"]
        self.team = make_team(self.owner, mark + " team", **{r: u for r, u in self.people.items() if r != "owner"})
        self.silence, self.channel = make_silence(self.owner, self.team, mark), make_channel(self.owner, self.team, mark)
        self.agent = self.server()

    def server(self):
        agent = make_server(self.owner, self.team, self.mark + " server")
        report(agent, text=self.mark)
        request("PATCH", f"/api/v1/servers/{agent.server}", {"labels": [self.mark]}, self.owner.token, want=200)
        post(f"/servers/{agent.server}/services/disk/acknowledgement", {"reason": self.mark}, self.owner.token, want=200)
        sql(f"""INSERT INTO notification_outbox (public_id, queue, user_id, channel_id, payload, state, done_at)
            SELECT 'ntf-{self.mark}', 'channel ' || id, user_id, id, '{{"kind": "status", "message": "{self.mark}"}}', 'sent', now()
            FROM notification_channels WHERE public_id = '{self.channel}'""")
        return agent


@functools.cache
def fixture(mark):
    return Fixture(mark)


class Operation:
    def __init__(self, path, method, spec):
        self.path, self.method, self.role, self.good = path, method.upper(), spec.get("x-ssi-role"), min(map(int, spec["responses"]))
        self.access = spec["x-access"]

    def __str__(self):
        return self.method + " " + self.path

    def url(self, ids):
        return self.path.format(**{k: urllib.parse.quote(v, safe="") for k, v in ids.items()})


def operations():
    return [Operation(path, method, spec) for path, item in request("GET", "/api/v1/openapi.json")[1]["paths"].items()
            for method, spec in item.items()]


class Matrix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ours = fixture("alpha")
        cls.stranger, cls.spare = User(), User()

    def ids(self, op, fresh):
        """What the route names. fresh: may be changed."""
        ours = self.ours
        ids = {"team_id": ours.team, "server_id": ours.agent.server, "name": "disk", "invitation_id": "inv-unknown"}
        if "/channels/" in op.path:
            ids["id"] = make_channel(ours.owner, ours.team) if fresh else ours.channel
        elif "/silences/" in op.path:
            ids["id"] = make_silence(ours.owner, ours.team) if fresh else ours.silence
        if fresh and op.path == "/api/v1/servers/{server_id}" and op.method == "DELETE":
            ids["server_id"] = make_server(ours.owner, ours.team).server
        if fresh and "acknowledgement" in op.path:
            request("POST", op.url(ids), {"reason": "x"}, ours.owner.token, want=200)
        if fresh and op.path == "/api/v1/teams/{team_id}" and op.method == "DELETE":
            # As the caller's: only owners may.
            ids["team_id"] = make_team(ours.owner)
        if "{invitation_id}" in op.path:
            ids["invitation_id"] = post(f"/teams/{ours.team}/invitations", {"role": "viewer"}, ours.owner.token, want=201)[1]["id"]
        if "{user_id}" in op.path:
            if fresh:
                self.join("viewer")
            ids["user_id"] = account(self.spare if fresh else ours.people["viewer"])
        return ids

    def join(self, role):
        """The spare one joins, again if need be."""
        post(f"/teams/{self.ours.team}/leave", {}, self.spare.token)
        invite(self.ours.owner, self.ours.team, role, self.spare)

    def body(self, op):
        team = self.ours.team
        return {"POST /api/v1/agents/register": {"server_name": "x", "team": team},
                "POST /api/v1/silences": {"label": "x", "reason": "x", "team": team},
                "POST /api/v1/notifications/channels": {"type": "webhook", "name": "x", "team": team, "config": {"url": "http://192.0.2.1/"}},
                "PUT /api/v1/servers/{server_id}/team": {"team": team},
                "PATCH /api/v1/teams/{team_id}/members/{user_id}": {"role": "operator"},
                "POST /api/v1/teams/{team_id}/invitations": {"role": "viewer"},
                "PATCH /api/v1/teams/{team_id}": {"name": "alpha team"},
                "POST /api/v1/servers/{server_id}/services/{name}/acknowledgement": {"reason": "x"},
                "POST /api/v1/servers/{server_id}/duplicate": {"keep": "accepted"},
                "PATCH /api/v1/servers/{server_id}": {"name": "alpha server"},
                "PATCH /api/v1/silences/{id}": {"reason": "x"},
                "PATCH /api/v1/notifications/channels/{id}": {"name": "x"}}.get(str(op), None if op.method == "GET" else {})

    def ask(self, op, user, fresh):
        return request(op.method, op.url(self.ids(op, fresh)), self.body(op), user.token)

    def test_each_cell(self):
        """routes x roles x (member, stranger), from the document."""
        cells = 0
        for op in operations():
            if not op.role or op.path == "/api/v1/stream":
                continue
            named = "{" in op.path or self.body(op)
            for role, user in (*self.ours.people.items(), (None, self.stranger)):
                allowed = role is not None and ROLES.index(role) >= ROLES.index(op.role)
                with self.subTest(op=str(op), role=role):
                    if op.path.endswith("/leave") and role:
                        user = self.spare
                        self.join("admin" if role == "owner" else role)
                    status, answer, _ = self.ask(op, user, allowed)
                    cells += 1
                    if not named:
                        self.assertEqual(status, 200, answer)
                        if isinstance(answer, list):
                            self.assertEqual("alpha" in json.dumps(answer), allowed)
                    elif allowed:
                        self.assertEqual((status, answer if status != op.good else None), (op.good, None)) if not op.path.endswith("/duplicate") \
                            else self.assertEqual((status, answer["type"]), (409, "urn:ssi:problem:no-duplicate"))
                    elif role:
                        self.assertEqual((status, answer["type"]), (403, "urn:ssi:problem:role-needed"), answer)
                        self.assertIn(op.role, answer["detail"])
                    else:
                        self.assertEqual((status, answer["type"]), (404, "urn:ssi:problem:not-found"), answer)
        self.assertGreater(cells, 200)
        self.assertEqual(get(f"/teams/{self.ours.team}", self.ours.owner.token)["name"], "alpha team")

    def test_a_token_has_no_more_than_its_account(self):
        viewer = self.ours.people["viewer"]
        token = post("/api-tokens", {"name": "x", "scopes": ["write"]}, viewer.token, want=201)[1]["token"]
        request("PATCH", f"/api/v1/servers/{self.ours.agent.server}", {"name": "x"}, token, want=403)


class TwoTeams(unittest.TestCase):
    """Rows of two teams in every table that has any: no route shows the other team's."""

    def fill(self, f, n):
        """What requests have not made."""
        server, user, team = (sql(f"SELECT id FROM {table} WHERE public_id = '{key}'")
                              for table, key in (("servers", f.agent.server), ("users", account(f.owner)), ("teams", f.team)))
        channel = sql(f"SELECT id FROM notification_channels WHERE public_id = '{f.channel}'")
        post("/api-tokens", {"name": f.mark, "scopes": ["read"]}, f.owner.token, want=201)
        post("/silences", {"server_id": f.agent.server, "reason": f.mark}, f.owner.token, want=201)
        post("/invitations", {"email": f.mark + "@example.org"}, f.owner.token, want=201)
        f.invitation = post(f"/teams/{f.team}/invitations", {"role": "viewer", "email": f.mark + "@example.org"}, f.owner.token, want=201)[1]["id"]
        f.session = get("/sessions", f.owner.token)[0]["id"]
        post(f"/servers/{f.agent.server}/services/disk/acknowledgement", {"reason": f.mark}, f.owner.token)
        f.token = get("/api-tokens", f.owner.token)[0]["id"]
        sql(f"""INSERT INTO email_tokens (token_hash, user_id, purpose, email, expires_at)
                 VALUES ('\\x0{n}', {user}, 'verify', '{f.mark}@example.org', now() + interval '1 h');
            INSERT INTO email_changes (user_id, public_id, email, expires_at)
                 VALUES ({user}, 'chg-{f.mark}', '{f.mark}@example.org', now() + interval '1 h');
            INSERT INTO verified_emails (user_id, email) VALUES ({user}, '{f.mark}@example.org');
            INSERT INTO account_quotas (user_id, name, value) VALUES ({team}, 'servers', 777{n});
            INSERT INTO quota_reached (user_id, name) VALUES ({team}, 'servers');
            INSERT INTO notification_settings (user_id, timezone) VALUES ({user}, 'Europe/Athens');
            INSERT INTO push_subscriptions (public_id, user_id, endpoint, p256dh, auth, public_key, label)
                 VALUES ('psh-{f.mark}', {user}, 'https://{f.mark}.example.org/', 'x', 'x', 'x', '{f.mark}');
            INSERT INTO notification_states (channel_id, server_id, service, kind, told) VALUES ({channel}, {server}, 'disk', 'status', 'OK');
            INSERT INTO history_usage (server_id, day, bytes) VALUES ({server}, current_date, 5);
            INSERT INTO transitions (server_id, what, after) VALUES ({server}, 'state', '{f.mark}')""")
        f.keys = {"server_id": {server}, "user_id": {user, team}, "team_id": {team}, "channel_id": {channel}}

    def test_nothing_of_the_other_team(self):
        mine, theirs = fixture("beta"), fixture("alpha")
        self.fill(mine, 1)
        self.fill(theirs, 2)
        for f in (mine, theirs):
            for table, column in serverd.backend.sql.rows(
                    "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'public'::regnamespace"
                    " AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname IN ('server_id', 'user_id', 'team_id', 'channel_id')"):
                n = sql(f"SELECT count(*) FROM {table} WHERE {column} IN ({', '.join(f.keys[column])})")
                self.assertGreater(int(n), 0, f"The table {table} has no row of {f.mark}: make one here.")

        def ask(op, user, of):
            ids = {"team_id": of.team, "server_id": of.agent.server, "name": "disk", "invitation_id": of.invitation, "session_id": of.session,
                   "token_id": of.token, "user_id": account(of.owner), "token": "unknown",
                   "account_id": account(of.owner), "announcement_id": "unknown",
                   "id": of.silence if "silences" in op.path else f"psh-{of.mark}" if "push" in op.path else of.channel}
            return json.dumps(request(op.method, op.url(ids), None if op.method == "GET" else {"team": of.team, "role": "owner", "name": "x",
                              "reason": "x", "label": "x", "server_id": of.agent.server, "server_name": "x", "type": "webhook", "keep": "accepted",
                              "config": {"url": "http://192.0.2.1/"}}, user.token)[1])

        shown = set()
        for op in operations():
            if op.access == "open" or op.path == "/api/v1/stream" or (op.path == "/api/v1/sessions" and op.method == "DELETE"):
                continue
            for person in mine.people.values():
                answer = ask(op, person, theirs)
                for mark in ("alpha", "7772", *(p.email for p in theirs.people.values())):
                    self.assertNotIn(mark, answer, str(op))
            if op.method == "GET" and "alpha" in ask(op, theirs.owner, theirs):
                shown.add(op.path)
        # And so the marks are what the routes show.
        self.assertGreaterEqual(len(shown), 18, shown)
        # All of it is still there.
        self.assertEqual(len(get(f"/teams/{theirs.team}/members", theirs.owner.token)), 4)
        self.assertEqual({s["team"]["id"] for s in get("/servers", theirs.owner.token)}, {theirs.team})
        self.assertIn(theirs.channel, [c["id"] for c in get("/notifications/channels", theirs.owner.token)])


class Streams(unittest.TestCase):
    def test_two_people(self):
        first, second = User(), User()
        team = make_team(first, admin=second)
        agent, own = make_server(first, team), second.server("own")
        mine, theirs = first.stream(), second.stream()
        report(agent)
        for stream in (mine, theirs):
            stream.wait("service", lambda d: d["service"]["name"] == "disk")
        post(f"/servers/{agent.server}/services/disk/acknowledgement", {"reason": "I look"}, first.token, want=200)
        data, _ = theirs.wait("service", lambda d: d["service"]["acknowledgement"])
        self.assertEqual(data["service"]["acknowledgement"]["made_by"], first.email)

        # Removed: the stream ends, and the next one has nothing of the team.
        request("DELETE", f"/api/v1/teams/{team}/members/{account(second)}", {}, first.token, want=204)
        theirs.wait("end")
        again = second.stream()
        report(agent, "load")
        mine.wait("service", lambda d: d["service"]["name"] == "load")
        report(own, "own")
        while True:
            kind, data, _ = again.events.get(timeout=60)
            self.assertNotIn(agent.server, json.dumps(data))
            if kind == "service" and data["service"]["name"] == "own":
                break
        self.assertEqual([s["id"] for s in get("/servers", second.token)], [own.server])

    def test_a_server_that_moves(self):
        owner, other = User(), User()
        old, new = make_team(owner, "old", viewer=other), make_team(owner, "new")
        agent = make_server(owner, old)
        report(agent)
        stream = other.stream()
        post("/silences", {"server_id": agent.server, "reason": "x"}, owner.token, want=201)

        async def moved():
            async with agent.connect() as ws:
                await agent.start(ws)
                # Another thread: this one answers the agent's side.
                await asyncio.to_thread(request, "PUT", f"/api/v1/servers/{agent.server}/team", {"team": new}, owner.token, want=204)
                # It connects again, so that nothing it says goes to the old team.
                return await serverd.closed_with(ws)

        self.assertEqual(asyncio.run(moved())[1], asyncio.run(self.fenced(agent)))
        stream.wait("server-removed", lambda d: d["server_id"] == agent.server)
        self.assertEqual(get("/servers", other.token), [])
        self.assertEqual(get("/silences", owner.token), [])
        self.assertEqual([(s["id"], s["team"]) for s in get(f"/servers?team={new}", owner.token)], [(agent.server, {"id": new, "name": "new"})])
        self.assertEqual(get(f"/servers?team={old}", owner.token), [])
        report(agent, "load")
        self.assertEqual({s["name"] for s in get(f"/servers/{agent.server}/services", owner.token)}, {"disk", "load"})
        # Of a team that the caller does not administer, or does not know, nothing goes, and nothing comes to one.
        request("PUT", f"/api/v1/servers/{agent.server}/team", {"team": account(other)}, owner.token, want=404)
        entries = [e for e in get("/audit", owner.token) if e["event"] == "server.moved"]
        self.assertEqual([e["object"] for e in entries], [agent.server] * 2)

    async def fenced(self, agent):
        """The code with which a session ends that another one has taken over from."""
        async with agent.connect() as old:
            await agent.start(old)
            async with agent.connect() as ws:
                await agent.start(ws)
                return (await serverd.closed_with(old))[1]


class Members(unittest.TestCase):
    def test_teams(self):
        user = User()
        personal, = get("/teams", user.token)
        self.assertEqual((personal["id"], personal["name"], personal["personal"], personal["role"]), (account(user), user.email, True, "owner"))
        team = make_team(user, "first")
        self.assertEqual([t["name"] for t in get("/teams", user.token)], [user.email, "first"])
        request("PATCH", f"/api/v1/teams/{team}", {"name": "renamed"}, user.token, want=204)
        self.assertEqual(get(f"/teams/{team}", user.token)["name"], "renamed")
        for method, path, body in (("PATCH", "", {"name": "x"}), ("DELETE", "", {}), ("POST", "/leave", {}),
                                   ("POST", "/invitations", {"role": "viewer"})):
            answer = request(method, f"/api/v1/teams/{personal['id']}{path}", body, user.token, want=409)[1]
            self.assertEqual(answer["type"], "urn:ssi:problem:personal-team", (method, path))
        agent = make_server(user, team)
        self.assertEqual(request("DELETE", f"/api/v1/teams/{team}", {}, user.token, want=409)[1]["type"], "urn:ssi:problem:team-has-servers")
        request("DELETE", f"/api/v1/servers/{agent.server}", {}, user.token, want=204)
        request("DELETE", f"/api/v1/teams/{team}", {}, user.token, want=204)
        request("GET", f"/api/v1/teams/{team}", None, user.token, want=404)
        for n in range(20):
            make_team(user, str(n))
        self.assertEqual(post("/teams", {"name": "x"}, user.token, want=409)[1]["type"], "urn:ssi:problem:too-many-teams")
        events = [e["event"] for e in get("/audit", user.token)]
        self.assertIn("team.made", events)

    def test_owners(self):
        owner, admin, second = User(), User(), User()
        team = make_team(owner, admin=admin, viewer=second)
        member = f"/api/v1/teams/{team}/members/"
        # The last one stays.
        self.assertEqual(request("PATCH", member + account(owner), {"role": "admin"}, owner.token, want=409)[1]["type"], "urn:ssi:problem:last-owner")
        self.assertEqual(post(f"/teams/{team}/leave", {}, owner.token, want=409)[1]["type"], "urn:ssi:problem:last-owner")
        self.assertEqual(request("DELETE", "/api/v1/users/me", {"password": PASSWORD}, owner.token, want=409)[1]["type"], "urn:ssi:problem:last-owner")
        # Owners are owners' business.
        for method, who, body in (("PATCH", owner, {"role": "viewer"}), ("DELETE", owner, {}), ("PATCH", second, {"role": "owner"}),
                                  ("PATCH", admin, {"role": "owner"})):
            self.assertEqual(request(method, member + account(who), body, admin.token, want=403)[1]["type"], "urn:ssi:problem:role-needed")
        # A transfer: then the first one can go.
        request("PATCH", member + account(second), {"role": "owner"}, owner.token, want=204)
        agent = make_server(owner, team)
        request("DELETE", "/api/v1/users/me", {"password": PASSWORD}, owner.token, want=204)
        self.assertEqual([(m["email"], m["role"]) for m in get(f"/teams/{team}/members", second.token)],
                         [(second.email, "owner"), (admin.email, "admin")])
        self.assertEqual(get(f"/servers/{agent.server}", second.token)["team"]["id"], team)
        request("PATCH", member + account(admin), {"role": "viewer"}, second.token, want=204)
        request("PATCH", f"/api/v1/servers/{agent.server}", {"name": "x"}, admin.token, want=403)
        post(f"/teams/{team}/leave", {}, admin.token, want=204)
        request("GET", f"/api/v1/servers/{agent.server}", None, admin.token, want=404)
        # With its only member, the team goes.
        request("DELETE", "/api/v1/users/me", {"password": PASSWORD}, second.token, want=204)
        self.assertEqual(sql(f"SELECT count(*) FROM teams WHERE public_id = '{team}'"), "0")
        self.assertEqual(sql(f"SELECT count(*) FROM servers WHERE public_id = '{agent.server}'"), "0")

    def test_two_owners_leave_at_once(self):
        first, second = User(), User()
        for _ in range(5):
            team = make_team(first, owner=second)

            async def both():
                return await asyncio.gather(*(asyncio.to_thread(post, f"/teams/{team}/leave", {}, u.token) for u in (first, second)))

            self.assertEqual(sorted(status for status, *_ in asyncio.run(both())), [204, 409])

    def test_who_leaves_takes_nothing_along(self):
        owner, member = User(), User()
        team = make_team(owner, admin=member)
        server = make_server(member, team).server
        kept = make_channel(member, team)
        sql(f"INSERT INTO verified_emails (user_id, email) SELECT id, email FROM users WHERE email = '{member.email}'")
        push = post("/notifications/channels", {"type": "push", "name": "mine", "team": team}, member.token, want=201)[1]["id"]
        token = post(f"/teams/{team}/invitations", {"role": "admin"}, member.token, want=201)[1]["token"]
        self.assertEqual({c["id"] for c in get("/notifications/channels", owner.token)}, {kept, push})
        post(f"/teams/{team}/leave", {}, member.token, want=204)
        self.assertEqual([c["id"] for c in get("/notifications/channels", owner.token)], [kept])
        self.assertEqual([s["id"] for s in get("/servers", owner.token)], [server])
        for path in ("/servers", "/notifications/channels", "/silences", "/notifications"):
            self.assertEqual(get(path, member.token), [])
        # Nor back.
        post("/teams/join", {"invitation": token}, member.token, want=403)

    def test_invitations(self):
        owner, guest, other = User(), User(), User()
        team = make_team(owner)
        path = f"/teams/{team}/invitations"
        post(path, {"role": "owner"}, owner.token, want=400)
        post(path, {"role": "viewer", "expires_in": 0}, owner.token, want=400)
        made = post(path, {"role": "operator", "email": guest.email}, owner.token, want=201)[1]
        post("/teams/join", {"invitation": made["token"]}, other.token, want=403)
        self.assertEqual([(i["email"], i["role"]) for i in get(path, owner.token)], [(guest.email, "operator")])
        self.assertEqual(get("/invitations", owner.token), [])
        post("/teams/join", {"invitation": made["token"]}, guest.token, want=200)
        self.assertEqual(get(f"/teams/{team}", guest.token)["role"], "operator")
        post("/teams/join", {"invitation": made["token"]}, other.token, want=403)
        # Withdrawn, expired, or of somebody who may not invite any more.
        made = post(path, {"role": "viewer"}, owner.token, want=201)[1]
        request("DELETE", f"/api/v1{path}/{made['id']}", {}, owner.token, want=204)
        post("/teams/join", {"invitation": made["token"]}, other.token, want=403)
        made = post(path, {"role": "viewer"}, owner.token, want=201)[1]
        sql(f"UPDATE invitations SET expires_at = now() WHERE public_id = '{made['id']}'")
        post("/teams/join", {"invitation": made["token"]}, other.token, want=403)
        request("PATCH", f"/api/v1/teams/{team}/members/{account(guest)}", {"role": "admin"}, owner.token, want=204)
        made = post(path, {"role": "admin"}, guest.token, want=201)[1]
        request("PATCH", f"/api/v1/teams/{team}/members/{account(guest)}", {"role": "viewer"}, owner.token, want=204)
        post("/teams/join", {"invitation": made["token"]}, other.token, want=403)
        # Who has no account makes one with it, and is a member at once.
        made = post(path, {"role": "viewer"}, owner.token, want=201)[1]
        email = f"new-{os.getpid()}@example.org"
        self.assertIn(post("/users/register", {"email": email, "password": PASSWORD, "invitation": made["token"]})[0], (201, 202))
        wait_until(lambda: email in [m["email"] for m in get(f"/teams/{team}/members", owner.token)])

    def test_quotas_belong_to_the_team(self):
        owner = User()
        team = make_team(owner)
        sql(f"INSERT INTO account_quotas (user_id, name, value) SELECT id, 'servers', 1 FROM teams WHERE public_id = '{team}'")
        make_server(owner, team)
        self.assertEqual(post("/agents/register", {"server_name": "x", "team": team}, owner.token, want=409)[1]["type"],
                         "urn:ssi:problem:too-many-servers")
        mine = owner.server()
        self.assertEqual(request("PUT", f"/api/v1/servers/{mine.server}/team", {"team": team}, owner.token, want=409)[1]["type"],
                         "urn:ssi:problem:too-many-servers")
        used = {q["name"]: q for q in get(f"/users/me/usage?team={team}", owner.token)["quotas"]}["servers"]
        self.assertEqual((used["used"], used["limit"]), (1, 1))


if __name__ == "__main__":
    os.environ["SSI_SIGN_UP"] = "open"
    serverd.main()
