# SPDX-License-Identifier: LGPL-2.1-or-later
"""Status lines at their edges: what scripts may print, as it comes out of the journal, the agent and ssictl."""
import json
import re
import unicodedata

import pytest

from hosts import script

CUT = " [cut]"
OLD, NEW = b"2026-03-29 02:59:59, ", b"2026-03-29 02:00:01, "
STAMP = b"2026-01-02 03:04:05, "

# What is printed, and status and message that come of it.
EDGES = {
    "commas": (STAMP + b"OK, a, b,, c,\n", "OK", "a, b,, c,"),
    "no message": (STAMP + b"OK,\n", "OK", ""),
    "64 kB": (STAMP + b"WARNING, " + b"0123456789abcdef" * 4096 + b"\n", "WARNING", None),
    "64 kB of wide characters": (STAMP + b"OK, " + "日本語".encode() * 7000 + b"\n", "OK", None),
    "invalid UTF-8": (STAMP + b"OK, bad \xff\xfe, cut \xe6\x97\n", "OK", "bad \ufffd\ufffd, cut \ufffd\ufffd"),
    "CRLF": (STAMP + b"UPDATE, of Windows\r\n", "UPDATE", "of Windows"),
    "no newline": (STAMP + b"OK, and out", "OK", "and out"),
    "colors": (STAMP + b"OK, \x1b[1;31mred\x1b[0m and \x1b[38;5;196mredder\x1b[m\n", "OK", "red and redder"),
    "escapes": (STAMP + b"OK, \x1b]0;title\x07bell\x07 \x08\x08back \xc2\x9b31mC1\n", "OK", None),
    "NUL": (STAMP + b"OK, before\0after\n", "OK", "before"),
    "two lines": (STAMP + b"OK, first\n" + STAMP + b"FAILURE, second\n", "FAILURE", "second"),
    "the clock went back": (OLD + b"OK, earlier\n" + NEW + b"WARNING, later\n", "WARNING", "later"),
    "output after": (STAMP + b"UPDATE, the result\nand more\nOK, not quite\n", "UPDATE", "the result"),
    "right to left": (STAMP + "OK, שלום עולם, 3 ימים\n".encode(), "OK", "שלום עולם, 3 ימים"),
    "turned around": (STAMP + "OK, \u202etxt.exe\u202c\n".encode(), "OK", "\u202etxt.exe\u202c"),
    "emoji": (STAMP + "OK, 🚦 👩‍👩‍👧 🇩🇪 e\u0301\n".encode(), "OK", "🚦 👩‍👩‍👧 🇩🇪 e\u0301"),
    "tabs": (STAMP + b"OK, a\tb\n", "OK", "a b"),
}


@pytest.fixture(scope="module")
def edges(agent):
    """A service that prints what a file holds. edges(bytes) runs it: {…} of `ssictl --json run`."""
    agent.run(["ssictl", "add", agent.write("/tmp/edges.bash", script("Edges", "cat /etc/ssi-edge"))])

    def run(text):
        agent.write("/etc/ssi-edge", text)
        return json.loads(agent.run(["ssictl", "--json", "run", "edges"], check=False).stdout)

    yield run
    agent.run(["ssictl", "remove", "edges"])


@pytest.mark.parametrize("name", EDGES)
def test_edge(edges, name):
    printed, status, message = EDGES[name]
    result = edges(printed)
    assert (result["last_run_result"], result["status"]) == ("success", status)
    if message is not None:
        assert (result["message"] or "") == message
    if "kB" in name:
        assert result["message"].endswith(CUT), result["message"][-40:]
        assert 4000 < len(result["message"].encode()) <= 4096
        assert "\ufffd" not in result["message"]
    controls = [c for c in result["message"] or "" if unicodedata.category(c) == "Cc"]
    assert controls == []


def test_nothing_reaches_the_terminal(agent, edges):
    """But colors of ssictl's own, whatever was printed; and tables stay within the edge."""
    edges(b"".join(printed + b"\n" for printed, _, _ in EDGES.values() if len(printed) < 1000) + EDGES["turned around"][0])
    for args in (["list"], ["status"], ["status", "edges"], ["history", "edges"], ["log", "edges"], ["run", "edges"],
                 ["show", "edges"]):
        with agent.terminal(["ssictl", *args]) as t:
            t.finish()
        plain = re.sub(r"\x1b\[[0-9;]*m", "", t.text).replace("\r\n", "\n")
        bad = {c for c in plain if c != "\n" and (unicodedata.category(c) == "Cc" or c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")}
        assert not bad, (args, bad)
        assert "txt.exe" in plain or args == ["status"], (args, plain)
