# SPDX-License-Identifier: LGPL-2.1-or-later
"""programs.py, and what the Bash of tools/ and tests/ says when it fails."""
import re
import shutil
import signal
import subprocess

import pytest

from hosts import TOP, wait_until
from programs import program

TIDY = "trap 'echo tidied up' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM; echo ready; while :; do sleep 0.1; done"


@pytest.fixture
def ignored():
    """As in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_program_heeds_ctrl_c(ignored, tmp_path):
    log = tmp_path / "log"
    with program(["bash", "-c", TIDY], log) as process:
        wait_until(lambda: "ready" in log.read_text())
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def test_a_program_does_not_outlive_its_test(tmp_path):
    log = tmp_path / "log"
    with pytest.raises(ZeroDivisionError):
        with program(["bash", "-c", TIDY], log) as process:
            wait_until(lambda: "ready" in log.read_text())
            raise ZeroDivisionError
    assert process.returncode == 143 and "tidied up" in log.read_text()


def bash_files():
    """Those of the tree, by their first line."""
    tracked = subprocess.run(["git", "ls-files", "-z", "tools", "tests", "scripts", ".ci", "packaging"], cwd=TOP, check=True,
                             capture_output=True, text=True).stdout.split("\0")
    files = [TOP / name for name in tracked if name and (TOP / name).is_file()]
    return [f for f in files if f.suffix == ".bash" or f.read_bytes()[:32].startswith((b"#!/bin/bash", b"#!/bin/sh"))]


def test_all_bash_is_clean():
    if not shutil.which("shellcheck"):
        pytest.skip("needs shellcheck")
    # The blueprint's own example is kept as it is.
    files = [f for f in bash_files() if f.name != "check-system-updates.bash"]
    assert {TOP / "tests/testhost", TOP / "tests/packages/prepare", TOP / "tools/steps.bash"} <= set(files)
    r = subprocess.run(["shellcheck", "-x", "-P", str(TOP), *map(str, files)], capture_output=True, text=True)
    assert r.stdout == ""


def test_all_python_is_clean():
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, check=True, capture_output=True, text=True).stdout.split("\0")
    files = [TOP / name for name in tracked if name and (TOP / name).is_file()]
    files = [f for f in files if f.suffix == ".py" or f.suffix != ".j2" and re.match(rb"#!/usr/bin/(env )?python3\n", f.read_bytes()[:32])]
    assert {TOP / "tools/spdx", TOP / "tests/system/hosts.py"} <= set(files)
    r = subprocess.run(["/usr/bin/python3", "-m", "pyflakes", *map(str, files)], capture_output=True, text=True)
    assert r.stdout + r.stderr == ""


def test_all_c_is_formatted():
    version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True).stdout
    if " 14." not in version:
        pytest.skip(f"needs clang-format 14, which .clang-format is for, not {version or 'none'}")
    r = subprocess.run([TOP / "tools/lint", "--format"], capture_output=True, text=True)
    assert (r.returncode, r.stdout.strip()) == (0, "format     0 findings"), r.stdout


def test_each_file_says_its_licence():
    r = subprocess.run([TOP / "tools/spdx", "--check"], capture_output=True, text=True)
    assert (r.returncode, r.stderr) == (0, "")


def test_one_command_changes_the_licence(tmp_path):
    spdx = tmp_path / "tree/tools/spdx"
    subprocess.run(["git", "clone", "-q", TOP, tmp_path / "tree"], check=True)
    r = subprocess.run([spdx, "--suite=Apache-2.0"], capture_output=True, text=True)
    assert r.returncode == 1 and "LICENSES/Apache-2.0.txt first" in r.stderr
    (tmp_path / "tree/LICENSES/Apache-2.0.txt").write_text("…\n")
    subprocess.run([spdx, "--suite=Apache-2.0"], check=True)
    subprocess.run([spdx, "--check"], check=True)
    left = subprocess.run(["git", "grep", "-l", "LGPL-2.1", "--", ".", ":!LICENSES", ":!docs/adr", ":!.reuse", ":!tests", ":!CHANGELOG.md"], cwd=tmp_path / "tree", capture_output=True,
                          text=True).stdout.split()
    # The Debian package has the text of the licence, which is for whoever changes it.
    assert left == ["packaging/debian/copyright"], left


def test_who_ends_at_a_failure_says_where():
    """Either each step is followed by what to say, or all are watched."""
    for file in bash_files():
        text = file.read_text()
        if file.parent.name not in ("scripts", "fixtures") and re.search(r"^set -\w*e", text, re.MULTILINE):
            if text.startswith("#!/bin/bash"):
                assert re.search(r"^\. .*/fail\.bash", text, re.MULTILINE), file


def fail(tmp_path, text):
    script = tmp_path / "script"
    script.write_text(f"set -euo pipefail\n. {TOP}/tools/fail.bash\n{text}\necho went on\n")
    return subprocess.run(["bash", script], capture_output=True, text=True, timeout=10)


@pytest.mark.parametrize("line", ["x=$(sed -n p /nonexistent 2>/dev/null | head -n 1)", "f() { local a=1; false; }; f", "(exit 2)",
                                  "sed -n p /nonexistent 2>/dev/null | head -n 1"])
def test_a_failure_says_script_line_and_command(tmp_path, line):
    r = fail(tmp_path, line)
    assert r.returncode in (1, 2) and r.stdout == ""
    assert re.search(rf"^script: line 3 failed with status {r.returncode}: \S+", r.stderr, re.MULTILINE), r.stderr


def test_what_may_fail_is_not_talked_about(tmp_path):
    r = fail(tmp_path, "x=$(false; echo a); if ! grep -q a </dev/null; then :; fi; (false) || true; f() { false; true; }; f || true")
    assert (r.returncode, r.stdout, r.stderr) == (0, "went on\n", "")
