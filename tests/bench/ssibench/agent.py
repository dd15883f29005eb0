# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent beside others in one host: what it holds while nothing happens, and what a run costs."""
import shutil
import tempfile
import time

from hosts import crowd

from .hostkit import agent_and_backend, host_pids
from .measure import Sampler, cpu, cpu_fine, family, pss, smaps, switches, threads
from .packages import Missing, fetch, install_in

# As the distribution configures them.
PEERS = {"nrpe": ("nagios-nrpe-server", "nagios-nrpe-server.service"), "monit": ("monit", "monit.service"),
         "zabbix_agentd": ("zabbix-agent", "zabbix-agent.service"), "zabbix_agent2": ("zabbix-agent2", "zabbix-agent2.service"),
         "node_exporter": ("prometheus-node-exporter", "prometheus-node-exporter.service")}


def install_peers(host):
    """{name: unit} of those that run."""
    folder = tempfile.mkdtemp(prefix="ssi-bench-debs-", dir="/var/tmp")
    try:
        files = fetch(folder, *(package for package, _ in PEERS.values()))
        host.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", "0755")
        install_in(host, files)
    finally:
        shutil.rmtree(folder)
    # Both would listen on one port.
    host.run("echo ListenPort=10060 >>/etc/zabbix/zabbix_agent2.conf")
    running = {}
    for name, (_, unit) in PEERS.items():
        host.run(["systemctl", "start", unit], check=False)
        if host.show(unit, "ActiveState")["ActiveState"] == "active":
            running[name] = unit
    return running


def part_agent(bench):
    seconds = 10 if bench.short else max(60, bench.options.seconds)
    with agent_and_backend(bench) as (host, b, _, _):
        crowd(host, 50)
        host.run("systemctl restart ssid.service ssi-uplinkd.service")
        missing = None
        try:
            peers = install_peers(host)
        except Missing as e:
            peers, missing = {}, str(e)
        time.sleep(5 if bench.short else 30)
        idle(bench, host, peers, seconds)
        if missing:
            bench.report.row("agent", "peers", missing=missing)
        cost_of_runs(bench, host, b, 20 if bench.short else 300)
        many_runs(bench, host, b, 100 if bench.short else 3000)


def idle(bench, host, peers, seconds):
    measured = {"ssid + ssi-uplinkd": ("ssid.service", "ssi-uplinkd.service"), "ssid": ("ssid.service",),
                "ssi-uplinkd": ("ssi-uplinkd.service",), **{name: (unit,) for name, unit in peers.items()}}
    pids = {name: host_pids(host, *units) for name, units in measured.items()}
    before = {name: (cpu_fine(p), switches(p)) for name, p in pids.items()}
    time.sleep(seconds)
    for name, p in pids.items():
        bench.report.row("agent", name, pss_kb=pss(p), rss_kb=sum(smaps(i, "Rss") for i in p), processes=len(p), threads=threads(p),
                         voluntary_switches=switches(p) - before[name][1], seconds=seconds,
                         cpu_ms=round((cpu_fine(p) - before[name][0]) * 1000, 2))


def cost_of_runs(bench, host, b, runs):
    """The same script as a service of ours, as a unit with the same settings, and as a unit with none."""
    host.run(r"""
cd /etc/systemd/system
install -m 755 /usr/local/bin/ssi/model /usr/local/bin/bare-model
sed -e '/^LogExtraFields=/d' -e 's,/usr/local/bin/ssi/model,/usr/local/bin/bare-model,' -e 's/^SyslogIdentifier=.*//' \
        ssi-model.service >bare-sandboxed.service
printf '[Service]\nType=oneshot\nEnvironment=BASH_ENV=%s\nExecStart=/usr/local/bin/bare-model\n' \
        "$(sed -n 's/^Environment=BASH_ENV=//p' ssi-model.service)" >bare-plain.service
systemctl daemon-reload""")
    systemd = [host.leader]
    journald = host_pids(host, "systemd-journald.service")
    bus, ssid, uplink = (host_pids(host, unit) for unit in ("dbus.service", "ssid.service", "ssi-uplinkd.service"))
    for name, unit in (("a run, bare unit", "bare-plain"), ("a run, bare unit in the sandbox", "bare-sandboxed"),
                       ("a run, service of the agent", "ssi-model")):
        def now():
            # PID 1's holds what its children, the scripts, have used.
            return {"systemd_and_script": cpu(systemd), "journald": cpu_fine(journald), "bus": cpu_fine(bus), "ssid": cpu_fine(ssid),
                    "uplinkd": cpu_fine(uplink), "backend": cpu([b.pid]) + cpu(family(b.db.pid))}
        host.run(f"systemctl start {unit}.service")
        time.sleep(1)
        before = now()
        host.run(f"for ((i = 0; i < {runs}; i++)); do systemctl start {unit}.service; done", timeout=300)
        time.sleep(2)
        used = {k: round((v - before[k]) / runs * 1000, 3) for k, v in now().items()}
        bench.report.row("agent", name, runs=runs, host_cpu_ms=round(sum(v for k, v in used.items() if k != "backend"), 2),
                         **{k + "_ms": v for k, v in used.items()})


def many_runs(bench, host, b, runs):
    """Whether memory or open files grow with the runs."""
    s = Sampler({"ssid": host_pids(host, "ssid.service"), "uplinkd": host_pids(host, "ssi-uplinkd.service"), "serverd": [b.pid]})
    s.look()
    for _ in range(10):
        host.run(f"for ((i = 0; i < {runs // 10}; i++)); do systemctl start ssi-model.service; done", timeout=300)
        time.sleep(1)
        s.look()
    bench.report.row("agent", f"{runs} runs, one after the other", runs=runs, **s.figures())
