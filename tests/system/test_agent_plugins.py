# SPDX-License-Identifier: LGPL-2.1-or-later
"""ssi_nagios with Debian's own plugins (monitoring-plugins-basic), in the sandbox of an installed service."""
import re

import pytest

from hosts import script, wait_until
from rawbus import Bus

PLUGINS = "/usr/lib/nagios/plugins"

# The arguments of a plugin, the result, and the message: the plugin's first line without its performance data.
CASES = {
    "ok": ("check_procs -w 100000 -c 100000", "OK", r"PROCS OK: \d+ process(es)?"),
    "warning": ("check_procs -w 0 -c 100000", "WARNING", r"PROCS WARNING: \d+ process(es)?"),
    "critical": ("check_procs -w 0 -c 0", "FAILURE", r"PROCS CRITICAL: \d+ process(es)?"),
    "disk": ("check_disk -w 0% -c 0% -p /", "OK", r"DISK OK - free space: / .*"),
    "unknown": ("check_dummy 3 'cannot say'", None, "UNKNOWN: cannot say"),
    "unusable": ("check_procs --no-such-option", None, "no-such-option"),
    "missing": ("check_that_is_not_there", None, "No such file or directory"),
}


def test_plugins(agent):
    if agent.run(["test", "-x", f"{PLUGINS}/check_procs"], check=False).returncode != 0:
        pytest.skip("needs monitoring-plugins-basic")
    with Bus(agent) as bus:
        try:
            for name, (plugin, _, _) in CASES.items():
                bus.manager("AddService", "ssa{sv}", "x", script(f"Plugin {name}", f"ssi_nagios {PLUGINS}/{plugin}"), {})
            agent.run("systemctl start " + " ".join(f"ssi-plugin-{n}.service" for n in CASES), check=False)
            for name, (_, status, text) in CASES.items():
                slug = f"plugin-{name}"
                wait_until(lambda: bus.properties(slug)["LastRunResult"], what=slug)
                p = bus.properties(slug)
                if status:
                    assert (p["LastRunResult"], p["Status"]) == ("success", status), (name, p)
                    assert re.fullmatch(text, p["Message"]), (name, p["Message"])
                else:
                    assert (p["LastRunResult"], p["Status"]) == ("exit-code", ""), (name, p)
                    assert p["LastRunDetail"] == "exited with status 3"
                    assert text in "".join(line[2] for line in bus.manager("GetLog", "su", slug, 100)[0]), name
        finally:
            for name in CASES:
                bus.manager("RemoveService", "s", f"plugin-{name}")
