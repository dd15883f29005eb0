# SPDX-License-Identifier: LGPL-2.1-or-later
"""The reference cluster without its hosts, which tests/ha/run boots: its files fit together, and the checks of the long run find what
they should."""
import random
import re
import sys

import pytest

from hosts import TOP

sys.path.insert(0, str(TOP / "tests" / "ha"))

import cluster as cluster_  # noqa: E402
import kinds  # noqa: E402
import probes  # noqa: E402

HOSTS = {"alpha": "192.0.2.11", "beta": "192.0.2.12", "gamma": "192.0.2.13"}


def render(template, **more):
    groups = {g: list(HOSTS) for g in ("database", "backend", "balancer")}
    return cluster_.Inventory(groups, HOSTS, cluster_.settings(**more)).render(template, "beta")


def test_each_template_has_its_place():
    placed = [f["template"] for files in cluster_.layout().values() for f in files]
    assert sorted(placed) == sorted(p.name for p in (cluster_.FILES / "templates").iterdir())
    for template in placed:
        assert render(template)


def test_balancers_keep_agents():
    text = render("haproxy.cfg.j2")
    parts = {m[1]: m[2] for m in re.finditer(r"^backend (\w+)\n((?:    .*\n|\n)+)", text, re.MULTILINE)}
    assert "uri /healthz" in parts["agents"] and "mode tcp" in parts["agents"]
    assert "uri /readyz" in parts["people"]
    assert not re.search(r"^\s*(default-server|server).*shutdown-sessions", text, re.MULTILINE)
    for part in parts.values():
        assert all(f"{address}:8443 check" in part for address in HOSTS.values())


@pytest.mark.parametrize("pgbouncer, port", [(False, 5432), (True, 6432)])
def test_backends_know_all_databases(pgbouncer, port):
    url = re.search("^SSI_DATABASE_URL=(.*)$", render("serverd.conf.j2", ssi_pgbouncer=pgbouncer), re.MULTILINE)[1]
    assert url.endswith("@" + ",".join(f"{a}:{port}" for a in HOSTS.values()) + "/ssi?target_session_attrs=read-write")
    assert re.search("^pool_mode = session$", render("pgbouncer.ini.j2"), re.MULTILINE)


@pytest.mark.parametrize("mode, strict", [("synchronous", False), ("synchronous", True), ("asynchronous", False)])
def test_patroni(mode, strict):
    import yaml
    patroni = yaml.safe_load(render("patroni.yml.j2", ssi_mode=mode, ssi_strict=strict))
    dcs = patroni["bootstrap"]["dcs"]
    assert (dcs["synchronous_mode"], dcs["synchronous_mode_strict"]) == (mode == "synchronous", strict)
    assert dcs["ttl"] >= dcs["loop_wait"] + 2 * dcs["retry_timeout"] and dcs["postgresql"]["use_pg_rewind"]
    assert patroni["watchdog"]["mode"] == "off"
    # Its own etcd is the one that knows nothing newer when the host is cut off.
    assert patroni["etcd3"] == {"use_proxies": True, "hosts": [f"{HOSTS[h]}:2379" for h in ("alpha", "gamma")]}
    scope = {}
    exec(compile(render("choose-etcd.j2").split("while not")[0], "choose-etcd", "exec"), scope)
    assert scope["HOSTS"] == patroni["etcd3"]["hosts"]
    # Two elections of etcd pass before a primary gives up.
    assert 2 * cluster_.settings()["ssi_etcd_election"] < 1000 * dcs["retry_timeout"]


@pytest.mark.parametrize("each", [50, 100])
def test_both_modes_together_have_each_kind_three_times(each):
    for seed in range(20):
        plans = {mode: kinds.plan(random.Random(seed), each, mode) for mode in kinds.MODES}
        for mode, chosen in plans.items():
            assert len(chosen) == each and chosen == kinds.plan(random.Random(seed), each, mode)
            assert min(chosen.count(k.__name__) for k in kinds.KINDS) >= each // len(kinds.KINDS)
        together = plans["synchronous"] + plans["asynchronous"]
        assert min(together.count(k.__name__) for k in kinds.KINDS) >= 3


class Rows:
    """A database with these rows."""

    def __init__(self, *rows):
        self.rows = rows
        self.certificates = {"ca.pem": cluster_.make_certificates("x")["ca.pem"]}
        self.cluster = self

    def sql(self, query):
        return [[str(v) for v in (r if isinstance(r, tuple) else (r,))] for r in self.rows]


@pytest.mark.parametrize("acked, stored, wrong", [
    (3, (1, 2, 3), 0),
    (2, (1, 2, 3), 0),         # the acknowledgement was lost
    (3, (1, 3), 1),            # lost
    (3, (1, 2), 1),            # at the end
    (3, (1, 2, 2, 3), 1),      # twice
    (3, (2, 1, 3), 1),         # out of order
])
def test_the_meter_finds(acked, stored, wrong):
    meter = probes.Meter(Rows(*stored), 0)
    meter.acked, meter.server_id = acked, "x"
    assert len(meter.check()[0]) == wrong


@pytest.mark.parametrize("told, now, wrong", [
    ((("a", "OK", "WARNING"), ("b", "WARNING", "OK")), "OK", 0),
    ((("a", "OK", "WARNING"), ("a", "OK", "WARNING")), "WARNING", 2),   # twice, as a message and as a change
    ((("a", "OK", "WARNING"), ("b", "OK", "WARNING")), "WARNING", 1),   # twice, as two messages
    ((("a", "OK", "WARNING"), ("b", "FAILURE", "OK")), "OK", 1),        # one is missing
    ((("a", "OK", "WARNING"),), "OK", 1),                               # the last one is missing
])
def test_the_sink_finds(told, now, wrong):
    sink = probes.Sink(None)
    sink.taken = [(key, {"kind": "status", "server_id": "s", "service": "v", "old": a, "new": b}) for key, a, b in told]
    assert len(sink.check(Rows(("s", "v", now)))[0]) == wrong


def test_the_longest_time_without():
    series = probes.Series()
    series.times = [0, 1, 2, 7, 8, 20]
    assert series.gap(1.5, 9) == 12 and series.gap(3, 7.5) == 5 and series.gap(0, 1.5) == 1
