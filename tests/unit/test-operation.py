#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What operators rely on: /metrics, /readyz, the history's partitions, and that idleness costs nothing.

Usage: test-operation.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import contextlib
import datetime
import http.client
import json
import os
import re
import threading
import unittest
import urllib.error
import urllib.request

import pq
import serverd
from serverd import User, message, request, sql, update, wait_until

TOKEN = "scrape-me"
SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\n"])*",?)*)\})? (\S+)$')


def scrape(headers=None, i=0):
    r = urllib.request.Request(f"http://127.0.0.1:{serverd.backend.ports[i]}/metrics", headers=headers or {})
    with urllib.request.urlopen(r, timeout=30) as f:
        assert f.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return f.read().decode()


def parse(text):
    """The samples by (name, labels); fails on what Prometheus would not take."""
    assert text.endswith("\n")
    types, samples, current, finished = {}, {}, None, set()
    for line in text.splitlines():
        if line.startswith("# "):
            _, what, name, rest = line.split(" ", 3)
            if what == "TYPE":
                assert name not in types and rest in ("counter", "gauge", "histogram"), line
                types[name] = rest
            else:
                assert what == "HELP", line
            if current != name:
                assert name not in finished, f"{name} is not in one piece"
                finished.add(current)
            current = name
            continue
        m = SAMPLE.match(line)
        assert m, line
        name, labels, value = m[1], m[2] or "", float(m[3])
        base = re.sub("_(bucket|sum|count)$", "", name) if types.get(current) == "histogram" else name
        assert base == current and base in types, line
        assert types[base] != "counter" or name.endswith("_total"), line
        assert (name, labels) not in samples, f"twice: {line}"
        samples[name, labels] = value
    for name in (n for n, t in types.items() if t == "histogram"):
        buckets = [v for (n, _), v in samples.items() if n == name + "_bucket"]
        assert buckets == sorted(buckets) and buckets[-1] == samples[name + "_count", ""]
        assert (name + "_bucket", 'le="+Inf"') in samples
    return samples


