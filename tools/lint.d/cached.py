# SPDX-License-Identifier: LGPL-2.1-or-later
"""cached.py [--together] BUILD TOOL PATTERN COMMAND…: runs the command for each file on stdin (separated by NUL; --together: once for
all) and prints the lines of its output that match the pattern. The files come last in the command, or where {} stands in an argument.

A file is passed over when the same command found nothing in it before: with the same TOOL (which --version tells apart), configuration and
flags, and with the same content of it and of everything that it includes. What the build knows of that is asked of ninja. The keys are empty
files in $XDG_CACHE_HOME/ssi-lint; one that nobody asked for in a month is removed. A file with a finding is never passed over.
"""
import collections
import concurrent.futures
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ssi-lint"
MONTH = 30 * 24 * 3600


def output(*argv, cwd=None):
    return subprocess.run(argv, cwd=cwd, stdout=subprocess.PIPE, check=True, text=True).stdout


@functools.lru_cache(maxsize=None)
def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def included(build):
    """What each object was made of, as the build's compiler said."""
    found, name = collections.defaultdict(list), None
    for line in output("ninja", "-t", "deps", cwd=build).splitlines():
        if line.startswith(" "):
            if name:
                found[name].append(os.path.normpath(build / line.strip()))
        else:
            name = line.split(": #deps")[0] if line.endswith("(VALID)") else None
    return found


def keys(build, tool, command):
    """Source -> key, of those of which it can be told."""
    settings = [TOP / ".clang-tidy", TOP / "tools/lint", *sorted((TOP / "tools/lint.d").glob("*.*"))]
    same = [output(tool, "--version"), *command, *(digest(f) for f in settings)]
    made_of, found = included(build), {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = os.path.normpath(build / entry["file"])
        parts = found.setdefault(source, [])
        if entry["output"] not in made_of:
            found[source] = None
        elif parts is not None:
            parts += [entry["command"], *(f"{f} {digest(f)}" for f in sorted(made_of[entry["output"]]))]

    def key(parts):
        # Where the checkout is does not matter.
        return hashlib.sha256("\n".join(same + parts).replace(str(build), "BUILD").replace(str(TOP), "TOP").encode()).hexdigest()

    return {source: key(parts) for source, parts in found.items() if parts}


def main():
    together = sys.argv[1] == "--together"
    build, tool, pattern, *command = sys.argv[1 + together:]
    key_of = keys(Path(build).resolve(), tool, command)
    CACHE.mkdir(parents=True, exist_ok=True)
    marks, todo = {}, []
    for file in filter(None, sys.stdin.read().split("\0")):
        key = key_of.get(os.path.realpath(file))
        marks[file] = CACHE / key if key else None
        if key and marks[file].exists():
            os.utime(marks[file])
        else:
            todo.append(file)

    def look(files):
        argv = [a.replace("{}", f) for a in command for f in (files if "{}" in a else [""])]
        if argv == command:
            argv += files
        r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        found = [line for line in r.stdout.splitlines() if re.search(pattern, line)]
        if r.returncode and not found:
            found = [f"{files[0]}: error: {tool} ended with {r.returncode}", *r.stdout.splitlines()[-5:]]
        if not found:
            for mark in filter(None, (marks[f] for f in files)):
                mark.touch()
        return found

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        lines = {line for found in pool.map(look, [todo] if together and todo else [[f] for f in todo]) for line in found}
    for line in sorted(lines):
        print(line)
    for mark in CACHE.iterdir():
        if time.time() - mark.stat().st_mtime > MONTH:
            mark.unlink(missing_ok=True)


main()
