# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can go wrong, one function per kind. Each does it at once, and gives what undoes it later, with the time until then;
or None. All draw from the given random.Random alone."""


def kill(host, unit):
    pid = host.pid(unit)
    if pid > 0:
        host.run(["kill", "-KILL", str(pid)], check=False)


def kill_agent_daemon(fleet, random):
    kill(random.choice(fleet.agents).host, random.choice(("ssid.service", "ssi-uplinkd.service")))


def kill_backend(fleet, random):
    kill(fleet.server, "ssi-serverd.service")


def kill_postgres(fleet, random):
    kill(fleet.server, "ssi-postgres.service")


def kill_postgres_child(fleet, random):
    """Some backend, writer or checkpointer: all connections go, and the log is replayed."""
    fleet.server.run("pgrep -u ssi-postgres postgres | shuf -n 1 --random-source=<(yes %d) | xargs -r kill -KILL"
                     % random.randrange(1000), check=False)


def kill_journald(fleet, random):
    kill(random.choice(fleet.agents).host, "systemd-journald.service")


def kill_run(fleet, random):
    random.choice(fleet.agents).host.run("systemctl kill -s KILL ssi-tick.service ssi-tock.service", check=False)


def restart(fleet, random):
    host, unit = random.choice([(fleet.server, "ssi-serverd.service")] +
                               [(a.host, u) for a in fleet.agents for u in ("ssid.service", "ssi-uplinkd.service")])
    host.run(["systemctl", "restart", "--no-block", unit])


def cut(fleet, random):
    wire = random.choice(fleet.agents).wire
    wire.cut()
    return wire.mend, random.uniform(0.2, 6)


def half_open(fleet, random):
    """Silence for so long that both sides must find out by themselves, and one that outlives the mending."""
    wire = random.choice(fleet.agents).wire
    wire.cut()
    return (lambda: (wire.reset(), wire.mend())), random.uniform(20, 60)


def reset(fleet, random):
    random.choice(fleet.agents).wire.reset()


def slow(fleet, random):
    wire = random.choice(fleet.agents).wire
    wire.slow(delay=random.choice((0.05, 0.3, 1.5)), trickle=random.choice((0, 2000, 20000)))
    return wire.slow, random.uniform(1, 8)


def stall(fleet, random):
    host, unit = random.choice([(fleet.server, "ssi-serverd.service"), (fleet.server, "ssi-postgres.service")] +
                               [(a.host, "ssi-uplinkd.service") for a in fleet.agents])
    pid = host.pid(unit)
    if pid <= 0:
        return None
    host.run(["kill", "-STOP", str(pid)], check=False)
    return (lambda: host.run(["kill", "-CONT", str(pid)], check=False)), random.uniform(0.2, 4)


def disk_full(fleet, random):
    full = "/var/lib/ssi-server/postgres/full"
    fleet.server.run(f"dd if=/dev/zero of={full} bs=1M", check=False)
    return (lambda: fleet.server.run(["rm", "-f", full])), random.uniform(0.5, 4)


def rotate(fleet, random):
    random.choice(fleet.agents).host.run("journalctl --rotate", check=False)


def vacuum(fleet, random):
    """What is rotated away while the backend cannot be reached is lost, and must be owned up to."""
    agent = random.choice(fleet.agents)
    agent.wire.cut()

    def lose():
        agent.note_kept()
        agent.host.run("journalctl --rotate; journalctl --vacuum-files=1", check=False)
        agent.wire.reset()
        agent.wire.mend()

    return lose, random.uniform(1, 4)


def step_clock(fleet, random):
    random.choice(fleet.hosts).set_clock(random.choice((0, -3600, 3600, -5, 86400)))


# Kind and weight.
KINDS = ((kill_agent_daemon, 14), (kill_backend, 10), (kill_postgres, 6), (kill_postgres_child, 6), (kill_journald, 2),
         (kill_run, 6), (restart, 6), (cut, 10), (half_open, 1), (reset, 10), (slow, 8), (stall, 6), (disk_full, 3),
         (rotate, 5), (vacuum, 2), (step_clock, 5))
