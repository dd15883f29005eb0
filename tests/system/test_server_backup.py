# SPDX-License-Identifier: LGPL-2.1-or-later
"""A backup is taken while everything runs; after a restore the agent sends again what the backup lacks."""

import json

import pytest

from conftest import register
from hosts import NOW, script, wait_until

pytestmark = [
    # The backend gives a restore up in the middle of what the database is sending; a restore ends what is under way.
    pytest.mark.expect_error(r"FATAL: .*(connection to client lost|terminating connection)"),
]
FILE = "/root/ssi.backup"


@pytest.fixture(scope="module")
def flow(boot_for_module):
    """A stack in which a service runs five times a second."""
    host = register(boot_for_module("--agent", "--server"))
    path = host.write("/tmp/tick.bash", script("Tick", f'echo "{NOW}, OK, run $INVOCATION_ID"'))
    host.run(["ssictl", "add", path])
    driver = host.start("while :; do systemctl start ssi-tick.service; sleep 0.2; done")
    yield host
    driver.kill()
    driver.wait()


def ctl(host, *args, **kwargs):
    return host.run(["ssictl", "server", *args], **kwargs)


def messages(host):
    return [line.split(", ", 2)[2] for line in host.lines("tick")]


def has_caught_up(host):
    said = messages(host)
    wait_until(lambda: said[-1] in host.events("tick"), timeout=60, what="the last result is in the database")
    assert host.events("tick")[:len(said)] == said, "lost, repeated or out of order"


@pytest.mark.expect_error(r"ERROR: .*(not a backup of ssi-serverd|newer ssi-serverd|development version|not complete)")
def test_backup_and_restore(flow):
    wait_until(lambda: len(flow.events("tick")) > 5, timeout=30)
    r = ctl(flow, "backup", FILE)
    assert "bytes" in r.stdout
    assert flow.run(["stat", "-c", "%a %U", FILE]).stdout.split() == ["600", "root"]
    assert flow.run(f"ls {FILE}*").stdout.split() == [FILE]
    before = len(flow.events("tick"))
    # Life goes on: more results, and an account that the backup does not know.
    ctl(flow, "add-user", "later@example.org", input="correct horse\n")
    wait_until(lambda: len(flow.events("tick")) > before + 10, timeout=30)

    assert "Restored" in ctl(flow, "restore", FILE).stdout
    # When it is said, it is so.
    assert flow.request("GET", "/readyz")[0] == 200
    assert "later@example.org" not in ctl(flow, "users").stdout
    # The journal has what came after the backup, and the cursor in it says from where.
    has_caught_up(flow)
    flow.account.token = None
    state = flow.account.get(f"/api/v1/servers/{flow.server_id}")
    assert state["state"] == "online"


@pytest.mark.expect_error(r"ERROR: .*(not a backup of ssi-serverd|newer ssi-serverd|development version|not complete)")
def test_what_is_no_backup_changes_nothing(flow):
    def users():
        return [u["id"] for u in json.loads(flow.run(["ssictl", "--json", "server", "users"]).stdout)]

    before = users()
    flow.write("/tmp/text", "no backup at all\n")
    cases = [("/tmp/text", "archive")]
    ctl(flow, "backup", FILE)
    flow.run(f"head -c 20000 {FILE} > /tmp/short")
    cases.append(("/tmp/short", ""))
    # Of another program, and of a later version of ours.
    flow.run("""runuser -u ssi-postgres -- sh -c 'psql -q -h /run/ssi-postgres postgres -c "CREATE DATABASE other" &&
             psql -q -h /run/ssi-postgres other -c "CREATE TABLE t ()" &&
             pg_dump -Fc -h /run/ssi-postgres other' > /tmp/other""")
    cases.append(("/tmp/other", "not a backup of ssi-serverd"))
    flow.sql("INSERT INTO schema_migrations (version, name) VALUES (9999, 'of the future')")
    ctl(flow, "backup", "/tmp/newer")
    flow.sql("DELETE FROM schema_migrations WHERE version = 9999")
    cases.append(("/tmp/newer", "newer ssi-serverd (schema version 9999"))
    flow.sql("UPDATE schema_migrations SET version = 7 WHERE version = 8")
    ctl(flow, "backup", "/tmp/older")
    flow.sql("UPDATE schema_migrations SET version = 8 WHERE version = 7")
    cases.append(("/tmp/older", "development version of ssi-serverd"))
    for path, word in cases:
        r = ctl(flow, "restore", path, check=False)
        assert r.returncode == 1 and word in r.stderr, (path, r.stderr)
        wait_until(lambda: flow.request("GET", "/readyz")[0] == 200, timeout=30)
    assert users() == before
    has_caught_up(flow)


def test_through_pipes(flow):
    out = flow.run("ssictl server backup - | pg_restore --list | grep -c TABLE").stdout
    assert int(out) > 10
    flow.run("ssictl server backup - | gzip > /tmp/b.gz && gunzip < /tmp/b.gz | ssictl server restore -")
    has_caught_up(flow)
    # A reader that goes away ends the backup, and the next one can begin.
    r = flow.run("set -o pipefail; ssictl server backup - | true", check=False)
    assert r.returncode == 1
    ctl(flow, "backup", FILE)


def test_an_external_database_with_a_password(boot):
    host = boot()
    host.run("""systemctl start ssi-postgres.service
             runuser -u ssi-postgres -- psql -q -h /run/ssi-postgres postgres -c "CREATE ROLE ext LOGIN PASSWORD 'se cret'" \
                -c "CREATE DATABASE ext OWNER ext"
             sed -i '1i local ext ext scram-sha-256' /var/lib/ssi-server/postgres/data/pg_hba.conf
             systemctl reload ssi-postgres.service""")
    host.write("/etc/ssi/serverd.conf", "SSI_DATABASE_URL=\"host=/run/ssi-postgres dbname=ext user=ext password='se cret'\"\n",
               mode="0600")
    host.run("systemctl start ssi-serverd.socket ssi-serverd.service")
    wait_until(lambda: host.request("GET", "/readyz")[0] == 200, timeout=60)
    ctl(host, "add-user", "someone@example.org", input="correct horse\n")
    # Nobody sees the password in the list of processes.
    watcher = host.start("while :; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; done > /tmp/seen")
    ctl(host, "backup", FILE)
    ctl(host, "remove-user", "someone@example.org")
    ctl(host, "restore", FILE)
    watcher.kill()
    watcher.wait()
    seen = host.run("cat /tmp/seen").stdout
    assert "pg_dump" in seen and "se cret" not in seen
    assert "someone@example.org" in ctl(host, "users").stdout
    host.run("journalctl --sync")
    assert "se cret" not in host.run("journalctl -b --no-pager -u ssi-serverd").stdout
