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


def doctored(host, path, sql):
    """A backup in which this stands in the middle of the text that pg_restore makes of it."""
    place = "P" * 120
    assert len(sql) < len(place) - 20
    host.sql(f"COMMENT ON TABLE users IS '{place}'")
    ctl(host, "backup", path)
    host.sql("COMMENT ON TABLE users IS NULL")
    put = f"x';\n{sql}\nSELECT '".ljust(len(place), "x")
    host.run(["python3", "-c", f"""p = {path!r}
b = open(p, 'rb').read()
assert b.count({place!r}.encode()) == 1
open(p, 'wb').write(b.replace({place!r}.encode(), {put!r}.encode()))"""])


def refused(host, path, *words):
    r = ctl(host, "restore", path, check=False)
    assert r.returncode == 1 and all(word in r.stderr for word in words), r.stderr
    wait_until(lambda: host.request("GET", "/readyz")[0] == 200, timeout=30)


@pytest.mark.expect_error(r"ERROR: .*COPY to or from an external program")
def test_a_doctored_backup_runs_no_program(flow):
    """Neither on the backend, by psql's own commands, nor by the database."""
    mark = "/var/lib/ssi-server/owned"
    doctored(flow, "/tmp/meta", f"\\! touch {mark}")
    doctored(flow, "/tmp/copy", "COPY public.users (email) FROM PROGRAM 'touch /tmp/owned';")
    refused(flow, "/tmp/meta", "restrict")
    refused(flow, "/tmp/copy", "COPY")
    # As releases of PostgreSQL that lack the lock: pg_restore does not know the option, psql not the command.
    real, fake = flow.run("ls -d /usr/lib/postgresql/*/bin").stdout.split()[-1], "/usr/lib/postgresql/99/bin"
    old = {"pg_restore": f"""#!/bin/bash
for a; do [[ $a != --restrict-key* ]] || {{ echo "$0: unrecognized option '$a'" >&2; exit 1; }}; done
{real}/pg_restore "$@" | grep -v '^\\\\\\(un\\)\\?restrict '
exit "${{PIPESTATUS[0]}}"
""", "psql": f"""#!/bin/bash
exec {real}/psql "$@" < <(sed -u 's/^\\\\restrict.*/\\\\restrict_is_not_known/')
"""}
    try:
        for name, text in old.items():
            flow.run(f"mkdir -p {fake}; ln -sf {real}/* {fake}/; rm {fake}/{name}")
            flow.write(f"{fake}/{name}", text, mode="0755")
            for path in ("/tmp/meta", FILE):
                refused(flow, path, "pg_restore and psql are too old", "15.14")
    finally:
        flow.run(f"rm -rf {fake}")
    assert flow.run(f"ls {mark} /tmp/owned /tmp/systemd-private-*/tmp/owned", check=False).stdout == ""
    assert "Restored" in ctl(flow, "restore", FILE).stdout


def test_a_doctored_backup_does_not_change_the_audit_log(flow):
    """Neither an altered entry, nor entries where a restore keeps those of the present log."""
    query = "SELECT at, event, outcome, account, email, actor, address, method, credential, object, name FROM audit_log ORDER BY at, id"
    before = flow.sql(query)
    [[newest]] = flow.sql("SELECT max(id) FROM audit_log")
    columns = ("outcome", "actor", "address", "name")
    flow.sql(f"UPDATE audit_log SET {', '.join(c + ' = $$x$$ || ' + c for c in columns)} WHERE id <= {newest}")
    flow.sql("CREATE TABLE audit_carried AS SELECT to_jsonb(l) || '{\"event\": \"forged\", \"object\": \"forged\"}' AS entry FROM audit_log l")
    flow.sql("ALTER TABLE audit_carried OWNER TO \"ssi-server\"")
    ctl(flow, "backup", "/tmp/altered")
    flow.sql("DROP TABLE audit_carried")
    flow.sql(f"UPDATE audit_log SET {', '.join(c + ' = substr(' + c + ', 2)' for c in columns)} WHERE id <= {newest}")
    assert flow.sql(query)[:len(before)] == before
    assert "Restored" in ctl(flow, "restore", "/tmp/altered").stdout
    wait_until(lambda: flow.sql("SELECT to_regclass('audit_carried') IS NULL") == [["t"]])
    after = flow.sql(query)
    assert [e for e in after if e in before] == before
    assert [(e[1], e[10]) for e in after if e not in before] == [("backup.started", ""), ("restore.done", "")]
    has_caught_up(flow)


@pytest.mark.expect_error(r"ERROR: .*what no backup of ssi-serverd does")
def test_no_code_of_a_backup_stays(flow):
    flow.sql("CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    flow.sql("CREATE TRIGGER evil BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION evil()")
    flow.sql("CREATE OR REPLACE FUNCTION notification_id() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN ''evil''; END'")
    ctl(flow, "backup", "/tmp/code")
    flow.sql("DROP TRIGGER evil ON users")
    flow.sql("DROP FUNCTION evil")
    routines = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    triggers = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"
    before = flow.sql(routines), flow.sql(triggers)
    assert "Restored" in ctl(flow, "restore", "/tmp/code").stdout
    assert (flow.sql(routines), flow.sql(triggers)) == before
    assert flow.sql("SELECT prosrc LIKE '%evil%' FROM pg_proc WHERE proname = 'notification_id'") == [["f"]]
    # Ours work: the results that come now are recorded by them.
    has_caught_up(flow)
    for make, name in (("VIEW evil AS SELECT 1 AS x", "relation evil"), ("RULE evil AS ON INSERT TO users DO ALSO NOTHING", "rule evil"),
                       ('SCHEMA evil AUTHORIZATION "ssi-server"', "schema evil")):
        flow.sql("CREATE " + make)
        ctl(flow, "backup", "/tmp/code")
        flow.sql("DROP " + make.split(" evil")[0] + " evil" + (" ON users" if "RULE" in make else ""))
        refused(flow, "/tmp/code", "what no backup of ssi-serverd does: " + name)
    # What was there before is the administrator's.
    flow.sql("CREATE SCHEMA reports")
    ctl(flow, "backup", FILE)
    flow.sql("DROP SCHEMA reports")
    flow.sql("CREATE SCHEMA other")
    refused(flow, FILE, "schema reports")
    flow.sql("DROP SCHEMA other")
    ctl(flow, "backup", FILE)
    has_caught_up(flow)


def test_a_device_is_not_replaced(flow):
    for path in ("/dev/null", "/root/fifo", "/root/link"):
        flow.run("[ -p /root/fifo ] || mkfifo /root/fifo; ln -sf /dev/null /root/link")
        before = flow.run(["stat", "-c", "%F %i", path]).stdout
        r = ctl(flow, "backup", path, check=False)
        assert r.returncode == 1 and f"{path} is not a regular file" in r.stderr
        assert flow.run(["stat", "-c", "%F %i", path]).stdout == before


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