class Metrics(unittest.TestCase):
    def test_counts(self):
        user = User()
        agent = user.server()
        before = parse(scrape())
        stream = user.stream()

        async def run():
            async with agent.connect() as ws:
                await agent.start(ws)
                for n in range(3):
                    await ws.send(update("disk", "OK", "same", cursor=str(n)))
                    await ws.recv()
                request("GET", "/api/v1/servers/nobody", token=user.token, want=404)
                return await asyncio.to_thread(lambda: parse(scrape()))

        after = asyncio.run(run())

        def grew(name, labels=""):
            return after[name, labels] - before.get((name, labels), 0)

        self.assertEqual(grew("ssi_http_requests_total", 'method="GET",route="/api/v1/servers/:server_id",code="404"'), 1)
        self.assertEqual(grew("ssi_http_requests_total", 'method="GET",route="/api/v1/stream",code="200"'), 1)
        self.assertEqual(grew("ssi_ingest_items_total"), 3)
        self.assertEqual(grew("ssi_ingest_batches_total"), grew("ssi_ingest_commit_seconds_count"))
        self.assertEqual(grew("ssi_ingest_unchanged_total"), 2)
        self.assertEqual(grew("ssi_agent_sessions"), 1)
        self.assertEqual(grew("ssi_agent_sessions_total"), 1)
        self.assertEqual(grew("ssi_streams"), 1)
        self.assertEqual((after["ssi_database_up", ""], after["ssi_database_writable", ""]), (1, 1))
        self.assertEqual((after["ssi_ingest_queue_items", ""], after["ssi_history_stray_events", ""]), (0, 0))
        del stream

    def test_what_the_database_keeps(self):
        sql("CREATE TABLE kept (x int) WITH (autovacuum_enabled = off); INSERT INTO kept SELECT generate_series(1, 5000); DELETE FROM kept WHERE x > 1000;"
            " CREATE INDEX kept_x ON kept (x)")
        serverd.backend.sql.close()  # which counts the rows
        wait_until(lambda: sql("SELECT dead FROM database_tables() WHERE name = 'kept'") == "4000")
        serverd.backend.stop_server(1)
        serverd.backend.start_server(1)
        wait_until(lambda: ("ssi_database_bytes", "") in parse(scrape(i=1)))
        seen = parse(scrape(i=1))
        self.assertEqual((seen["ssi_database_live_rows", 'table="kept"'], seen["ssi_database_dead_rows", 'table="kept"']), (1000, 4000))
        self.assertEqual((seen["ssi_database_vacuum_waiting", 'table="kept"'], seen["ssi_database_vacuumed_timestamp_seconds", 'table="kept"']), (1, 0))
        self.assertEqual(str(int(seen["ssi_database_table_bytes", 'table="kept"'])), sql("SELECT pg_table_size('kept')"))
        self.assertEqual(str(int(seen["ssi_database_index_bytes", 'table="kept"'])), sql("SELECT pg_indexes_size('kept')"))
        self.assertGreater(seen["ssi_database_index_bytes", 'table="events"'], 8 * 8192)  # of all days together
        self.assertGreater(seen["ssi_database_bytes", ""], 1000000)
        self.assertGreater(seen["ssi_database_transaction_age", ""], 0)
        self.assertEqual(seen["ssi_database_transaction_age_limit", ""], 200000000)
        disk = os.statvfs(serverd.backend.dir)
        self.assertEqual(seen["ssi_database_disk_bytes", ""], disk.f_blocks * disk.f_frsize)
        self.assertLess(seen["ssi_database_disk_free_bytes", ""], seen["ssi_database_disk_bytes", ""])

        # A scrape shows what was read last; it reads nothing.
        with serverd.backend.explained() as plans:
            for _ in range(10):
                scrape(i=1)
        self.assertLessEqual(sum("database_figures()" in plan for plan in plans), 2)  # of both instances' timers

        # It does not wait for whoever rewrites a table.
        locker = pq.Connection(serverd.backend.sql.conninfo.decode())
        locker.rows("BEGIN")
        locker.rows("LOCK TABLE kept IN ACCESS EXCLUSIVE MODE")
        try:
            self.assertEqual(sql("SELECT count(*) FILTER (WHERE name = 'kept'), count(*) > 5 FROM database_tables()"), "0|t")
        finally:
            locker.close()
        sql("VACUUM kept")
        self.assertEqual(sql("SELECT dead, waiting, vacuumed_at FROM database_tables() WHERE name = 'kept'"), "0|0|")
        sql("DROP TABLE kept")

    def test_for_this_machine_only(self):
        outside = {"X-Forwarded-For": "192.0.2.7"}
        for headers in (outside, {**outside, "Authorization": "Bearer wrong"}):
            with self.assertRaises(urllib.error.HTTPError) as e:
                scrape(headers)
            self.assertEqual(e.exception.code, 404)
        parse(scrape({**outside, "Authorization": "Bearer " + TOKEN}))

    def restart(self, **settings):
        """The second instance, with these settings."""
        before = dict(os.environ)
        serverd.backend.servers[1].terminate()
        serverd.backend.servers[1].wait(20)
        os.environ.update(settings)
        try:
            serverd.backend.start_server(1)
        finally:
            os.environ.clear()
            os.environ.update(before)

    def test_well_known(self):
        def look(path, i, **headers):
            c = http.client.HTTPConnection("127.0.0.1", serverd.backend.ports[i], timeout=30)
            c.request("GET", path, headers=headers)
            r = c.getresponse()
            text = r.read().decode()
            c.close()
            return r.status, text, r.headers

        self.assertEqual(look("/.well-known/security.txt", 0)[0], 404)
        status, _, headers = look("/.well-known/change-password", 0)
        self.assertEqual((status, headers["Location"]), (302, "/account"))
        try:
            self.restart(SSI_SECURITY_CONTACT="mailto:security@example.org", SSI_PUBLIC_URL="https://ssi.example.org",
                         SSI_TRUSTED_PROXIES="none")
            status, text, headers = look("/.well-known/security.txt", 1)
            fields = dict(line.split(": ", 1) for line in text.splitlines())
            self.assertEqual((status, headers["Content-Type"], fields["Contact"], fields["Canonical"]), (
                200, "text/plain; charset=utf-8", "mailto:security@example.org", "https://ssi.example.org/.well-known/security.txt"))
            expires = datetime.datetime.fromisoformat(fields["Expires"].replace("Z", "+00:00"))
            days = (expires - datetime.datetime.now(datetime.timezone.utc)).days
            self.assertTrue(30 < days < 365, days)
            # Nobody is believed here, so the client is this machine; but what a proxy passes on is not from here.
            self.assertEqual(look("/metrics", 1, **{"X-Forwarded-For": "192.0.2.7"})[0], 404)
            self.assertEqual(look("/metrics", 1, Host="ssi.example.org")[0], 404)
            self.assertEqual(look("/metrics", 1, Host="localhost.example.org")[0], 404)
            self.assertEqual(look("/metrics", 1, Host="localhost:8080")[0], 200)
            # An address without TLS is no canonical one.
            self.restart(SSI_SECURITY_CONTACT="https://example.org/report", SSI_PUBLIC_URL="http://localhost")
            names = [line.split(": ")[0] for line in look("/.well-known/security.txt", 1)[1].splitlines()]
            self.assertEqual(names, ["Contact", "Expires", "Preferred-Languages"])
        finally:
            self.restart()

    def test_without_a_database(self):
        serverd.backend.stop_database()
        wait_until(lambda: request("GET", "/readyz")[0] == 503)
        self.assertEqual(request("GET", "/healthz")[0], 200)
        self.assertEqual(parse(scrape())["ssi_database_up", ""], 0)
        serverd.backend.start_database()
        for i in (0, 1):
            wait_until(lambda: request("GET", "/readyz", i=i)[0] == 200)

    def test_read_only(self):
        user = User()
        agent = user.server()

        async def run():
            async with agent.connect() as ws:
                await agent.start(ws)
                sql("ALTER SYSTEM SET default_transaction_read_only = on")
                sql("SELECT pg_reload_conf()")
                await asyncio.to_thread(wait_until, lambda: request("GET", "/readyz")[0] == 503)
                for n in range(5):
                    await ws.send(update("disk", "OK", str(n), cursor=str(n)))
                with self.assertRaises(asyncio.TimeoutError):
                    print("acknowledged:", await asyncio.wait_for(ws.recv(), 0.5))
                self.assertEqual(parse(scrape())["ssi_database_writable", ""], 0)
                sql("ALTER SYSTEM RESET default_transaction_read_only")
                sql("SELECT pg_reload_conf()")
                # The same connection, and everything that waited.
                cursor = None
                while cursor != "4":
                    cursor = json.loads(await asyncio.wait_for(ws.recv(), 20))["payload"]["cursor"]

        asyncio.run(run())
        self.assertEqual([e["message"] for e in agent.events("disk")], [str(n) for n in range(5)])
        wait_until(lambda: request("GET", "/readyz")[0] == 200)


