# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two instances of different versions on one database, as during a rolling upgrade: hosts report to both of them."""
import serverd
from builds import OLDER
from reporter import Reporter
from serverd import User, get, wait_until

# From this schema on, the older version must go on working (CONTRIBUTING.md). Databases before it were of development versions only.
FIRST = 16


def start(i, build):
    serverd.backend.command, serverd.backend.migrations = [str(build.serverd)], str(build.migrations)
    serverd.backend.start_server(i)


def shown(reporter, user, i):
    """What an instance tells of the last result, as long as that takes."""
    name = f"/servers/{reporter.agent.server}/services/tick"
    before = int(get(name, user.token, i=i)["message"])
    wait_until(lambda: int(get(name, user.token, i=i)["message"]) > before)


def work(reporters, user, instances=(0, 1)):
    """Whoever is connected to these goes on, and each of these shows it."""
    for r in reporters:
        if r.i in instances:
            r.wait_for_more()
    for i in instances:
        for r in reporters:
            if r.i in instances:
                shown(r, user, i)


def check(old, new):
    backend = serverd.backend = serverd.Backend(str(old.serverd), str(old.migrations))
    reporters, wrong = [], []
    try:
        backend.start_database()
        start(0, old)
        user = User()
        reporters.append(Reporter(user.server("first"), 0, version=OLDER))
        reporters[0].wait_for_more()

        start(1, new)
        reporters.append(Reporter(user.server("second"), 1))
        reporters[1].wait_for_more()
        if old.schema >= FIRST:
            work(reporters, user)
            # It would be started again, too, and must leave the newer schema alone.
            backend.servers[0].kill()
            backend.servers[0].wait()
            start(0, old)
            work(reporters, user)
            server = get(f"/servers/{reporters[0].agent.server}", user.token, i=1)
            assert server["agent_outdated"] is True, server
        else:
            try:
                work(reporters, user, (0,))
                print(f"the older instance (schema {old.schema}) goes on working")
            except AssertionError:
                print(f"the older instance (schema {old.schema}) takes no results any more, as expected: its hosts keep them")
            work(reporters, user, (1,))

        # The second half of the upgrade.
        code = backend.stop_server(0)
        if code:
            wrong.append(f"the older instance ended with {code}")
        start(0, new)
        work(reporters, user)
        for r in reporters:
            r.settle()
            wrong += r.faults()
        counts = {"kept": sum(len(r.journal) for r in reporters), "sent again": sum(r.again for r in reporters)}
        return wrong, counts
    finally:
        for r in reporters:
            r.end()
        codes, log = backend.stop()
        if any(codes) or "Sanitizer" in log:
            print(log[-5000:])
            wrong.append(f"the instances ended with {codes}")
