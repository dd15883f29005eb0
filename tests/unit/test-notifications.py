#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Notifications, from a status change to what arrives: two ssi-serverd on one PostgreSQL, and real receivers.

Usage: test-notifications.py SSI-SERVERD MIGRATIONS [unittest arguments]
"""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import tempfile
import threading
import time
import unittest

import pq
import serverd
from serverd import PASSWORD, User, get, post, request, update
from sinks import Browser, HttpSink, MailSink, wait_until

NASTY = "</script><img src=x onerror=alert(1)> \"q\" \\ <!channel> {{server}} \u05e9\u05dc\u05d5\u05dd \u202eevil \U0001f600"


def sql(statement):
    """Rows as lists of text."""
    return serverd.backend.sql.rows(statement)


def restart(i, how="kill", **environment):
    """Ends an instance and starts it anew; a value of None takes a variable away."""
    process = serverd.backend.servers[i]
    (process.kill if how == "kill" else process.terminate)()
    process.wait(20)
    before = dict(os.environ)
    for name, value in environment.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    try:
        serverd.backend.start_server(i)
    finally:
        os.environ.clear()
        os.environ.update(before)


def text_of(mail):
    return mail.get_body(("plain",)).get_content()


class Case(unittest.TestCase):
    def setUp(self):
        self.user = User()
        self.agent = self.user.server("web-01")
        self.cursor = 0
        self.sinks = []

    def tearDown(self):
        user = f"WHERE user_id = (SELECT id FROM users WHERE email = '{self.user.email}')"
        # In the order in which the backend locks them when it has delivered something.
        sql(f"BEGIN; DELETE FROM notification_outbox {user}; DELETE FROM notification_channels {user}; COMMIT")
        for s in self.sinks:
            s.down()

    def sink(self):
        self.sinks.append(HttpSink())
        return self.sinks[-1]

    def channel(self, kind="webhook", want=201, **fields):
        body = {"type": kind, "name": "test", **fields}
        return post("/notifications/channels", body, self.user.token, want=want)[1]

    def change(self, channel, want=200, **fields):
        return request("PATCH", f"/api/v1/notifications/channels/{channel['id']}", fields, self.user.token, want=want)[1]

    def shown(self, channel):
        return get(f"/notifications/channels/{channel['id']}", self.user.token)

    def report(self, *results, i=0, agent=None):
        """Each (service, status, message), or (service, kind of error), in a commit of its own."""
        agent = agent or self.agent

        async def run():
            async with agent.connect(i) as ws:
                await agent.start(ws)
                for result in results:
                    self.cursor += 1
                    if len(result) == 2:
                        await ws.send(serverd.message("service_error", service_name=result[0], timestamp=serverd.TIME,
                                                      error={"kind": result[1], "detail": "it broke"},
                                                      cursor=str(self.cursor)))
                    else:
                        await ws.send(update(*result, cursor=str(self.cursor)))
                    answer = json.loads(await asyncio.wait_for(ws.recv(), 20))
                    assert answer["payload"].get("cursor") == str(self.cursor), answer

        asyncio.run(run())

    def flip(self, n, i=0):
        """n changes of one service; their messages are numbered."""
        first = self.cursor
        self.report(*[("disk", "OK" if (first + k) % 2 else "FAILURE", str(first + k)) for k in range(n)], i=i)

    def assert_in_order(self, requests, n):
        """Each change once and in order; what may have come twice after a crash has said so by its key."""
        seen, messages = set(), []
        for r in requests:
            key = r.headers["Idempotency-Key"]
            if key not in seen:
                seen.add(key)
                messages.append(r.json["message"])
        self.assertEqual(messages, [str(k) for k in range(n)])

    def quiet(self):
        """Everything that is to be told has been."""
        wait_until(lambda: sql("SELECT count(*) FROM transitions WHERE NOT taken")[0] == ["0"], "all transitions are taken")


class Delivery(Case):
    def test_each_change_once_and_in_order(self):
        sink = self.sink()
        self.channel(config={"url": sink.url()})
        self.flip(10)
        self.assert_in_order(sink.wait(10), 10)
        self.assertEqual(len(sink.taken), 10)
        first = sink.taken[0].json
        self.assertEqual((first["kind"], first["old"], first["new"], first["server"], first["service"]),
                         ("status", "OK", "FAILURE", "web-01", "disk"))
        self.assertEqual(first["subject"], "FAILURE: disk on web-01")
        self.assertEqual(first["url"], f"https://ssi.example.org/servers/{self.agent.server}/services/disk")
        # The receiver has it before the database knows.
        wait_until(lambda: [(n["state"], n["message"]["message"]) for n in get("/notifications?limit=4", self.user.token)] ==
                   [("sent", str(k)) for k in (9, 8, 7, 6)], "the last is noted as sent")

    def test_receivers_that_misbehave(self):
        # Two at once, because the pauses grow.
        behaviour = [(500, "hang", "close"), ("redirect", 429)]
        sinks = [self.sink() for _ in behaviour]
        channels = [self.channel(config={"url": s.url()}) for s in sinks]
        for sink, answers in zip(sinks, behaviour):
            for answer in answers:
                sink.answers.put(answer)
        self.flip(4)
        for sink, answers, channel in zip(sinks, behaviour, channels):
            self.assert_in_order(sink.wait(4, 40), 4)
            self.assertEqual(len(sink.taken), 4)
            self.assertEqual(tuple(a for a, _ in sink.refused), answers)
            # All were attempts of the first, which nothing overtook.
            self.assertEqual({r.headers["Idempotency-Key"] for _, r in sink.refused},
                             {sink.taken[0].headers["Idempotency-Key"]})
            wait_until(lambda: self.shown(channel)["queued"] == 0, "nothing is queued")
            self.assertIsNone(self.shown(channel)["failing_since"])

    def test_receiver_that_is_down(self):
        sink = self.sink()
        channel = self.channel(config={"url": sink.url()})
        sink.down()
        self.flip(3)
        wait_until(lambda: self.shown(channel)["failing_since"], "it says that it fails")
        self.assertIn("connect", self.shown(channel)["last_error"])
        self.quiet()
        self.assertEqual(self.shown(channel)["queued"], 3)
        self.flip(3, i=1)
        sink.up()
        self.assert_in_order(sink.wait(6, 30), 6)
        self.assertEqual(len(sink.taken), 6)

    def test_instances_that_are_killed(self):
        sink = self.sink()
        self.channel(config={"url": sink.url()})
        for k in range(2):
            self.flip(5, i=k)
            for i in (0, 1):
                restart(i)
        self.assert_in_order(sink.wait(10, 40), 10)
        # At most what was under way at a kill came again.
        self.assertLessEqual(len(sink.taken), 10 + 4)

    def test_stop_sends_nothing_twice(self):
        sink = self.sink()
        self.channel(config={"url": sink.url()})
        for k in range(2):
            self.flip(4)
            restart(k, "terminate")
        self.assert_in_order(sink.wait(8, 30), 8)
        self.assertEqual(len(sink.taken), 8)

    def test_database_that_is_killed(self):
        sink = self.sink()
        self.channel(config={"url": sink.url()})
        self.flip(3)
        serverd.backend.kill_database()
        wait_until(lambda: request("GET", "/readyz")[0] == 200, "the database is back")
        self.flip(3)
        self.assert_in_order(sink.wait(6, 30), 6)

    def test_given_up_after_a_day(self):
        sink = self.sink()
        channel = self.channel(config={"url": sink.url()})
        sink.down()
        self.flip(1)
        wait_until(lambda: self.shown(channel)["failing_since"], "it fails")
        sql("UPDATE notification_outbox SET created_at = created_at - interval '25 h' WHERE state = 'queued'")
        wait_until(lambda: get("/notifications", self.user.token)[0]["state"] == "failed", "it is given up")
        self.assertEqual(self.shown(channel)["queued"], 0)
        self.assertIsNotNone(self.shown(channel)["last_error"])
        sink.up()
        self.flip(1)
        self.assertEqual(sink.wait(1)[0].json["message"], "1")

    def test_late_changes_are_merged(self):
        sink = self.sink()
        self.channel(config={"url": sink.url()})
        sink.down()
        self.flip(6)
        self.quiet()
        wait_until(lambda: int(sql("SELECT max(attempts) FROM notification_outbox WHERE state = 'queued'")[0][0]) > 0,
                   "it was tried")
        sql("UPDATE notification_outbox SET created_at = created_at - interval '11 min' WHERE state = 'queued'")
        sql("SELECT notifications_tidy('14 days')")
        sink.up()
        last = sink.wait(2, 30)[1].json
        self.assertEqual((last["message"], last["merged"], last["old"], last["new"]), ("5", 5, "FAILURE", "OK"))
        self.assertIn("This message covers 5 changes", last["text"])
        self.assertEqual(len(sink.taken), 2)

    def test_guard(self):
        sink = self.sink()
        channel = self.channel(config={"url": sink.url()})
        restart(0, "terminate", SSI_ALLOW_PRIVATE_TARGETS=None)
        try:
            for url in (sink.url(), sink.url().replace("127.0.0.1", "localhost"), "http://[::ffff:127.0.0.1]/",
                        "http://169.254.169.254/latest/meta-data/", "http://0x7f000001/", "http://10.0.0.1/"):
                self.change(channel, config={"url": url})
                sql("UPDATE notification_channels SET tested_at = NULL")
                answer = post(f"/notifications/channels/{channel['id']}/test", {}, self.user.token, want=200)[1]
                self.assertFalse(answer["delivered"])
                self.assertIn("is not public", answer["error"])
        finally:
            restart(0, "terminate")
        self.assertEqual(sink.taken + sink.refused, [])


class Told(Case):
    def setUp(self):
        super().setUp()
        self.http = self.sink()

    def hook(self, **fields):
        return self.channel(config={"url": self.http.url()}, **fields)

    def told(self):
        return [(r.json["kind"], r.json["old"], r.json["new"]) for r in self.http.taken]

    def settle(self, **fields):
        """All that was reported has been told, and this is all."""
        self.quiet()
        wait_until(lambda: not sql(f"SELECT 1 FROM notification_outbox WHERE state = 'queued' AND user_id ="
                                   f" (SELECT id FROM users WHERE email = '{self.user.email}')"), "all is sent")
        return self.told()

    def release(self, reason):
        sql(f"UPDATE notification_states SET held_until = now() WHERE held_reason = '{reason}'")
        self.report(("kick", "OK", str(self.cursor)))


class Rules(Told):
    def test_what_goes_without_saying(self):
        self.hook()
        self.report(("a", "OK", ""), ("b", "FAILURE", ""), ("b", "FAILURE", "again"), ("a", "OK", "again"))
        self.assertEqual(self.settle(), [("status", "OK", "FAILURE")])

    def test_severity(self):
        self.hook(min_severity="WARNING")
        self.report(("a", "UPDATE", ""), ("a", "WARNING", ""), ("a", "FAILURE", ""), ("a", "UPDATE", ""), ("a", "OK", ""))
        self.assertEqual(self.settle(), [("status", "UPDATE", "WARNING"), ("status", "WARNING", "FAILURE"),
                                         ("status", "FAILURE", "UPDATE")])

    def test_errors(self):
        self.hook()
        self.report(("a", "OK", ""), ("a", "timeout"), ("a", "exit-code"), ("a", "OK", ""))
        self.assertEqual(self.settle(), [("error", "none", "error"), ("error", "error", "none")])
        self.assertIn("it broke", self.http.taken[0].json["text"])

    def test_filters(self):
        other = self.user.server("db-01")
        request("PATCH", f"/api/v1/servers/{other.server}", {"labels": ["db"]}, self.user.token)
        sql(f"UPDATE servers SET labels = '{{db}}' WHERE public_id = '{other.server}'")
        self.hook(labels=["db", "x"])
        second = self.sink()
        self.channel(config={"url": second.url()}, servers=[self.agent.server], kinds=["error"])
        self.report(("a", "FAILURE", ""), ("a", "timeout"))
        self.report(("a", "FAILURE", "theirs"), ("a", "timeout"), agent=other)
        self.settle()
        self.assertEqual([r.json["server"] for r in self.http.taken], ["db-01", "db-01"])
        self.assertEqual([(r.json["server"], r.json["kind"]) for r in second.taken], [("web-01", "error")])

    def test_damping(self):
        self.hook(damping=3)
        self.report(("a", "OK", ""), ("a", "FAILURE", "1"), ("a", "OK", ""), ("a", "FAILURE", "2"), ("a", "FAILURE", "3"))
        self.assertEqual(self.settle(), [])
        self.report(("a", "FAILURE", "4"))
        self.http.wait(1)
        self.report(("a", "OK", ""), ("a", "OK", ""))
        self.assertEqual(self.settle(), [("status", "OK", "FAILURE")])
        self.report(("a", "OK", ""))
        self.http.wait(2)
        self.assertEqual(self.told()[1:], [("status", "FAILURE", "OK")])

    def test_silence(self):
        self.hook()
        silence = post("/silences", {"server_id": self.agent.server, "service": "a", "reason": "work"}, self.user.token,
                       want=201)[1]
        self.assertIsNone(silence["ends_at"])
        self.report(("a", "FAILURE", ""), ("b", "FAILURE", ""))
        self.assertEqual([r.json["service"] for r in self.http.wait(1)], ["b"])
        self.assertEqual(self.settle(), [("status", "OK", "FAILURE")])
        # It is still so when the silence ends.
        request("DELETE", f"/api/v1/silences/{silence['id']}", token=self.user.token, want=204)
        self.assertEqual([r.json["service"] for r in self.http.wait(2)], ["b", "a"])

    def test_silence_that_outlasts_the_trouble(self):
        self.hook()
        silence = post("/silences", {"label": "none", "reason": "x"}, self.user.token, want=201)[1]
        silence = post("/silences", {"server_id": self.agent.server, "reason": "x",
                                     "ends_at": "2099-01-01T00:00:00Z"}, self.user.token, want=201)[1]
        self.report(("a", "FAILURE", ""), ("a", "OK", ""))
        self.quiet()
        request("PATCH", f"/api/v1/silences/{silence['id']}", {"ends_at": "2000-01-01T00:00:00Z"}, self.user.token, want=400)
        request("DELETE", f"/api/v1/silences/{silence['id']}", token=self.user.token, want=204)
        self.report(("b", "FAILURE", ""))
        self.assertEqual([r.json["service"] for r in self.http.wait(1)], ["b"])

    def test_acknowledgement(self):
        self.hook()
        path = f"/servers/{self.agent.server}/services/a/acknowledgement"
        self.report(("a", "OK", ""))
        post(path, {"reason": "x"}, self.user.token, want=409)
        self.report(("a", "WARNING", ""))
        self.http.wait(1)
        post(path, {"reason": "known"}, self.user.token, want=200)
        service = f"/servers/{self.agent.server}/services/a"
        self.assertEqual(get(service, self.user.token)["acknowledgement"]["reason"], "known")
        self.report(("a", "UPDATE", ""), ("a", "WARNING", ""))
        self.assertEqual(self.settle(), [("status", "OK", "WARNING")])
        # What is worse is told in spite of it.
        self.report(("a", "FAILURE", ""))
        self.http.wait(2)
        # The recovery is told, and ends it.
        self.report(("a", "OK", ""), ("a", "WARNING", ""))
        self.http.wait(4)
        self.assertEqual(self.told()[1:], [("status", "WARNING", "FAILURE"), ("status", "FAILURE", "OK"),
                                           ("status", "OK", "WARNING")])
        request("DELETE", "/api/v1" + path, token=self.user.token, want=404)
        self.assertIsNone(get(service, self.user.token)["acknowledgement"])

    def test_quiet_hours(self):
        self.hook()
        quiet = {"quiet_from": time.strftime("%H:%M", time.gmtime(time.time() - 120)),
                 "quiet_to": time.strftime("%H:%M", time.gmtime(time.time() + 7200)), "timezone": "UTC"}
        request("PATCH", "/api/v1/notifications/settings", quiet, self.user.token, want=200)
        self.assertEqual(get("/notifications/settings", self.user.token), {**quiet, "damping": 1})
        self.report(("a", "FAILURE", "x"), ("b", "WARNING", "y"), ("c", "FAILURE", ""), ("c", "OK", ""))
        self.assertEqual(self.settle(), [])
        request("PATCH", "/api/v1/notifications/settings", {"quiet_from": None, "quiet_to": None}, self.user.token, want=200)
        digest = self.http.wait(1)[0].json
        self.assertEqual((digest["kind"], digest["recovered"], digest["severity"]), ("digest", 1, 3))
        self.assertEqual([(i["service"], i["new"]) for i in digest["items"]], [("a", "FAILURE"), ("b", "WARNING")])
        self.assertEqual(digest["subject"], "2 changes during quiet hours")
        self.report(("a", "OK", ""))
        self.assertEqual(self.http.wait(2)[1].json["old"], "FAILURE")
        for bad in ({"quiet_from": "22:00"}, {"quiet_from": "25:00", "quiet_to": "06:00"}, {"timezone": "Nowhere/Town"},
                    {"damping": 0}, {"quiet_from": "22:00", "quiet_to": None}):
            request("PATCH", "/api/v1/notifications/settings", bad, self.user.token, want=400)

    def test_dead_host_is_one_alert(self):
        self.hook()
        self.report(("a", "OK", ""), ("b", "OK", ""))
        # It is gone, and with it come no results. (The times are moved, so that nobody waits for them.)
        wait_until(lambda: self.agent.state() == "offline", "it is offline")
        self.quiet()
        self.assertEqual(self.told(), [])
        sql(f"UPDATE services SET stale_since = now() WHERE server_id ="
            f" (SELECT id FROM servers WHERE public_id = '{self.agent.server}')")
        sql(f"UPDATE servers SET last_seen = now() - interval '2 min' WHERE public_id = '{self.agent.server}'")
        sql("UPDATE notification_states SET held_until = now() WHERE held_reason = 'grace'")
        other = self.user.server("other")
        self.report(("x", "OK", ""), agent=other)
        gone = self.http.wait(1)[0].json
        self.assertEqual((gone["kind"], gone["new"], gone["services"]), ("state", "offline", 2))
        self.report(("a", "OK", "back"), ("b", "OK", "back"))
        self.http.wait(2)
        self.assertEqual(self.settle(), [("state", "online", "offline"), ("state", "offline", "online")])


class Causes(Told):
    """web depends on app and db, app on db."""

    def setUp(self):
        super().setUp()
        self.inventory({"web": ["app", "db"], "app": ["db"], "db": [], "other": []})

    def inventory(self, services):
        async def run():
            async with self.agent.connect() as ws:
                await self.agent.start(ws)
                await ws.send(serverd.message("inventory", services=[{"service_name": name, "depends_on": needs}
                                                                      for name, needs in services.items()]))
                self.cursor += 1
                await ws.send(update("other", "OK", str(self.cursor), cursor=str(self.cursor)))
                await asyncio.wait_for(ws.recv(), 20)

        asyncio.run(run())

    def at_once(self, *results):
        """All in one message, which is one commit. TIME is long ago: there is no grace left."""
        self.cursor += 1
        items = [{"service_name": name, "timestamp": serverd.TIME, "message": "", **more} for name, more in results]
        items[-1]["cursor"] = str(self.cursor)

        async def run():
            async with self.agent.connect() as ws:
                await self.agent.start(ws)
                await ws.send(serverd.message("status_batch", items=items))
                answer = json.loads(await asyncio.wait_for(ws.recv(), 20))
                assert answer["payload"].get("cursor") == str(self.cursor), answer

        asyncio.run(run())

    def told(self):
        return [(r.json["service"], r.json["new"]) for r in self.http.taken if r.json["service"] != "kick"]

    def held(self):
        self.quiet()
        return {service: reason for service, reason in sql(
            "SELECT n.service, n.held_reason FROM notification_states n JOIN servers s ON s.id = n.server_id"
            f" WHERE s.public_id = '{self.agent.server}' AND n.held_reason IS NOT NULL AND n.kind <> 'state'")}

    def release_after_recovery(self):
        """The two minutes have passed: only who was given them is looked at again."""
        self.quiet()
        sql("UPDATE notification_states SET held_until = now() WHERE held_reason = 'cause' AND held_until <> 'infinity'")
        self.report(("kick", "OK", str(self.cursor)))

    def test_the_cause_alone_in_any_order(self):
        for order in (("db", "app", "web"), ("web", "app", "db"), ("app", "db", "web")):
            with self.subTest(order=order):
                self.hook()
                self.at_once(*[(name, {"status": "FAILURE"}) for name in order])
                self.assertEqual(self.settle(), [("db", "FAILURE")])
                self.assertEqual(self.held(), {"app": "cause", "web": "cause"})
                self.at_once(*[(name, {"status": "OK"}) for name in order])
                self.assertEqual(self.settle(), [("db", "FAILURE"), ("db", "OK")])
                self.release_after_recovery()
                self.assertEqual(self.settle(), [("db", "FAILURE"), ("db", "OK")])
                self.assertEqual(self.held(), {})
                self.tearDown()
                self.setUp()

    def test_one_after_the_other(self):
        self.hook()
        self.report(("db", "FAILURE", ""), ("app", "FAILURE", ""), ("web", "FAILURE", ""))
        self.assertEqual(self.settle(), [("db", "FAILURE")])
        # The cause recovers, and one of the others with it: the other one is told when it has had its time.
        self.report(("db", "OK", ""), ("web", "OK", ""))
        self.assertEqual(self.settle(), [("db", "FAILURE"), ("db", "OK")])
        self.assertEqual(self.held(), {"app": "cause"})
        self.assertEqual(sql("SELECT held_until > now() + interval '100 s' AND held_until < now() + interval '2 min'"
                             " FROM notification_states WHERE held_reason = 'cause'"), [["t"]])
        self.release_after_recovery()
        self.assertEqual(self.settle(), [("db", "FAILURE"), ("db", "OK"), ("app", "FAILURE")])
        # What depends on that is now its.
        self.report(("web", "FAILURE", ""))
        self.assertEqual(self.settle()[3:], [])
        self.assertEqual(self.held(), {"web": "cause"})

    def test_a_moment_for_the_cause(self):
        """What depends on something waits ten seconds for that to report; what depends on nothing does not."""
        self.hook()
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.at_once(("app", {"status": "FAILURE", "timestamp": now}), ("other", {"status": "FAILURE", "timestamp": now}))
        self.assertEqual(self.settle(), [("other", "FAILURE")])
        self.assertEqual(self.held(), {"app": "grace"})
        self.at_once(("db", {"status": "FAILURE", "timestamp": now}))
        self.assertEqual(self.settle(), [("other", "FAILURE"), ("db", "FAILURE")])
        self.release("grace")
        self.assertEqual(self.settle(), [("other", "FAILURE"), ("db", "FAILURE")])
        self.assertEqual(self.held(), {"app": "cause"})
        # When nothing comes, it is told. (An agent's clock that is ahead changes nothing.)
        ahead = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        self.at_once(("db", {"status": "OK"}), ("app", {"status": "OK"}))
        self.at_once(("web", {"status": "FAILURE", "timestamp": ahead}))
        self.assertEqual(self.settle()[2:], [("db", "OK"), ("web", "FAILURE")])
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.at_once(("app", {"status": "FAILURE", "timestamp": now}))
        self.http.wait(5, 20)
        self.assertEqual(self.told()[4:], [("app", "FAILURE")])

    def test_what_explains_and_what_does_not(self):
        self.hook()
        # A warning explains a warning or an error, but no failure; nothing explains an update.
        self.report(("db", "WARNING", ""), ("app", "FAILURE", ""), ("web", "UPDATE", ""))
        self.assertEqual(self.settle(), [("db", "WARNING"), ("app", "FAILURE"), ("web", "UPDATE")])
        self.report(("web", "exit-code"))
        self.assertEqual(self.held(), {"web": "cause"})
        # An execution error of the cause is as bad as a warning.
        self.report(("db", "OK", ""), ("app", "OK", ""), ("web", "OK", ""))
        self.settle()
        self.http.taken.clear()
        self.report(("db", "timeout"), ("app", "WARNING", ""), ("web", "FAILURE", ""))
        self.assertEqual(self.settle(), [("db", "error"), ("web", "FAILURE")])
        # A cause that got less bad explains less.
        self.report(("db", "FAILURE", ""), ("web", "OK", ""), ("app", "FAILURE", ""))
        self.settle()
        self.http.taken.clear()
        self.report(("db", "WARNING", ""))
        self.release_after_recovery()
        self.assertEqual(self.settle(), [("db", "WARNING"), ("app", "FAILURE")])

    def test_channels_that_are_not_told_of_the_cause(self):
        self.hook(kinds=["error"])
        self.report(("db", "FAILURE", ""), ("app", "exit-code"))
        self.assertEqual(self.settle(), [("app", "error")])

    def test_a_cause_that_is_known(self):
        """Acknowledged or silenced: what follows from it is still not told."""
        self.hook()
        self.report(("db", "FAILURE", ""))
        self.settle()
        post(f"/servers/{self.agent.server}/services/db/acknowledgement", {"reason": "on it"}, self.user.token, want=200)
        self.report(("app", "FAILURE", ""))
        self.assertEqual(self.settle(), [("db", "FAILURE")])
        self.report(("app", "OK", ""), ("db", "OK", ""))
        self.settle()
        post("/silences", {"server_id": self.agent.server, "service": "db", "reason": "x"}, self.user.token,
             want=201)
        self.report(("db", "FAILURE", ""), ("app", "FAILURE", ""))
        self.assertEqual(self.settle()[2:], [])
        self.assertEqual(self.held(), {"db": "silence", "app": "cause"})

    def test_a_cause_that_goes_away(self):
        self.hook()
        self.report(("db", "FAILURE", ""), ("app", "FAILURE", ""), ("web", "FAILURE", ""))
        self.settle()
        # web does not depend on it any more, and then it is not there any more.
        self.inventory({"web": [], "app": ["db"], "db": [], "other": []})
        self.release_after_recovery()
        self.assertEqual(self.settle(), [("db", "FAILURE"), ("web", "FAILURE")])
        self.inventory({"web": [], "app": [], "other": []})
        self.release_after_recovery()
        self.assertEqual(self.settle(), [("db", "FAILURE"), ("web", "FAILURE"), ("app", "FAILURE")])

    def test_a_circle_hides_nothing(self):
        self.hook()
        self.inventory({"web": ["app"], "app": ["web"], "other": ["web"]})
        self.at_once(("web", {"status": "FAILURE"}), ("app", {"status": "FAILURE"}), ("other", {"status": "FAILURE"}))
        self.assertEqual(sorted(self.settle()), [("app", "FAILURE"), ("web", "FAILURE")])

    def test_overview(self):
        self.report(("db", "FAILURE", ""), ("app", "FAILURE", ""), ("web", "exit-code"), ("other", "FAILURE", ""))
        worst = get(f"/servers/{self.agent.server}", self.user.token)["worst_service"]
        self.assertEqual((worst["name"], worst["dependants"]), ("db", 2))
        service = get(f"/servers/{self.agent.server}/services/web", self.user.token)
        self.assertEqual((service["depends_on"], service["watches"]), (["app", "db"], []))
        self.report(("db", "OK", ""))
        worst = get(f"/servers/{self.agent.server}", self.user.token)["worst_service"]
        self.assertEqual((worst["name"], worst["dependants"]), ("app", 1))


class Channels(Case):
    def test_test_button(self):
        sink = self.sink()
        channel = self.channel(config={"url": sink.url()})
        path = f"/notifications/channels/{channel['id']}/test"
        self.assertEqual(post(path, {}, self.user.token, want=200)[1], {"delivered": True, "targets": 1, "error": None})
        self.assertEqual(sink.taken[0].json["kind"], "test")
        post(path, {}, self.user.token, want=429)
        sql("UPDATE notification_channels SET tested_at = NULL")
        sink.answers.put(500)
        self.assertEqual(post(path, {}, self.user.token, want=200)[1],
                         {"delivered": False, "targets": 1, "error": "The receiver answered 500."})

    def test_secrets_stay(self):
        sink = self.sink()
        channel = self.channel("ntfy", config={"url": sink.url(""), "topic": "secret-topic-0123456789", "token": "tk_abc"})
        self.assertNotIn("secret", json.dumps([channel, self.shown(channel), get("/notifications/channels", self.user.token)]))
        # What a form gives back as it got it changes nothing.
        self.change(channel, name="other", config=channel["config"], damping=2)
        self.assertEqual((self.shown(channel)["name"], self.shown(channel)["damping"]), ("other", 2))
        self.change(channel, damping=None)
        self.flip(1)
        message = sink.wait(1)[0]
        self.assertEqual((message.json["topic"], message.headers["Authorization"]),
                         ("secret-topic-0123456789", "Bearer tk_abc"))

    def test_secrets_do_not_move(self):
        """To another address go only the secrets that came with it."""
        def text(r):
            return f"{r.path}\n{r.headers}\n{r.body}"

        sink, thief = self.sink(), self.sink()
        url, other = sink.url("").rstrip("/"), thief.url("").rstrip("/")
        made = {"webhook": {"url": url + "/a", "headers": {"X-Key": "s3cret"}},
                "ntfy": {"url": url, "topic": "s3cret-topic", "token": "s3cret"},
                "matrix": {"url": url, "room": "!r:example.org", "token": "s3cret"},
                "telegram": {"url": url, "chat_id": "1", "token": "s3cret"}}
        for kind, config in made.items():
            channel = self.channel(kind, config=config)
            for change in ({"url": other}, {**channel["config"], "url": other}, {"url": other + "/", "headers": {"X-Key": "\u2022\u2022\u2022\u2022"}},
                           {"url": other, "token": "\u2022\u2022\u2022\u2022cret"}):
                if "headers" in change and kind != "webhook" or "token" in change and kind == "webhook":
                    continue
                status, answer, _ = request("PATCH", f"/api/v1/notifications/channels/{channel['id']}", {"config": change}, self.user.token)
                # It says what is missing, rather than send without.
                self.assertEqual((status, answer["detail"].split(":")[0]), (400, "config." + next(
                    k for k in ("topic", "headers", "token") if k in config) + " is stored for the old address and is not sent to another one"))
                sql("UPDATE notification_channels SET tested_at = NULL")
                post(f"/notifications/channels/{channel['id']}/test", {}, self.user.token, want=200)
                self.assertNotIn("s3cret", json.dumps(self.shown(channel)))
            # What comes with the address goes there.
            fresh = {k: {"X-Key": "fresh"} if k == "headers" else "fresh" for k in config if k in ("headers", "topic", "token")}
            self.change(channel, config={**config, **fresh, "url": other})
            sql("UPDATE notification_channels SET tested_at = NULL")
            post(f"/notifications/channels/{channel['id']}/test", {}, self.user.token, want=200)
            self.assertTrue(any("fresh" in text(r) for r in thief.taken), kind)
            request("DELETE", f"/api/v1/notifications/channels/{channel['id']}", None, self.user.token, want=204)
        channel = self.channel("webhook", config=made["webhook"])
        self.change(channel, config={"url": other, "headers": None})
        self.assertNotIn("headers", self.shown(channel)["config"])
        self.assertNotIn("s3cret", "".join(map(text, thief.taken)))

    def test_refused(self):
        token = self.user.token
        for body in ({}, {"type": "webhook"}, {"type": "webhook", "name": "x"}, {"type": "pigeon", "name": "x"},
                     {"type": "webhook", "name": "x", "config": {"url": "ftp://x/"}},
                     {"type": "webhook", "name": "", "config": {"url": "https://x/"}},
                     {"type": "webhook", "name": "x", "config": {"url": "https://x/"}, "min_severity": "OK"},
                     {"type": "webhook", "name": "x", "config": {"url": "https://x/"}, "kinds": ["other"]},
                     {"type": "webhook", "name": "x", "config": {"url": "https://x/"}, "servers": "x"},
                     {"type": "webhook", "name": "x", "config": {"url": "https://x/"}, "damping": 0},
                     {"type": "webhook", "name": "x", "config": {"url": "https://x/"}, "enabled": 1}):
            post("/notifications/channels", body, token, want=400)
        for body in ({}, {"reason": "x"}, {"label": "x"}, {"label": "x", "reason": "y", "ends_at": "tomorrow"}):
            post("/silences", body, token, want=400)

    def test_deletion_beside_a_delivery(self):
        """The end of a delivery locks the message, then what it was sent to; a deletion locks them in that order as well."""
        for what, name in (("notification_channels", "channel_id"), ("users", "user_id")):
            user = User()
            channel = post("/notifications/channels", {"type": "webhook", "name": "w", "config": {"url": "http://192.0.2.1/"}},
                           user.token, want=201)[1]["id"]
            key = sql(f"INSERT INTO notification_outbox (public_id, queue, user_id, channel_id, payload, due_at)"
                      f" SELECT notification_id(), 'held', c.user_id, c.id, '{{}}', 'infinity' FROM notification_channels c"
                      f" WHERE public_id = '{channel}' RETURNING {name}")[0][0]
            path, body = ("/notifications/channels/" + channel, None) if name == "channel_id" else ("/users/me", {"password": PASSWORD})
            answers = []
            deletion = threading.Thread(target=lambda: answers.append(request("DELETE", "/api/v1" + path, body, user.token)[0]))
            with contextlib.closing(pq.Connection(serverd.backend.sql.conninfo.decode())) as other:
                other.rows(f"BEGIN; UPDATE notification_outbox SET attempts = 1 WHERE {name} = {key}")
                deletion.start()
                wait_until(lambda: sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == [["1"]], "the deletion waits")
                other.rows(f"UPDATE {what} SET public_id = public_id WHERE id = {key}; COMMIT")
            deletion.join()
            self.assertEqual(answers, [204], what)

    def test_nobody_elses(self):
        channel = self.channel(config={"url": "https://example.org/"})
        silence = post("/silences", {"label": "x", "reason": "y"}, self.user.token, want=201)[1]
        self.report(("a", "FAILURE", ""))
        other = User()
        for method, path, body in (("GET", f"/notifications/channels/{channel['id']}", None),
                                   ("PATCH", f"/notifications/channels/{channel['id']}", {"name": "x"}),
                                   ("POST", f"/notifications/channels/{channel['id']}/test", {}),
                                   ("DELETE", f"/notifications/channels/{channel['id']}", None),
                                   ("PATCH", f"/silences/{silence['id']}", {"reason": "x"}),
                                   ("DELETE", f"/silences/{silence['id']}", None),
                                   ("POST", f"/servers/{self.agent.server}/services/a/acknowledgement", {"reason": "x"}),
                                   ("DELETE", f"/servers/{self.agent.server}/services/a/acknowledgement", None)):
            request(method, "/api/v1" + path, body, other.token, want=404)
            request(method, "/api/v1" + path, body, None, want=401)
        post("/silences", {"server_id": self.agent.server, "reason": "y"}, other.token, want=404)
        for path in ("/notifications/channels", "/silences", "/notifications", "/push/subscriptions"):
            self.assertEqual(get(path, other.token), [])


class Push(Case):
    def test_push(self):
        sink = self.sink()
        key = get("/push/key", self.user.token)["public_key"]
        self.assertEqual(get("/push/key", self.user.token, i=1)["public_key"], key)
        browsers = [Browser(sink.url(f"/send/{n}"), key) for n in range(2)]
        for b in browsers:
            made = post("/push/subscriptions", b.subscription(public_key=key, label="here"), self.user.token, want=201)[1]
            self.assertNotIn("/send/", json.dumps(made))
        self.assertEqual([c["type"] for c in get("/notifications/channels", self.user.token)], ["push"])
        self.report(("disk", "FAILURE", NASTY), ("disk", "OK", "x" * 4096))
        sink.wait(4)
        for n, b in enumerate(browsers):
            first, second = [r for r in sink.taken if r.path == f"/send/{n}"]
            message = b.read(first)
            self.assertEqual(message["title"], "FAILURE: disk on web-01")
            self.assertEqual(message["body"].splitlines()[0], NASTY)
            self.assertEqual(message["severity"], 3)
            self.assertEqual(first.headers["Urgency"], "high")
            self.assertLessEqual(len(b.read(second)["body"]), 2000)
            self.assertEqual(b.read(second)["tag"], message["tag"])
        # One has unsubscribed at its push service.
        sink.answers.put(410)
        self.report(("disk", "WARNING", ""))
        wait_until(lambda: len(get("/push/subscriptions", self.user.token)) == 1, "one is left")
        sink.wait(5)

    def test_refused(self):
        key = get("/push/key", self.user.token)["public_key"]
        good = Browser("https://push.example.org/x", key)
        for body in ({}, {"endpoint": good.endpoint}, {**good.subscription(), "endpoint": "file:///x"},
                     {**good.subscription(), "keys": {"p256dh": "AAAA", "auth": "AAAA"}}):
            post("/push/subscriptions", body, self.user.token, want=400)
        stale = Browser("https://push.example.org/x", key)
        post("/push/subscriptions", stale.subscription(public_key="B" + "A" * 86), self.user.token, want=409)


class Mail(Case):
    def test_sign_up_asks_whose_the_address_is(self):
        self.confirm(self.user.email)
        self.assertEqual(len(mails.to(self.user.email)), 1)
        channel = self.channel("email", config={"address": self.user.email})
        self.assertTrue(channel["verified"])
        # Only the mails tell an address that is taken from one that is free.
        for address in (self.user.email.upper(), "free-" + self.user.email):
            self.assertIsNone(post("/users/register", {"email": address, "password": PASSWORD}, want=202)[1])
        taken = mails.wait(self.user.email, 2)
        self.assertEqual((taken["Subject"], "token" in text_of(taken)), ("You already have an account", False))
        self.assertEqual(mails.wait("free-" + self.user.email)["Subject"], "Confirm your e-mail address")
        # Asking once more is one of the five an hour.
        for _ in range(6):
            post("/users/verify-email/send", {}, self.user.token, want=202)
        mails.wait(self.user.email, 6)
        self.quiet()
        count = sql(f"SELECT count(*) FROM notification_outbox WHERE payload ->> 'email' = '{self.user.email}'")
        self.assertEqual((count, len(mails.to(self.user.email))), ([["6"]], 6))

    def test_an_account_works_once_its_address_is_confirmed(self):
        credentials = {"email": f"new-{self.user.email}", "password": PASSWORD}
        post("/users/register", credentials, want=202)
        post("/users/login", credentials, want=401)
        self.confirm(credentials["email"])
        post("/users/login", credentials, want=200)

    def test_a_strangers_account_is_the_owners_after_a_reset(self):
        theirs = {"email": f"owner-{self.user.email}", "password": PASSWORD}
        post("/users/register", theirs, want=202)
        mine = dict(theirs, password="another horse battery")
        post("/users/register", mine, want=202)
        mails.wait(mine["email"], 2)
        post("/users/password-reset", {"email": mine["email"]}, want=202)
        token = re.search(r"reset-password#token=(\S+)", text_of(mails.wait(mine["email"], 3))).group(1)
        post("/users/password-reset/confirm", {"token": token, "password": mine["password"]})
        post("/users/login", theirs, want=401)
        post("/users/login", mine, want=200)

    def keep_sign_up(self, value):
        sql(f"INSERT INTO settings VALUES ('sign_up', '{value}') ON CONFLICT (key) DO UPDATE SET value = excluded.value")
        self.addCleanup(sql, "DELETE FROM settings WHERE key = 'sign_up'")

    def invite(self, email):
        made = post("/invitations", {"email": email}, self.user.token, want=201)[1]
        self.assertTrue(made["mailed"])
        mail = text_of(mails.wait(email))
        self.assertNotIn(made["token"], mail)
        self.assertIn(self.user.email, mail)
        return made, re.search(r"signup#invitation=(\S+)", mail).group(1)

    def test_a_mailed_invitation_confirms_the_address(self):
        self.keep_sign_up("invite")
        email = "invited-" + self.user.email
        made, token = self.invite(email)
        credentials = {"email": email, "password": PASSWORD}
        post("/users/register", dict(credentials, email="other-" + email, invitation=token), want=400)
        self.assertEqual(post("/users/register", dict(credentials, invitation=token), want=201)[1]["email"], email)
        post("/users/login", credentials, want=200)
        # Neither of its links works once more.
        for used in (token, made["token"]):
            post("/users/register", dict(credentials, invitation=used), want=400)
        self.assertEqual([m["Subject"] for m in mails.to(email)], ["You are invited"])

    def test_the_inviters_link_does_not(self):
        self.keep_sign_up("invite")
        email = "invited-" + self.user.email
        made, _ = self.invite(email)
        credentials = {"email": email, "password": PASSWORD}
        post("/users/register", dict(credentials, invitation=made["token"]), want=202)
        post("/users/login", credentials, want=401)
        mail = mails.wait(email, 2)
        self.assertEqual(mail["Subject"], "Confirm your e-mail address")
        token = re.search(r"verify-email#token=(\S+)", text_of(mail)).group(1)
        post("/users/verify-email", {"token": token}, want=204)
        post("/users/login", credentials, want=200)

    def test_an_invitation_does_not_tell_who_has_an_account(self):
        self.keep_sign_up("invite")
        for email in (self.user.email, "free-" + self.user.email):
            answers = []
            token = post("/invitations", {}, self.user.token, want=201)[1]["token"]
            for _ in range(2):
                answers.append(post("/users/register", {"email": email, "password": PASSWORD, "invitation": token})[0])
            # Used up, whatever came of it.
            self.assertEqual(answers, [202, 400])
        self.assertEqual(mails.wait(self.user.email, 2)["Subject"], "You already have an account")
        made = {}
        for email in (self.user.email, "none-" + self.user.email):
            made[email] = post("/invitations", {"email": email}, self.user.token, want=201)[1]
            self.assertEqual(text_of(mails.wait(email, 3 if email == self.user.email else 1)).count("invitation="), 1)
        self.assertEqual(*({k: type(v) for k, v in m.items()} for m in made.values()))

    def test_invitations_send_few_mails(self):
        self.keep_sign_up("invite")
        email = "invited-" + self.user.email
        sent = 0
        for _ in range(5):
            made = post("/invitations", {"email": email}, self.user.token, want=201)[1]
            sent += made["mailed"]
            request("DELETE", f"/api/v1/invitations/{made['id']}", token=self.user.token, want=204)
        self.assertEqual(sent, 3)
        # Another inviter does not get round it.
        self.keep_sign_up("open")
        self.assertFalse(post("/invitations", {"email": email.upper()}, User().token, want=201)[1]["mailed"])
        # Nor does an account that is deleted and made anew.
        email = "again-" + email
        for expected in (3, 0):
            inviter = User()
            made = [post("/invitations", {"email": email}, inviter.token, want=201)[1]["mailed"] for _ in range(3)]
            self.assertEqual(sum(made), expected)
            request("DELETE", "/api/v1/users/me", {"password": PASSWORD}, inviter.token, want=204)
        for n in range(20):
            made = post("/invitations", {"email": f"{n}-{email}"}, self.user.token, want=201)[1]
        self.assertFalse(made["mailed"])

    def test_a_withdrawn_invitation_is_not_mailed(self):
        self.keep_sign_up("invite")
        email = "invited-" + self.user.email
        mails.refuse = True
        try:
            made = post("/invitations", {"email": email}, self.user.token, want=201)[1]
            wait_until(lambda: sql(f"SELECT 1 FROM notification_outbox WHERE payload ->> 'email' = '{email}' AND error LIKE '%451%'"),
                       "it is refused")
            request("DELETE", f"/api/v1/invitations/{made['id']}", token=self.user.token, want=204)
        finally:
            mails.refuse = False
        wait_until(lambda: sql(f"SELECT 1 FROM notification_outbox WHERE payload ->> 'email' = '{email}' AND state = 'failed'"),
                   "it is given up")
        self.assertEqual(mails.to(email), [])

    def test_taken_addresses_get_few_mails(self):
        for _ in range(8):
            post("/users/register", {"email": self.user.email, "password": PASSWORD}, want=202)
        self.assertEqual(sql("SELECT count(*) FROM notification_outbox o JOIN users u ON u.id = o.user_id"
                             f" WHERE payload ->> 'kind' = 'taken' AND u.email = '{self.user.email}'"), [["5"]])

    def test_sign_up_while_no_mail_is_taken(self):
        mails.refuse = True
        try:
            user = User()
            wait_until(lambda: sql("SELECT 1 FROM notification_outbox o JOIN users u ON u.id = o.user_id"
                                   f" WHERE u.email = '{user.email}' AND o.error LIKE '%451%'"), "it is refused")
        finally:
            mails.refuse = False
        self.confirm(user.email)

    def confirm(self, address):
        text = text_of(mails.wait(address))
        token = re.search(r"https://ssi\.example\.org/verify-email#token=(\S+)", text).group(1)
        post("/users/verify-email", {"token": token}, want=204)
        post("/users/verify-email", {"token": token}, want=400)

    def test_mail(self):
        address = f"ops-{self.user.email}"
        channel = self.channel("email", config={"address": address})
        self.assertFalse(channel["verified"])
        self.report(("disk", "FAILURE", "nobody asked for this"), ("disk", "OK", ""))
        self.confirm(address)
        self.assertTrue(self.shown(channel)["verified"])
        self.assertEqual(len(mails.to(address)), 1)
        mails.refuse = True
        sql("UPDATE services SET title = E'D\\r\\nBcc: victim@example.org <b>\u05e9 \U0001f600' WHERE name = 'disk'")
        self.report(("disk", "FAILURE", NASTY))
        wait_until(lambda: "451" in (self.shown(channel)["last_error"] or ""), "it is refused")
        mails.refuse = False
        mail = mails.wait(address, 2)
        self.assertEqual(mail["To"], f"<{address}>" if mail["To"].startswith("<") else address)
        self.assertIsNone(mail["Bcc"])
        self.assertIn("\U0001f600", mail["Subject"])
        self.assertEqual([p.get_content_type() for p in mail.walk()], ["multipart/mixed", "text/plain"])
        self.assertEqual(text_of(mail).splitlines()[0], NASTY)
        self.assertTrue(mail["Date"] and mail["Message-ID"].startswith("<ntf-"))
        self.assertGreater(mails.logins, 0)
        # Another account has to ask for itself.
        self.assertFalse(post("/notifications/channels", {"type": "email", "name": "x", "config": {"address": address}},
                              User().token, want=201)[1]["verified"])

    def test_password_reset(self):
        email, sessions = self.user.email, self.user.tokens["refresh_token"]
        key = post("/api-tokens", {"name": "x", "scopes": ["write"]}, self.user.token, want=201)[1]["token"]
        self.channel("email", config={"address": email})
        for address in (email.upper(), "nobody@example.org"):
            status, answer, _ = post("/users/password-reset", {"email": address}, want=202)
            self.assertIsNone(answer)
        # The others ask whether the address is its owner's, and tell of the token.
        text = text_of(mails.wait(email, 4))
        token = re.search(r"reset-password#token=(\S+)", text).group(1)
        self.assertEqual(mails.to("nobody@example.org"), [])
        # The database has nothing that opens it.
        dump = subprocess.run(["pg_dump", "-h", serverd.backend.dir, "-U", "ssi", "postgres"], capture_output=True,
                              text=True, check=True).stdout
        self.assertNotIn(token.partition("_")[2], dump)
        post("/users/password-reset/confirm", {"token": token, "password": "short"}, want=400)
        post("/users/password-reset/confirm", {"token": token + "x", "password": "another horse battery"}, want=400)
        answer = post("/users/password-reset/confirm", {"token": token, "password": "another horse battery"}, want=200)[1]
        self.assertEqual(answer, {"withdrawn": {"api_tokens": 1}, "review": {"channels": 1, "push_subscriptions": 0, "servers": 1}})
        get("/users/me", key, 401)
        post("/users/password-reset/confirm", {"token": token, "password": "another horse battery"}, want=400)
        post("/users/refresh", {"refresh_token": sessions}, want=401)
        post("/users/login", {"email": email, "password": PASSWORD}, want=401)
        post("/users/login", {"email": email, "password": "another horse battery"}, want=200)

    def subjects(self):
        return [m["Subject"] for m in mails.to(self.user.email)]

    def told(self, subject, n=1):
        wait_until(lambda: self.subjects().count(subject) == n, subject)

    def test_owner_is_told(self):
        def login(address):
            return request("POST", "/api/v1/users/login", {"email": self.user.email, "password": PASSWORD}, want=200,
                           fields={"X-Forwarded-For": address})[1]

        post("/api-tokens", {"name": "x", "scopes": ["read"]}, self.user.token, want=201)
        self.told("A new API token was created")
        for address in ("192.0.2.77", "192.0.2.77", "2001:db8::1", "2001:db8::2"):
            token = login(address)["access_token"]
        self.told("Your account was used from a new network", 2)
        change = {"current_password": PASSWORD, "new_password": "another horse battery"}
        post("/users/me/password", change, token, want=204)
        self.told("Your password was changed")
        # No more than five an hour of a kind.
        post("/users/me/password", dict(current_password=change["new_password"], new_password=PASSWORD), token, want=204)
        for n in range(8):
            login(f"192.0.2.{n}")
        self.quiet()
        self.told("Your account was used from a new network", 5)

    def test_reset_is_not_asked_for_endlessly(self):
        for _ in range(8):
            post("/users/password-reset", {"email": self.user.email}, want=202)
        count = sql(f"SELECT count(*) FROM notification_outbox WHERE payload ->> 'email' = '{self.user.email}'"
                    " AND payload ->> 'kind' = 'reset'")
        self.assertEqual(count, [["5"]])
        self.assertEqual(request("GET", "/api/v1/features", want=200)[1], {"mail": True, "push": True, "sign_up": "open"})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ssi-test-mail-") as folder:
        mails = MailSink(folder, "ssi", "pa:ss/word")
        os.environ.update(SSI_ALLOW_PRIVATE_TARGETS="yes", SSI_NOTIFY_TIMEOUT="5", SSI_PUBLIC_URL="https://ssi.example.org",
                          SSI_SMTP_URL=f"smtp://ssi:pa%3Ass%2Fword@localhost:{mails.port}", SSI_SMTP_CA=mails.ca,
                          SSI_SMTP_FROM="SSI <ssi@example.org>", SSI_PUSH_KEY=os.path.join(folder, "vapid.pem"))
        try:
            serverd.main()
        finally:
            mails.stop()