def partitions():
    return set(sql("SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'events'::regclass").split())


def day(n):
    return sql(f"SELECT 'events_' || to_char((now() AT TIME ZONE 'UTC')::date + {n}, 'YYYYMMDD')")


def make_day(n):
    """A partition of the day n days from now, with an event."""
    sql(f"DO $$ DECLARE d date := (now() AT TIME ZONE 'UTC')::date + ({n}); BEGIN"
        f" EXECUTE format('CREATE TABLE {day(n)} PARTITION OF events FOR VALUES FROM (%L) TO (%L)',"
        " d || ' 00:00+00', (d + 1) || ' 00:00+00'); END $$")
    add_event(n)


def add_event(n):
    sql("INSERT INTO events (received_at, server_id, service, kind, at) SELECT"
        f" ((now() AT TIME ZONE 'UTC')::date + ({n})) + time '12:00', 0, 'old', 'result', now()")


class History(unittest.TestCase):
    def test_days_come_and_go(self):
        self.assertLessEqual({day(n) for n in range(8)}, partitions())
        for n in (-7, -8, -30):
            make_day(n)
        add_event(9)   # the clock was wrong, or nobody was there to make a partition
        add_event(-20)
        self.assertEqual(sql("SELECT count(*) FROM events_default"), "2")
        serverd.backend.servers[1].terminate()
        serverd.backend.servers[1].wait()
        serverd.backend.start_server(1)
        wait_until(lambda: day(-8) not in partitions())
        there = partitions()
        self.assertIn(day(-7), there)
        self.assertIn(day(9), there)
        self.assertFalse({day(-8), day(-20), day(-30)} & there)
        self.assertEqual(sql("SELECT count(*) FROM events_default"), "0")
        self.assertEqual(sql("SELECT count(*) FROM events WHERE service = 'old'"), "2")
        sql("DELETE FROM events WHERE service = 'old'")

    @contextlib.contextmanager
    def reader(self):
        """A transaction that has read the history and goes on; it ends at the end, or when the given function is called."""
        connection = pq.Connection(serverd.backend.sql.conninfo.decode() + " application_name=reader")
        connection.rows("BEGIN")
        connection.rows("SELECT count(*) FROM events")
        # It is no short one.
        wait_until(lambda: sql("SELECT clock_timestamp() - xact_start > interval '300 ms' FROM pg_stat_activity"
                               " WHERE application_name = 'reader'") == "t")
        try:
            yield connection.close
        finally:
            connection.close()

    def maintain(self):
        return sql("SELECT made, dropped, left_over FROM events_maintain(7, 7)")

    def test_ingestion_waits_for_no_reader(self):
        """Who drops an old day waits for nobody who reads the history for long, so nobody waits behind it."""
        make_day(-12)
        stop, answers, waited = threading.Event(), set(), set()

        def maintain():
            connection = pq.Connection(serverd.backend.sql.conninfo.decode())
            for _ in range(20):
                answers.add(tuple(connection.rows("SELECT made, dropped, left_over FROM events_maintain(7, 7)")[0]))
            connection.close()
            stop.set()

        with self.reader() as end:
            thread = threading.Thread(target=maintain)
            thread.start()
            while not stop.is_set():
                waited |= set(sql("SELECT query FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND locktype = 'relation'").splitlines())
                # As ingestion does.
                sql("BEGIN; SET LOCAL lock_timeout = '200ms';"
                    " INSERT INTO events (server_id, service, kind, at) VALUES (0, 'old', 'result', now()); COMMIT")
            thread.join()
            self.assertEqual((answers, waited), ({("0", "0", "1")}, set()))
            end()
        wait_until(lambda: self.maintain() == "0|0|0")
        self.assertNotIn(day(-12), partitions())
        sql("DELETE FROM events WHERE service = 'old'")

    def test_a_missing_day_waits_for_no_reader_either(self):
        with self.reader() as end:
            self.assertEqual(sql("SELECT made, left_over FROM events_maintain(8, 7)"), "0|1")
            self.assertNotIn(day(8), partitions())
            end()
        wait_until(lambda: sql("SELECT made, left_over FROM events_maintain(8, 7)") == "1|0")
        sql(f"DROP TABLE {day(8)}")

    def test_ingestion_leaves_room_for_it(self):
        """With results all the time, an old day goes all the same: one for each call."""
        user = User()
        agents, stop = [user.server(f"busy{n}") for n in range(2)], threading.Event()

        async def report(n):
            async with agents[n].connect(n) as ws:
                await agents[n].start(ws)
                k = 0
                while not stop.is_set():
                    k += 1
                    await ws.send(update("busy", "OK", f"n{k}", cursor=f"c{k}"))
                    if k % 20 == 0:
                        while json.loads(await ws.recv()).get("payload", {}).get("cursor") != f"c{k}":
                            pass

        async def report_all():
            await asyncio.gather(report(0), report(1))

        thread = threading.Thread(target=lambda: asyncio.run(report_all()))
        thread.start()
        try:
            for n in (-12, -13, -14):
                make_day(n)
            wait_until(lambda: self.maintain().startswith("0|1|"))
            self.assertNotIn(day(-14), partitions())
            self.assertIn(day(-12), partitions())
            wait_until(lambda: self.maintain() == "0|0|0")
            self.assertNotIn(day(-12), partitions())
        finally:
            stop.set()
            thread.join()

    def test_the_backend_goes_on_until_all_are_gone(self):
        for n in range(-40, -30):
            make_day(n)
        serverd.backend.stop_server(1)
        serverd.backend.start_server(1)
        wait_until(lambda: not {day(n) for n in range(-40, -30)} & partitions())


