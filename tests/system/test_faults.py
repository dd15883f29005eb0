# SPDX-License-Identifier: LGPL-2.1-or-later
"""Short forms of tests/fault, tests/attack and their fuzzers; and that the check of the history finds what it should."""
import os
import subprocess
import sys

import pytest

from hosts import TOP

sys.path.insert(0, str(TOP / "tests" / "fault"))

import fleet as fleet_  # noqa: E402

ENV = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}


def tool(*args):
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=400, env=ENV, stdin=subprocess.DEVNULL)
    print(r.stdout + r.stderr)
    assert r.returncode == 0
    return r.stdout


def test_faults():
    out = tool(TOP / "tests/fault/run", "--faults", 20, "--agents", 1, "--pace", 0.5, "--seed", 4)
    assert " 0 things are wrong" in out


def test_fuzzing_the_live_daemons():
    assert "0 findings" in tool(TOP / "tests/attack/fuzz", "--seconds", 10)


@pytest.mark.slow
def test_attacks():
    assert " 0 things are wrong" in tool(TOP / "tests/attack/run", "--seconds", 2, "--no-ratios",
                                         "slow_loris", "half_open", "deep_json", "agent_flood")


@pytest.mark.parametrize("kept, stored, wrong", [
    ((1, 2, 3), (1, 2, 3), 0),
    ((1, 2, 3), (1, 3), 1),           # lost
    ((1, 2, 3), (1, 2), 1),           # at the end
    ((1, 2, 3), (1, 2, 2, 3), 1),     # twice
    ((1, 2, 3), (2, 1, 3), 1),        # out of order
    ((2, 3), (1, 2, 3), 0),           # rotated away after it was sent
    ((1, 2), (1, 2, 3), 0),           # so was the last one
    ((1, 2, 3), (None, 3), 0),        # owned up to
    ((1, 2, 3, 4), (1, None, 3), 1),  # too little: 2 only
    ((1, 2, 3, 4), (1, 3, None), 1),  # too late: 4 only
])
def test_the_check_finds(kept, stored, wrong, monkeypatch):
    agent = fleet_.Agent("none", None)
    monkeypatch.setattr(agent, "note_kept", lambda: agent.kept.update({s: set(kept) for s in fleet_.SERVICES}))
    monkeypatch.setattr(agent, "stored", lambda: [n and (s, n) for n in stored for s in fleet_.SERVICES])
    monkeypatch.setattr(agent, "silent", set)
    found, counts = agent.check()
    assert len(found) == wrong * len(fleet_.SERVICES)
    assert counts["stored"] == sum(n is not None for n in stored) * len(fleet_.SERVICES)


def test_the_check_finds_runs_that_are_falsely_errors(monkeypatch):
    agent = fleet_.Agent("none", None)
    monkeypatch.setattr(agent, "note_kept", lambda: agent.heard.update("ab"))
    monkeypatch.setattr(agent, "stored", list)
    monkeypatch.setattr(agent, "silent", lambda: set("bc"))
    found, _ = agent.check()
    assert len(found) == 1 and " b " in found[0]
