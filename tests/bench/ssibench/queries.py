# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the dashboard's routes read, at a million services: tests/unit/test-query-plans.py, with its figures kept."""
import json
import os
import subprocess
import tempfile

from .backend import TOP


def part_queries(bench):
    with tempfile.NamedTemporaryFile() as f:
        env = dict(os.environ, SSI_QUERY_ROWS=str(bench.options.rows), SSI_QUERY_JSON=f.name)
        r = subprocess.run(["/usr/bin/python3", "-B", str(TOP / "tests/unit/test-query-plans.py"),
                            str(bench.build / "src/ssi-serverd/ssi-serverd"), str(TOP / "src/ssi-serverd/db/migrations")],
                           env=env, capture_output=True, text=True, check=False)
        figures = json.loads(f.read() or b"{}")
    for path, values in figures.items():
        bench.report.row("queries", path, **values)
    # A route whose cost grew is in the table as well.
    if r.returncode:
        raise RuntimeError("test-query-plans.py: " + "\n".join(line for line in r.stderr.splitlines() if "Error" in line)[-2000:])
