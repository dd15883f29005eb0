# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can go wrong in a cluster, one function per kind, as in tests/fault/faults.py: each does it at once, says to whom, and gives what
undoes it later with the time until then, or None. One machine at a time fails: two of three databases at once are an outage by design.
All draw from the given random.Random alone."""
import time

from cluster import settings
from faults import kill
from hosts import wait_until

LEASE = settings()["ssi_ttl"]


def primary(cluster):
    return wait_until(cluster.primary, timeout=60, what="there is a primary")


def standby(cluster):
    return wait_until(cluster.standbys, timeout=60, what="there is a standby")[0]


def signal_postgres(host, name):
    host.run(f"pkill -{name} -u postgres -x postgres\\|postgres.real", check=False)


def silence(cluster, host, seconds):
    """Nothing passes, and nobody is told."""
    cluster.switch.black_hole(host)
    return host, (lambda: cluster.switch.mend(host), seconds)


def unplug(cluster, host, seconds):
    """The host notices."""
    cluster.switch.cut(host)
    return host, (lambda: cluster.switch.mend(host), seconds)


# ---- databases ----

def kill_postgres(cluster, random):
    host = primary(cluster)
    host.run(["kill", "-KILL", str(host.postmaster())], check=False)
    return host, None


def kill_patroni(cluster, random):
    host = primary(cluster)
    kill(host, "patroni.service")
    return host, None


def stop_primary(cluster, random):
    """In order, as for an upgrade."""
    host = primary(cluster)
    host.run(["systemctl", "stop", "--no-block", "patroni.service"])
    return host, (lambda: host.run(["systemctl", "start", "--no-block", "patroni.service"]), random.uniform(15, 30))


def lose(cluster, host):
    """The host is gone, all of it, at once. Gives what starts it again."""
    cluster.switch.black_hole(host)
    host.run("systemctl kill -s KILL --kill-who=all patroni.service etcd.service; systemctl stop patroni.service etcd.service;"
             " pkill -KILL -u postgres", check=False)

    def back():
        cluster.switch.mend(host)
        host.start_units()

    return back


def lose_primary(cluster, random):
    host = primary(cluster)
    return host, (lose(cluster, host), random.uniform(LEASE + 10, LEASE + 25))


def lose_lagging_primary(cluster, random):
    """The standbys have not got the last seconds: nothing of them has left the host. (A standby that stands still finds them in its
    socket later.)"""
    host = primary(cluster)
    host.run("pkill -STOP -f 'postgres: .*walsender'", check=False)
    # What is acknowledged meanwhile is lost if this is asynchronous.
    time.sleep(random.uniform(1, 2))
    return host, (lose(cluster, host), random.uniform(LEASE + 10, LEASE + 25))


def lose_standby(cluster, random):
    host = standby(cluster)
    return host, (lose(cluster, host), random.uniform(10, 30))


def freeze_primary(cluster, random):
    """Patroni and PostgreSQL stand still for longer than the lease, and wake up."""
    host = primary(cluster)
    host.run("systemctl kill -s STOP --kill-who=all patroni.service", check=False)
    return host, (lambda: host.run("systemctl kill -s CONT --kill-who=all patroni.service", check=False), random.uniform(LEASE + 10, LEASE + 25))


def freeze_patroni(cluster, random):
    """Its PostgreSQL keeps running as a primary beside the next one: what a watchdog prevents."""
    host = primary(cluster)
    host.run(["kill", "-STOP", str(host.pid("patroni.service"))], check=False)
    return host, (lambda: host.run("systemctl kill -s CONT --kill-who=all patroni.service", check=False), random.uniform(LEASE + 10, LEASE + 25))


def black_hole_primary(cluster, random):
    return silence(cluster, primary(cluster), random.uniform(5, LEASE + 25))


def black_hole_standby(cluster, random):
    return silence(cluster, standby(cluster), random.uniform(5, 30))


def cut_primary(cluster, random):
    return unplug(cluster, primary(cluster), random.uniform(5, LEASE + 25))


def fill_primary(cluster, random):
    host = primary(cluster)
    host.run("dd if=/dev/zero of=/var/lib/postgresql/full bs=1M", check=False)
    return host, (lambda: host.run("rm -f /var/lib/postgresql/full"), random.uniform(5, LEASE + 20))


def switch_over(cluster, random):
    """Planned."""
    host = primary(cluster)
    host.run("patronictl -c /etc/patroni/config.yml switchover --force", check=False)
    return host, None


# ---- etcd ----

def kill_etcd(cluster, random):
    host = random.choice(cluster.databases)
    kill(host, "etcd.service")
    return host, None


def stop_etcd_majority(cluster, random):
    """Nobody can become the primary, and the primary must stay it: failsafe_mode."""
    hosts = random.sample(cluster.databases, 2)
    for host in hosts:
        host.run("systemctl stop etcd.service")
    return hosts[0], (lambda: [h.run("systemctl start --no-block etcd.service") for h in hosts], random.uniform(LEASE, LEASE + 20))


def fill_etcd(cluster, random):
    """The disk of one member takes no more. It has its log's next part already, so it starts anew to feel it."""
    host = random.choice(cluster.databases)
    host.run("dd if=/dev/zero of=/var/lib/etcd/full bs=1M; systemctl restart --no-block etcd.service", check=False)
    return host, (lambda: host.run("rm -f /var/lib/etcd/full; systemctl restart --no-block etcd.service"), random.uniform(5, 20))