class Idle(unittest.TestCase):
    def test_no_table_is_read_as_a_whole(self):
        user = User()
        agent = user.server()
        sql("INSERT INTO servers (public_id, agent_id, user_id, name, claimed_at) SELECT 'srv-idle' || n, 'agt-idle' || n,"
            " (SELECT min(id) FROM users), 'idle', now() FROM generate_series(1, 2000) n")
        sql("INSERT INTO services (server_id, name, status, next_run, due_at) SELECT id, 's' || n, 'OK', now(),"
            " now() + interval '1 hour' FROM servers, generate_series(1, 10) n WHERE public_id LIKE 'srv-idle%'")
        sql("ANALYZE servers; ANALYZE services")
        serverd.backend.sql.close()  # which counts them

        def scans():
            return sql("SELECT relname, seq_scan, n_tup_upd FROM pg_stat_user_tables"
                       " WHERE relname IN ('servers', 'services') ORDER BY 1")

        def beats():
            return sql("SELECT sum(n_tup_upd) FROM pg_stat_user_tables WHERE relname = 'instances'")

        async def run():
            async with agent.connect() as ws:
                await agent.start(ws)
                await ws.send(message("inventory", services=[]))
                # An instance that an earlier test has ended takes a while to be told from one that is slow.
                await asyncio.to_thread(wait_until, lambda: sql("SELECT count(*) FROM servers WHERE connected") == "1", 60)
                # The statistics of what has been until now come late.
                before = None
                while before != (before := scans()):
                    await asyncio.sleep(2)
                # What an earlier test has left may still come once.
                for _ in range(3):
                    before, begun = scans(), int(beats() or 0)
                    await asyncio.to_thread(wait_until, lambda: int(beats()) >= begun + 6)
                    if (after := scans()) == before:
                        break
                self.assertEqual(after, before)

        asyncio.run(run())
        sql("DELETE FROM servers WHERE public_id LIKE 'srv-idle%'")


if __name__ == "__main__":
    os.environ.update(SSI_STALE_GRACE="2", SSI_METRICS_TOKEN=TOKEN)
    serverd.main()
