# SPDX-License-Identifier: LGPL-2.1-or-later
"""The dashboard's routes on a Database: how long they take, how many pages they touch, and by which indexes."""
import contextlib
import json
import re
import statistics
import time

from .backend import Backend

OWN = 20  # servers of the account that looks
TIMES = 20
LARGE = ("servers", "services", "events", "transitions", "notification_outbox", "notification_states")
ROUTES = ("/servers", "/servers?limit=100", "/servers?status=FAILURE,WARNING", "/servers?q=host", "/servers/ID", "/servers/ID/services",
          "/servers/ID/services/check-3", "/servers/ID/services/check-3/events", "/servers/ID/events",
          "/servers/ID/services/check-3/timeline", "/services", "/services?status=FAILURE", "/notifications", "/silences")
EXPLAIN = {"log_min_duration": "0", "log_analyze": "on", "log_buffers": "on", "log_timing": "off", "log_format": "json"}


@contextlib.contextmanager
def plans(db):
    """Yields a function that gives the plans of what was executed since its last call."""
    for name, value in EXPLAIN.items():
        db.sql(f"ALTER SYSTEM SET auto_explain.{name} = {value}")
    db.sql("SELECT pg_reload_conf()")
    while db.sql("SHOW auto_explain.log_format") != "json":
        time.sleep(0.1)
    time.sleep(1)  # the server's connections read the settings when they are next idle
    with open(db.dir + "/log", encoding="utf-8", errors="replace") as log:
        def since():
            text = log.read()
            decoder = json.JSONDecoder()
            return [decoder.raw_decode(part.strip())[0] for part in text.split(" plan:\n")[1:]]

        log.seek(0, 2)
        try:
            yield since
        finally:
            for name in EXPLAIN:
                db.sql(f"ALTER SYSTEM RESET auto_explain.{name}")
            db.sql("SELECT pg_reload_conf()")


def nodes(plan):
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def pages(plan):
    return plan.get("Shared Hit Blocks", 0) + plan.get("Shared Read Blocks", 0)


def is_large(name):
    return name in LARGE or name.startswith("events_")


def measure(bench, db, among):
    """{route: figures} of an account with twenty servers, evenly among the first so many."""
    out = {}
    with Backend(bench, db) as b:
        token = b.user()
        step = max(1, among // OWN)
        db.sql("UPDATE servers SET user_id = (SELECT max(id) FROM users)"
               f" WHERE id <= {step * OWN} AND id IN (SELECT n * {step} FROM generate_series(1, {OWN}) n)")
        paths = {route: "/api/v1" + route.replace("ID", f"srv-{step * 7}") for route in ROUTES}

        def ask(path):
            begin = time.monotonic()
            status, answer = b.request("GET", path, token=token)
            assert status == 200, (path, status, answer)
            return (time.monotonic() - begin) * 1000

        with plans(db) as since:
            for route, path in paths.items():
                ask(path)  # what is read once per connection is not the route's
                since()
                ask(path)
                out[route] = reads([p["Plan"] for p in since() if "json" in p["Query Text"]])
        for route, path in paths.items():
            out[route]["ms"] = round(statistics.median(ask(path) for _ in range(TIMES)), 2)
    return out


def reads(found):
    every = [n for p in found for n in nodes(p)]
    # The partitions of the days to come are read as a whole, and are empty.
    whole = sorted({n["Relation Name"] for n in every if n["Node Type"] == "Seq Scan" and is_large(n["Relation Name"]) and pages(n) > 10})
    return {"pages": max(map(pages, found)), "whole": " ".join(whole) or "none",
            "indexes": " ".join(sorted({re.sub(r"^events_\d+", "events", n["Index Name"]) for n in every
                                        if "Index Name" in n and pages(n) > 0}))}
