# SPDX-License-Identifier: LGPL-2.1-or-later
"""What "ssictl server check" finds in a running backend: one fault after the other, each made by hand."""
import datetime
import json

import pytest

from hosts import wait_until

SUBJECTS = {"version", "partitions", "indexes", "orphans", "vacuum", "replication", "deliveries", "clock", "notifications", "service", "disk",
            "certificate"}


@pytest.fixture(scope="module")
def backend(boot_for_module):
    return boot_for_module("--server")


def check(host, *args):
    """The exit status and the lines."""
    r = host.run(["ssictl", "--json", "server", "check", *args], check=False)
    assert r.returncode in (0, 3), r.stderr
    return r.returncode, json.loads(r.stdout)


def not_ok(host, *args):
    code, lines = check(host, *args)
    found = [(line["check"], line["status"], line["message"], line["advice"]) for line in lines if line["status"] != "OK"]
    assert code == (3 if found else 0)
    assert all(advice for *_, advice in found)
    return found


def only(host, *args):
    [found] = not_ok(host, *args)
    return found


def test_nothing_is_wrong(backend):
    wait_until(lambda: "disk are free" in backend.run(["ssictl", "server", "check"]).stdout, timeout=70)
    code, lines = check(backend)
    assert (code, {line["check"] for line in lines}, {line["status"] for line in lines}) == (0, SUBJECTS, {"OK"}), lines
    assert {line["advice"] for line in lines} == {None}
    text = backend.run(["ssictl", "server", "check"]).stdout
    assert "OK       partitions     The history has partitions for 8 days, from " in text
    assert "OK       disk " in text and "% of the database's disk are free" in text


def day(n):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=n)).strftime("%Y%m%d")


def test_partitions(backend):
    backend.sql(f"ALTER TABLE events DETACH PARTITION events_{day(2)}")
    found = not_ok(backend)
    assert [f[:3] for f in found] == [("partitions", "WARNING", "Days of the next three for which the history has no partition: 1."),
                                      ("partitions", "WARNING", f"The table events_{day(2)} is not part of the history.")]
    backend.sql(f"ALTER TABLE events DETACH PARTITION events_{day(0)}")
    assert not_ok(backend)[0][:2] == ("partitions", "FAILURE")
    for n in (0, 2):
        backend.sql(f"ALTER TABLE events ATTACH PARTITION events_{day(n)} FOR VALUES FROM"
                    f" ('{day(n)} 00:00:00+00') TO ('{day(n + 1)} 00:00:00+00')")
    backend.sql(f"CREATE TABLE events_{day(-30)} PARTITION OF events FOR VALUES FROM ('{day(-30)} 00:00:00+00') TO ('{day(-29)} 00:00:00+00')")
    assert only(backend)[2].startswith("Days of history that should be gone: 1, from ")
    backend.sql(f"DROP TABLE events_{day(-30)}")
    assert not_ok(backend) == []


def test_rows_outside_the_partitions(backend):
    backend.sql("INSERT INTO events (received_at, server_id, service, kind, at) VALUES (now() - interval '99 days', 1, 'x', 'result', now())")
    found = not_ok(backend)
    assert [f[:3] for f in found] == [("partitions", "WARNING", "Results outside the partitions of their days: 1."),
                                      ("orphans", "WARNING", "Servers that do not exist, but have results in the history: 1.")]
    backend.sql("DELETE FROM events WHERE service = 'x'")


def test_indexes(backend):
    backend.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'servers_user'::regclass")
    assert only(backend) == ("indexes", "WARNING", "The index servers_user is not valid: queries do not use it.",
                             "REINDEX INDEX CONCURRENTLY servers_user.")
    backend.sql("UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'servers_user'::regclass")
    backend.sql("ALTER TABLE silences ADD CONSTRAINT positive CHECK (id > 0) NOT VALID")
    assert only(backend)[2:] == ("The constraint positive of silences is not validated.", "ALTER TABLE silences VALIDATE CONSTRAINT positive.")
    backend.sql("ALTER TABLE silences DROP CONSTRAINT positive")