# ---- balancers ----

def active(cluster):
    return wait_until(lambda: next((b for b in cluster.backends if b.has_address()), None), timeout=60, what="a balancer has the address")


def kill_haproxy(cluster, random):
    host = active(cluster)
    host.run("pkill -KILL -x haproxy", check=False)
    return host, None


def stop_haproxy(cluster, random):
    """The address moves."""
    host = active(cluster)
    host.run("systemctl stop haproxy.service")
    return host, (lambda: host.run("systemctl start haproxy.service"), random.uniform(5, 15))


def reload_haproxy(cluster, random):
    host = active(cluster)
    host.run("systemctl reload haproxy.service")
    return host, None


def kill_keepalived(cluster, random):
    host = active(cluster)
    host.run("pkill -KILL -x keepalived", check=False)
    return host, None


# ---- backends ----

def kill_backend(cluster, random):
    host = random.choice(cluster.backends)
    kill(host, "ssi-serverd.service")
    return host, None


def stop_backend(cluster, random):
    host = random.choice(cluster.backends)
    host.run("systemctl stop ssi-serverd.socket ssi-serverd.service")
    return host, (lambda: host.run("systemctl start --no-block ssi-serverd.socket ssi-serverd.service"), random.uniform(5, 20))


def freeze_backend(cluster, random):
    host = random.choice(cluster.backends)
    host.run("systemctl kill -s STOP ssi-serverd.service")
    return host, (lambda: host.run("systemctl kill -s CONT ssi-serverd.service"), random.uniform(2, 15))


def black_hole_backend(cluster, random):
    """With its balancer."""
    return silence(cluster, random.choice(cluster.backends), random.uniform(5, 60))


def cut_backend(cluster, random):
    return unplug(cluster, random.choice(cluster.backends), random.uniform(5, 30))


# ---- agents ----

def kill_agent_daemon(cluster, random):
    host = random.choice(cluster.agents).host
    kill(host, random.choice(("ssid.service", "ssi-uplinkd.service")))
    return host, None


def cut_agent(cluster, random):
    return unplug(cluster, random.choice(cluster.agents).host, random.uniform(2, 20))


def black_hole_agent(cluster, random):
    return silence(cluster, random.choice(cluster.agents).host, random.uniform(2, 60))


# ---- clocks ----

def step(host, random):
    host.set_clock(random.choice((-3600, 3600, -5, 86400)))
    return host, (lambda: host.set_clock(0), random.uniform(3, 10))


def step_agent_clock(cluster, random):
    return step(random.choice(cluster.agents).host, random)


def step_backend_clock(cluster, random):
    return step(random.choice(cluster.backends), random)


def step_postgres_clock(cluster, random):
    return step(primary(cluster), random)


KINDS = (kill_postgres, kill_patroni, stop_primary, lose_primary, lose_lagging_primary, lose_standby, freeze_primary, freeze_patroni,
         black_hole_primary, black_hole_standby, cut_primary, fill_primary, switch_over,
         kill_etcd, stop_etcd_majority, fill_etcd,
         kill_haproxy, stop_haproxy, reload_haproxy, kill_keepalived,
         kill_backend, stop_backend, freeze_backend, black_hole_backend, cut_backend,
         kill_agent_daemon, cut_agent, black_hole_agent,
         step_agent_clock, step_backend_clock, step_postgres_clock)
EACH = 3


MODES = ("synchronous", "asynchronous")


def plan(random, n, mode):
    """n kinds in random order, by name: each EACH times if n allows it, each once if n allows that. With one seed, the plans of both modes
    complement each other: together they have each kind EACH times if 2 n allows it."""
    names = [k.__name__ for k in KINDS]
    if n < len(names):
        return random.sample(names, n)
    own = names * (EACH if n >= EACH * len(names) else 1)
    free = n - len(own)
    further = names if 2 * free >= len(names) else []
    further = further + random.choices(names, k=2 * free - len(further))
    random.shuffle(further)
    chosen = own + further[MODES.index(mode)::2]
    random.shuffle(chosen)
    return chosen
