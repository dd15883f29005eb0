# SPDX-License-Identifier: LGPL-2.1-or-later
"""The limits of a service's unit, on cgroup v2 with its controllers."""
from hosts import prints, script
from machine import say

MIB = 1024 * 1024
# Grows by one after the other, and says how far it came.
HOLDS = "perl -e '$x .= q(x) x 1048576 for 1 .. {n}; print length($x) >> 20'"


def test_it_is_a_machine(machine):
    """Else all of this shows nothing."""
    assert machine.run("systemd-detect-virt --container", check=False).stdout == "none\n"
    assert machine.run("systemd-detect-virt --vm").stdout.strip() in ("qemu", "kvm")
    assert machine.run("stat -fc %T /sys/fs/cgroup").stdout == "cgroup2fs\n"
    controllers = machine.run("cat /sys/fs/cgroup/system.slice/cgroup.subtree_control").stdout.split()
    assert {"memory", "pids"} <= set(controllers)
    release = machine.run("uname -r; systemctl --version | head -n 1").stdout.replace("\n", ", ")
    say(f"Linux {release}")
    # The journal's boot is the kernel's.
    newest = machine.journal("-n1", fields=("_BOOT_ID",))[-1]
    assert newest["_BOOT_ID"] == machine.boot_id()


def test_the_daemons_limits_are_the_kernels(machine):
    for unit in ("ssid", "ssi-uplinkd"):
        group = f"/sys/fs/cgroup/system.slice/{unit}.service"
        assert machine.run(f"cat {group}/memory.max {group}/pids.max").stdout.split() == [str(256 * MIB), "64"]
        used = int(machine.run(f"cat {group}/memory.peak").stdout)
        say(f"{unit}: at most {used / MIB:.1f} of 256 MiB")
        assert used < 64 * MIB


def test_memory(machine, add):
    add(script("Modest", f'n=$({HOLDS.format(n=200)})\n' + prints("OK", "held $n MiB"), timeout="100"))
    add(script("Greedy", f'n=$({HOLDS.format(n=600)})\n' + prints("OK", "held $n MiB"), timeout="100"))
    daemons = [machine.pid(unit) for unit in ("ssid.service", "ssi-uplinkd.service")]
    machine.run(["ssictl", "run", "modest"])
    machine.wait_until(lambda: machine.results("modest") == ["held 200 MiB"])
    r = machine.run(["ssictl", "run", "greedy"], check=False)
    assert r.returncode != 0, r
    machine.wait_until(lambda: machine.errors("greedy"))
    assert machine.errors("greedy") == ["oom-kill"]
    assert machine.results("greedy") == []
    assert machine.show("ssi-greedy.service", "Result") == {"Result": "oom-kill"}
    # It was the service's limit, and nobody else's loss.
    kills = [e["MESSAGE"] for e in machine.journal("_TRANSPORT=kernel", fields=("MESSAGE",)) if "oom-kill:" in str(e["MESSAGE"])]
    assert len(kills) == 1 and "CONSTRAINT_MEMCG" in kills[0] and "/system.slice/ssi-greedy.service" in kills[0], kills
    say(kills[0])
    assert daemons == [machine.pid(unit) for unit in ("ssid.service", "ssi-uplinkd.service")]
    machine.wait_until(lambda: ("error", "greedy", "error") in machine.server.told(), what="the webhook is told")


def test_tasks(machine, add):
    """Forks until the kernel refuses, and says how far it came."""
    forks = "perl -e 'for (1 .. 400) { my $p = fork; if (!defined $p) { print $_ - 1; kill 9, @p; exit } if (!$p) { sleep 100; exit } " \
            "push @p, $p } print 400; kill 9, @p'"
    add(script("Forks", f"n=$({forks})\n" + prints("OK", "$n at once"), timeout="100"))
    machine.run(["ssictl", "run", "forks"])
    machine.wait_until(lambda: machine.results("forks"))
    (message,) = machine.results("forks")
    say(f"TasksMax=256: {message}")
    # Bash, its copy for $(…) and Perl are tasks, too.
    assert 250 <= int(message.split()[0]) <= 254
