# SPDX-License-Identifier: LGPL-2.1-or-later
"""The source's layout: every include against the floors of docs/architecture.md."""
import functools
import re
from pathlib import Path

import pytest

from hosts import TOP

SRC = TOP / "src"
PROGRAMS = ("ssid", "ssi-uplinkd", "ssictl", "ssi-serverd")
LAYERED = ("ssid", "ssi-uplinkd", "ssictl", "shared")
MADE = ("openapi.inc", "roles.inc")
FILE_MAX, FUNCTION_MAX = 500, 80

# Longer, and why.
LONG_FILES = {"shared/journal/run-tracker.c": "one state machine, whose rules stand at its head"}


@functools.cache
def floors():
    rows = re.findall(r"^\| (\d+) \| `([\w.]+)` \|", (TOP / "docs/architecture.md").read_text(), re.MULTILINE)
    return {folder: int(floor) for floor, folder in rows}


@functools.cache
def includes():
    """{file: the files that it includes}, as paths below src. What is not there by path fails."""
    found = {}
    for path in sorted([*SRC.rglob("*.c"), *SRC.rglob("*.h")]):
        name = path.relative_to(SRC)
        found[name] = []
        for target in re.findall(r'^#include "([^"]+)"', path.read_text(), re.MULTILINE):
            if target in MADE:
                continue
            # Made of the statements beside the file.
            target = target.removesuffix(".h") if target.endswith(".sql.h") else target
            target = Path(target) if target.startswith("shared/") else Path(name.parts[0]) / target
            assert (SRC / target).is_file(), f"{name}: {target} is not there by this path"
            found[name].append(target)
    return found


def folder(name):
    return "." if len(name.parts) == 2 else name.parts[1]


def test_every_folder_has_its_floor():
    there = {p.name for p in (SRC / "ssi-serverd").iterdir() if p.is_dir()}
    assert there == set(floors()) - {"."}


def test_no_include_runs_up():
    wrong = []
    for name, targets in includes().items():
        for target in targets:
            if target.parts[0] not in ("shared", name.parts[0]):
                wrong.append(f"{name}: another program's {target}")
            if name.parts[0] != "ssi-serverd" or target.parts[0] != "ssi-serverd":
                continue
            here, there = folder(name), folder(target)
            if here != there and floors()[there] >= floors()[here]:
                wrong.append(f"{name} (floor {floors()[here]}) includes {target} (floor {floors()[there]})")
    assert not wrong, "\n".join(wrong)


def test_no_headers_include_each_other():
    done, path = set(), []

    def visit(header):
        assert header not in path, f"a circle: {' → '.join(map(str, [*path[path.index(header):], header]))}"
        if header in done:
            return
        path.append(header)
        for target in includes().get(header, []):
            visit(target)
        done.add(path.pop())

    for name in includes():
        if name.suffix == ".h":
            visit(name)


def module(name):
    """A header and what implements it. A file without a header of its own implements the internal one that it includes, or the one
    whose name its own begins with: run-match.c run-tracker-internal.h, manager-bus.c manager.h."""
    def has_header(stem):
        return (SRC / name.parent / f"{stem}.h").is_file()

    stem = name.stem
    if name.suffix == ".c" and not has_header(stem):
        internal = [t.stem for t in includes()[name] if t.stem.endswith("-internal") and t.parent == name.parent]
        beginnings = [stem[:m.start()] for m in re.finditer("-", stem)]
        stem = next(iter(internal + [b for b in beginnings if has_header(b)]), stem)
    return name.parent / stem.removesuffix("-internal")


def uses(program):
    """{module: {module that it includes or calls: by what}}"""
    found, defined, words = {}, {}, {}
    for name, targets in includes().items():
        if name.parts[0] != program:
            continue
        for target in targets:
            found.setdefault(module(name), {})[module(target)] = str(target)
        if name.suffix == ".c":
            text = re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\])*"', "", (SRC / name).read_text(), flags=re.DOTALL)
            words[name] = set(re.findall(r"\b\w+\b", text)) - {"main"}
            for function in re.findall(r"^(?!static\b)[A-Za-z_][\w *]*?\b(\w+)\([^;{}]*?\)\n\{", text, re.MULTILINE):
                defined[function] = module(name)
    for name, used in words.items():
        for word in used & defined.keys():
            found.setdefault(module(name), {}).setdefault(defined[word], f"{word}()")
    return {m: {n: by for n, by in targets.items() if n != m} for m, targets in found.items()}


@pytest.mark.parametrize("program", LAYERED)
def test_no_modules_use_each_other(program):
    found, done, path = uses(program), set(), []

    def visit(m):
        if m in path:
            circle = [*path[path.index(m):], m]
            pytest.fail("a circle: " + ", ".join(f"{a} uses {b} ({found[a][b]})" for a, b in zip(circle, circle[1:])))
        if m in done:
            return
        path.append(m)
        for other in found.get(m, {}):
            visit(other)
        done.add(path.pop())

    for m in found:
        visit(m)
    assert len(done) > 10


@pytest.mark.parametrize("header", sorted(SRC.rglob("*.h")), ids=lambda p: str(p.relative_to(SRC)))
def test_each_header_opens_with_what_it_is_for(header):
    text = header.read_text()
    start = text.index("#pragma once") + len("#pragma once")
    assert re.match(r"\s*/\* \S", text[start:]), f"{header}: no sentence after #pragma once"


def test_files_and_functions_can_be_held_in_the_head():
    files, functions = {}, []
    for name in includes():
        lines = (SRC / name).read_text().splitlines()
        if len(lines) > FILE_MAX:
            files[str(name)] = len(lines)
        start = None
        for i, line in enumerate(lines):
            if line == "{":
                start = i
            elif line == "}" and start is not None:
                if i - start - 1 > FUNCTION_MAX:
                    functions.append(f"{name}: {lines[start - 1]} ({i - start - 1} lines)")
                start = None
    assert set(files) == set(LONG_FILES), files
    assert not functions, "\n".join(functions)
