# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table of docs/asvs.md: each requirement once, each test that it names is there, and the sums are right."""
import collections
import re

from hosts import TOP

TEXT = (TOP / "docs/asvs.md").read_text()
NUMBERS = [line for line in (TOP / "tests/fixtures/asvs-4.0.3-level-2.txt").read_text().splitlines() if line[0] != "#"]
# The cells of each row.
ROWS = [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in TEXT.splitlines() if re.match(r"\| \d", line)]
STATUS = ("met", "partly", "not met", "n/a")
# How a test of this name looks in a file of this kind.
DEFINITIONS = {".c": r"static void {}\(void", ".py": r"def {}\(", ".js": r"(?:step|test)\('{}'"}


def numbers(row):
    """Those at the beginning of a row; 2.8.1–2.8.7 stands for all between."""
    for part in re.match(r"(?:\d+\.\d+\.\d+(?:–\d+\.\d+\.\d+)?(?:, )?)+", row[0])[0].split(", "):
        first, _, last = part.strip().partition("–")
        assert first in NUMBERS and (not last or last in NUMBERS), part
        yield from NUMBERS[NUMBERS.index(first):NUMBERS.index(last or first) + 1]


def status(row):
    return row[3].partition(":")[0]


def test_each_requirement_is_there_once():
    counts = collections.Counter(n for row in ROWS for n in numbers(row))
    assert [n for n in NUMBERS if counts[n] != 1] == [] and len(counts) == len(NUMBERS)
    chapter = None
    for line in TEXT.splitlines():
        if line.startswith("## V"):
            chapter = line.split()[1][1:]
        elif m := re.match(r"\| (\d+)\.", line):
            # A row of several chapters stands in the first one.
            assert m[1] == chapter, line


def test_each_row_says_how_it_stands():
    for row in ROWS:
        assert len(row) == 4 and status(row) in STATUS, row
        assert (status(row) == "met") == (row[3] == "met"), f"why? {row}"
        assert row[1] != "–" or row[2] != "–" or status(row) in ("not met", "n/a"), f"how? {row}"


def test_the_sums_are_right():
    sums = collections.Counter(status(row) for row in ROWS for _ in numbers(row))
    assert (f"Of the {len(NUMBERS)} requirements, {sums['met']} are met, {sums['partly']} partly, {sums['not met']} are not met, and"
            f" {sums['n/a']} do not apply.") in TEXT


def defined(file, name):
    folders = [f for f in ("unit", "system", "web", "packages", "container", "machine")]
    paths = [p for f in folders for p in (TOP / "tests" / f).glob(f"{file}.*") if p.suffix in DEFINITIONS]
    assert len(paths) == 1, (file, paths)
    text = paths[0].read_text()
    if "." in name and paths[0].suffix == ".py":
        class_, _, name = name.partition(".")
        text = re.search(rf"^class {class_}\b.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)[0]
    return re.search(rf"^\s*{DEFINITIONS[paths[0].suffix].format(re.escape(name))}", text, re.MULTILINE)


def test_the_tests_are_there():
    seen = 0
    for row in ROWS:
        tests = re.findall(r"`([^`]+)`", row[2])
        assert row[2] == "–" or row[2] == ", ".join(f"`{t}`" for t in tests), row
        for test in tests:
            file, _, name = test.partition(": ")
            assert defined(file, name), f"{test} is not there"
            seen += 1
    assert seen > 150
