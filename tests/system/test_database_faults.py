# SPDX-License-Identifier: LGPL-2.1-or-later
"""PostgreSQL in trouble while results flow: the backend keeps its sockets, says so, acknowledges nothing that is not
committed, and goes on by itself with nothing lost or repeated."""
import json

import pytest

from conftest import register
from hosts import NOW, TOP, script, wait_until
from test_kill import settled, tick_messages

pytestmark = [
    pytest.mark.expect_error(r"FATAL: .*(starting up|not yet accepting|shutting down|terminating|too many connections)"),
    pytest.mark.expect_error(r"ERROR: .*(read-only transaction|could not extend file|No space left)"),
]


@pytest.fixture(scope="module")
def flow(boot_for_module):
    """A stack in which a service runs about four times a second, with messages that do not compress."""
    host = register(boot_for_module("--agent", "--server"))
    path = host.write("/tmp/tick.bash",
                      script("Tick", f'echo "{NOW}, OK, run $INVOCATION_ID $(head -c 2500 /dev/urandom | base64 -w0)"'))
    host.run(["ssictl", "add", path])
    driver = host.start("while :; do systemctl start ssi-tick.service; sleep 0.2; done")
    yield host
    driver.kill()
    driver.wait()


def readyz(host):
    return host.request("GET", "/readyz")[0]


def reconnects(host):
    out = host.run(["busctl", "--json=short", "get-property", "org.ssi.Uplink1", "/org/ssi/Uplink1", "org.ssi.Uplink1",
                    "Reconnects"]).stdout
    return json.loads(out)["data"]


def recovered(host):
    wait_until(lambda: readyz(host) == 200, timeout=60, what="the server is ready again")
    settled(host)


def through(host, begin, end):
    """Between the two the server must say that it is not ready, and live."""
    before, server = len(tick_messages(host)), host.pid("ssi-serverd.service")
    begin()
    try:
        wait_until(lambda: readyz(host) == 503, timeout=60, what="the server says that it is not ready")
        assert host.request("GET", "/healthz")[0] == 200
    finally:
        end()
    recovered(host)
    assert host.pid("ssi-serverd.service") == server
    assert len(tick_messages(host)) > before


def test_restarted(flow):
    flow.run("systemctl restart ssi-postgres.service")
    recovered(flow)


def test_stopped_for_a_while(flow):
    through(flow, lambda: flow.run("systemctl stop ssi-postgres.service"),
            lambda: flow.run("systemctl start ssi-postgres.service"))


def test_read_only(flow):
    before = reconnects(flow)

    def switch(statement):
        flow.sql(statement)
        flow.sql("SELECT pg_reload_conf()")

    through(flow, lambda: switch("ALTER SYSTEM SET default_transaction_read_only = on"),
            lambda: switch("ALTER SYSTEM RESET default_transaction_read_only"))
    assert reconnects(flow) == before


def test_out_of_connections(flow):
    def begin():
        flow.sql('ALTER ROLE "ssi-server" CONNECTION LIMIT 0')
        flow.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ssi-server'")

    through(flow, begin, lambda: flow.sql('ALTER ROLE "ssi-server" CONNECTION LIMIT -1'))


def test_out_of_disk(flow):
    before = reconnects(flow)
    small = "/var/lib/ssi-server/postgres/small"
    flow.run(f"mkdir {small} && mount -t tmpfs -o size=32M,mode=0700,uid=ssi-postgres tmpfs {small} &&"
             f" install -d -o ssi-postgres -g ssi-postgres -m 0700 {small}/space")
    flow.sql(f"CREATE TABLESPACE small LOCATION '{small}/space'")
    for table in [row[0] for row in flow.sql("SELECT inhrelid::regclass FROM pg_inherits"
                                             " WHERE inhparent = 'events'::regclass")]:
        flow.sql(f"ALTER TABLE {table} SET TABLESPACE small")
    through(flow, lambda: flow.run(f"dd if=/dev/zero of={small}/full bs=64k", check=False),
            lambda: flow.run(f"rm {small}/full"))
    assert reconnects(flow) == before


def test_the_backend_watches_itself(flow):
    """The first-party check of the backend, as one of the services that it shows."""
    def look():
        flow.run("systemctl start ssi-ssi-backend.service")
        return wait_until(lambda: (s := json.loads(flow.run("ssictl --json show ssi-backend").stdout))["Status"] and s)

    flow.run(["ssictl", "add", flow.write("/tmp/ssi-backend.bash", (TOP / "scripts/ssi-backend.bash").read_text())])
    flow.run("systemctl stop ssi-ssi-backend.timer")
    first = look()
    assert (first["Status"], first["Message"].split(",")[0]) == ("OK", "1 agents"), first
    through(flow, lambda: flow.run("systemctl stop ssi-postgres.service"), lambda: (
        flow.run("systemctl start ssi-ssi-backend.service"), flow.run("systemctl start ssi-postgres.service")))
    look()
    wait_until(lambda: [row[0] for row in flow.sql("SELECT status FROM events WHERE service = 'ssi-backend' ORDER BY id")] ==
               ["OK", "FAILURE", "OK"])
    assert "The backend is not ready: The database is not available." in flow.events("ssi-backend")