def test_a_damaged_index(backend):
    """Its order is not that of its operators any more, as after another version of the locale."""
    backend.sql("CREATE EXTENSION amcheck; GRANT EXECUTE ON FUNCTION bt_index_check(regclass) TO \"ssi-server\"")
    assert not_ok(backend, "--deep") == []
    body = "CREATE OR REPLACE FUNCTION odd(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT sign($%d - $%d)::int $$"
    backend.sql(f"{body % (1, 2)}; CREATE OPERATOR CLASS odd FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,"
                " OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 odd(int, int); CREATE TABLE damaged (x int);"
                " INSERT INTO damaged SELECT generate_series(1, 10); CREATE INDEX damaged_x ON damaged (x odd); "
                "GRANT ALL ON damaged TO \"ssi-server\"")
    assert not_ok(backend) == []
    backend.sql(body % (2, 1))
    subject, status, message, advice = only(backend)
    assert (subject, status) == ("indexes", "FAILURE") and message.startswith("The index damaged_x is damaged: item order invariant violated")
    assert advice.startswith("REINDEX INDEX CONCURRENTLY damaged_x")
    backend.sql("DROP TABLE damaged; DROP OPERATOR FAMILY odd USING btree; DROP FUNCTION odd(int, int); DROP EXTENSION amcheck")


def test_replication(backend):
    backend.sql("SELECT pg_create_physical_replication_slot('gone', true)")
    subject, status, message, advice = only(backend)
    assert (subject, status) == ("replication", "WARNING") and message.startswith("The replication slot gone is not used and keeps ")
    assert "pg_drop_replication_slot('gone')" in advice
    backend.sql("SELECT pg_drop_replication_slot('gone')")


def test_vacuum_is_off(backend):
    backend.sql("ALTER SYSTEM SET autovacuum = off")
    backend.sql("SELECT pg_reload_conf()")
    wait_until(lambda: not_ok(backend) and only(backend)[:3] == ("vacuum", "WARNING", "Autovacuum is off."))
    backend.sql("ALTER SYSTEM RESET autovacuum")
    backend.sql("SELECT pg_reload_conf()")
    wait_until(lambda: not_ok(backend) == [])


def test_a_certificate_that_ends(backend):
    backend.run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /tmp/key.pem -out /tmp/cert.pem -days 5"
                " -subj /CN=x 2>/dev/null; install -d -o ssi-server -m 0700 /var/lib/ssi-test; "
                "install -o ssi-server -m 0600 /tmp/key.pem /tmp/cert.pem /var/lib/ssi-test/; mkdir -p /etc/ssi;"
                " printf '%s\\n' SSI_TLS_CERT=/var/lib/ssi-test/cert.pem SSI_TLS_KEY=/var/lib/ssi-test/key.pem >/etc/ssi/serverd.conf;"
                " systemctl restart ssi-serverd")
    try:
        subject, status, message, advice = only(backend)
        assert (subject, status) == ("certificate", "WARNING") and message.startswith("The certificate is valid until ")
        assert advice.startswith("Renew it")
    finally:
        backend.run("rm /etc/ssi/serverd.conf; systemctl restart ssi-serverd")
    assert not_ok(backend) == []


@pytest.mark.expect_error(r"FATAL:  (terminating connection|the database system is (shutting down|starting up))")
def test_without_a_database(backend):
    backend.run("systemctl stop ssi-postgres.service")
    try:
        found = not_ok(backend)
        assert [f[:2] for f in found] == [("database", "FAILURE"), ("service", "FAILURE")]
        assert found[1][2] == "The backend serves nothing: The database is not available."
    finally:
        backend.run("systemctl start ssi-postgres.service")
    wait_until(lambda: not_ok(backend) == [])
