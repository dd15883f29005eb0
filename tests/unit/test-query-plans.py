#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the dashboard's routes read does not grow with the tables: the plans that PostgreSQL really ran, and how many pages
they touched, of one account among few and then among many.

The statements are those that the server sends, taken from auto_explain, so that none has to be kept here in a copy.

Usage: test-query-plans.py SSI-SERVERD MIGRATIONS [unittest arguments]

SSI_QUERY_ROWS sets how many services there are (default: 200000); SSI_QUERY_JSON names a file for the figures.
"""

import asyncio
import contextlib
import json
import os
import time
import unittest

import serverd
from serverd import User, get, request, sql, update, wait_until

ROWS = int(os.environ.get("SSI_QUERY_ROWS") or 200000)
PER_SERVER = 10
OWN_SERVERS = 20

# A page of what is in memory or on disk is 8 kB. Deeper indexes take one or two more for each row that is looked up.
GROWTH = 1.5
SPARE = 60

# Read as a whole they cost what the table holds.
LARGE = {"servers", "services", "events", "transitions", "notification_outbox", "notification_states"}


@contextlib.contextmanager
def plans():
    """Yields a function that gives the plans of what was executed since its last call. A plan is logged before its answer."""
    log = serverd.backend.log
    settings = {"log_min_duration": "0", "log_analyze": "on", "log_buffers": "on", "log_timing": "off", "log_format": "json"}
    for name, value in settings.items():
        sql(f"ALTER SYSTEM SET auto_explain.{name} = {value}")
    sql("SELECT pg_reload_conf()")
    wait_until(lambda: sql("SHOW auto_explain.log_format") == "json")
    time.sleep(0.2)  # the other connections read the settings when they are next idle
    log.seek(0, os.SEEK_END)
    start = log.tell()
    decoder = json.JSONDecoder()

    def since():
        nonlocal start
        log.seek(start)
        text = log.read()
        start = log.tell()
        return [decoder.raw_decode(part.strip())[0] for part in text.split(" plan:\n")[1:]]

    try:
        yield since
    finally:
        for name in settings:
            sql(f"ALTER SYSTEM RESET auto_explain.{name}")
        sql("SELECT pg_reload_conf()")
        wait_until(lambda: sql("SHOW auto_explain.log_format") == "text")
        log.seek(0, os.SEEK_END)


def nodes(plan):
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def pages(plan):
    return plan["Plan"].get("Shared Hit Blocks", 0) + plan["Plan"].get("Shared Read Blocks", 0)


def whole_scans(plan):
    """The large tables that are read as a whole. The partitions of the days to come are, and are empty."""
    return {n["Relation Name"] for n in nodes(plan["Plan"]) if n["Node Type"] == "Seq Scan" and pages({"Plan": n}) > 10
            and (n["Relation Name"] in LARGE or n["Relation Name"].startswith("events_"))}


def fill(owner, first, servers, status="OK"):
    """So many servers with their services, as rows: ids srv-<owner>-<n>, by turns of the accounts named so. The triggers would make a transition of each."""
    sql(f"""BEGIN; SET LOCAL session_replication_role = replica; SET LOCAL synchronous_commit = off;
        INSERT INTO servers (public_id, agent_id, user_id, name, claimed_at, connected, public_token)
            SELECT 'srv-{owner}-' || n, 'agt-{owner}-' || n, u.id, 'host ' || md5(n::text), now(), false, 'pub-{owner}-' || n
            FROM generate_series({first}, {first + servers - 1}) n JOIN (SELECT id, row_number() OVER () - 1 AS k, count(*) OVER () AS c
                FROM users WHERE email LIKE '{owner}%') u ON n % c = k;
        INSERT INTO services (server_id, name, title, schedule, timeout_ms, enabled, next_run, status, message, status_at, changed_at,
                              received_at, told_status, due_at)
            SELECT s.id, 'check-' || i, 'Check ' || i, '*:0/5', 60000, true, now() + interval '1 day',
                   CASE WHEN (s.id + i) % 50 = 0 THEN 'WARNING' ELSE '{status}' END::service_status,
                   '/ is ' || i || '% full, and some more words as scripts print them', now(), now(), now(), '{status}',
                   now() + interval '1 day'
            FROM servers s, generate_series(1, {PER_SERVER}) i
            WHERE s.public_id LIKE 'srv-{owner}-%' AND NOT EXISTS (SELECT FROM services v WHERE v.server_id = s.id);
        INSERT INTO events (server_id, service, kind, at, status, message)
            SELECT v.server_id, v.name, 'result', now(), v.status, v.message FROM services v JOIN servers s ON s.id = v.server_id
            WHERE s.public_id LIKE 'srv-{owner}-%' AND NOT EXISTS (SELECT FROM events e WHERE e.server_id = s.id);
        COMMIT;""")
    sql("VACUUM ANALYZE servers; ")
    sql("VACUUM ANALYZE services")
    sql("ANALYZE events")


class QueryPlans(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.figures = {}
        cls.user, cls.others = User(), User()
        cls.owner, cls.other = cls.user.email.split("-")[0], cls.others.email.split("-")[0]
        cls.agent = cls.user.server()
        # The planner knows how many servers an account has on average.
        sql("INSERT INTO users (public_id, email, password_hash) SELECT 'usr-rest-' || n, 'rest' || n, '' FROM generate_series(1, 200) n")

    def routes(self, owner):
        one = f"/servers/srv-{owner}-7"
        return ["/servers", "/servers?limit=100", "/servers?status=FAILURE,WARNING", "/servers?q=host", one, f"{one}/services",
                f"{one}/services?status=WARNING", f"{one}/services/check-3", f"{one}/services/check-3/events", f"{one}/events",
                f"{one}/services/check-3/timeline", "/notifications", "/notifications/channels", "/notifications/settings",
                "/silences", "/services", "/services?status=FAILURE", "/users/me"]

    def check(self, found):
        """Where the tables are large: none is read as a whole, by whatever the server does meanwhile."""
        if self.large:
            for plan in found:
                self.assertFalse(whole_scans(plan), json.dumps(plan, indent=1))
                self.assertFalse([n for n in nodes(plan["Plan"]) if n["Node Type"].startswith("Gather")], plan["Query Text"])

    def measure(self, user, owner, leave_out=()):
        """{route: pages of its statement}"""
        out = {}
        paths = {path: lambda path=path: get(path, user.token) for path in self.routes(owner) if not path.startswith(leave_out)}
        paths["/public/"] = lambda: request("GET", f"/public/pub-{owner}-7", want=200)
        with plans() as since:
            for path, ask in paths.items():
                ask()  # what is read once per connection is not the route's
                since()
                ask()
                found = since()
                self.check(found)
                # The server's own upkeep may come between.
                mine = [p for p in found if "json" in p["Query Text"]]
                self.assertTrue(mine, path)
                out[path] = max(map(pages, mine))
        return out

    def report(self):
        """A result on its way: what ingestion, the stream and the notifications read and write for it."""
        stream = self.user.stream()

        async def send(n):
            async with self.agent.connect() as ws:
                await self.agent.start(ws)
                await ws.send(update("disk", "WARNING" if n else "OK", str(n), cursor=f"c{n}"))
                await asyncio.wait_for(ws.recv(), 20)

        n = self.sent = getattr(self, "sent", 0) + 1
        asyncio.run(send(n % 2))
        with plans() as since:
            asyncio.run(send((n + 1) % 2))
            stream.wait("service", seconds=20)
            time.sleep(1)
            found = since()
        self.check(found)
        return max(map(pages, found))

    def test_what_is_read_does_not_grow(self):
        self.large = False
        fill(self.owner, 0, OWN_SERVERS)
        fill(self.other, 0, 50)
        fill("rest", 0, 200)
        few = self.measure(self.user, self.owner)
        few["a result"] = self.report()
        begin = time.monotonic()
        fill(self.other, 50, ROWS // PER_SERVER // 2)
        fill("rest", 200, ROWS // PER_SERVER // 2)
        self.large = True
        print(f"{ROWS} services made in {time.monotonic() - begin:.0f} s")
        many = self.measure(self.user, self.owner)
        many["a result"] = self.report()
        # An account that has half of them: its pages cost what is on them. But for the list of all services with the
        # worst first, which no index has: it costs what the account has (api-services.c); and the search for a status, which
        # passes over the servers without.
        own = self.measure(self.others, self.other, leave_out=("/services", "/servers?status"))
        print(f"{'pages touched':44}{'few':>8}{'many':>8}{'of half':>8}")
        for path in few:
            print(f"{path:44}{few[path]:8}{many[path]:8}{own.get(path.replace(self.owner, self.other), '-'):>8}")
        if os.environ.get("SSI_QUERY_JSON"):
            with open(os.environ["SSI_QUERY_JSON"], "w", encoding="utf-8") as f:
                json.dump({path.replace(f"srv-{self.owner}-7", "ID"): {"pages_few": few[path], "pages_many": many[path], "rows": ROWS}
                           for path in few}, f)
        for path, n in few.items():
            self.assertLessEqual(many[path], n * GROWTH + SPARE, path)
        for path, n in own.items():
            self.assertLessEqual(n, 3000, path)


if __name__ == "__main__":
    serverd.main()
